"""The processes that a cluster consists of; run as `python -m tests.slurm.testcluster.hub`.

    login   network, hostname and mounts of the host `login`; still numbered with this machine's processes, so that
            a client that enters it (sbatch, srun) is an ordinary child of its caller
      hub   process 1 of a PID namespace: whatever happens to it, every daemon, node and job ends with it
        munged, slurmctld, slurmdbd and its database
        n1  process 1 of a node, with namespaces of its own for everything
          slurmd and the jobs' steps

`login` ends when it is told to, or when the process that started the cluster ends, in whatever way.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from . import kernel, nodehost
from .accounting import start_database
from .packages import SEARCH_PATH
from .processes import identity, in_namespace, recall, send, until
from .spec import LOGIN, Spec

CONTROLLER_PORT = 6817


def main(arguments: list[str]) -> None:
    """`run DIRECTORY FD` is a cluster, until FD can be read (-1: no such); `boot DIRECTORY NODE` a node more in it."""
    verb, directory, argument = arguments
    spec = Spec.load(Path(directory))
    os.chdir("/")
    os.environ["PATH"] = SEARCH_PATH
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)  # this machine's numbers, also where /proc is another
    if verb == "boot":
        _boot(spec, argument, proc)
    else:
        _login(spec, int(argument), proc)


def _boot(spec: Spec, name: str, proc: int) -> None:
    hub = recall(spec.directory / "run/hub.pid")
    if hub is None:
        raise SystemExit("the cluster is not running")
    kernel.enter(hub, "net", "uts", "pid", "mnt")
    if child := os.fork():  # a child's child counts processes as the hub does, and the commands of `ip` with it
        _, status = os.waitpid(child, 0)
        raise SystemExit(os.waitstatus_to_exitcode(status))
    nodehost.start(spec, [name], proc)


def _login(spec: Spec, watched: int, proc: int) -> None:
    kernel.unshare(kernel.NEW_NETWORK | kernel.NEW_HOSTNAME | kernel.NEW_MOUNTS)
    _mount_login(spec)
    socket.sethostname(LOGIN)
    (spec.directory / "run/login.pid").write_text(identity(proc))
    kernel.unshare(kernel.NEW_PIDS)
    hub = os.fork()
    if hub == 0:
        kernel.die_with_parent()
        if watched >= 0:
            os.close(watched)
        _hub(spec, proc)
    signal.signal(signal.SIGTERM, _leave)
    try:
        ending = [os.pidfd_open(hub), *([watched] if watched >= 0 else [])]
        select.select(ending, [], [])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(spec, hub)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _mount_login(spec: Spec) -> None:
    place = spec.directory
    kernel.mount("none", "/", flags=kernel.PRIVATE | kernel.RECURSIVE)
    Path("/etc/slurm").mkdir(exist_ok=True)
    kernel.mount(place / "etc", "/etc/slurm", flags=kernel.BIND)
    for name in ("hosts", "nsswitch.conf", "resolv.conf"):
        target = Path("/etc", name).resolve()  # resolv.conf is often a link
        if not target.exists() and target.parent.is_dir():
            target.touch()  # a bare machine may have none
        kernel.mount(place / "etc" / name, target, flags=kernel.BIND)
    nodehost.mount_run(spec)
    kernel.mount("none", "/sys", "sysfs")


def _hub(spec: Spec, proc: int) -> None:
    """Process 1 of the cluster."""
    kernel.unshare(kernel.NEW_MOUNTS)
    (spec.directory / "run/hub.pid").write_text(identity(proc))
    kernel.mount("none", "/proc", "proc")
    nodehost.ip(
        "link set lo up",
        *(f"link add {switch} type bridge" for switch, _ in nodehost.SWITCHES.values()),
        *(f"link set {switch} up" for switch, _ in nodehost.SWITCHES.values()),
        f"addr add {spec.address(LOGIN)}/24 dev br0",
    )
    _start_munged(spec)
    if spec.dbd:
        start_database(spec)
    controller = _daemon("slurmctld", "-i", "-D")
    until(lambda: _listens(controller, spec.address(LOGIN), CONTROLLER_PORT), 30, "slurmctld listens")
    nodehost.start(spec, spec.names(), proc)
    (spec.directory / "run/ready").touch()
    nodehost.reap()


def _start_munged(spec: Spec) -> None:
    secret = spec.directory / "munge"
    _daemon(
        "munged",
        "--force",
        "--foreground",
        "--num-threads=2",
        f"--key-file={secret}/key",
        f"--seed-file={secret}/seed",
        f"--pid-file={spec.directory}/run/munged.pid",
        f"--log-file={spec.directory}/log/munged.log",
        "--socket=/run/munge/munge.socket.2",
    )
    until(Path("/run/munge/munge.socket.2").exists, 20, "munged listens")


def _daemon(*argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _listens(daemon: subprocess.Popen[bytes], address: str, port: int) -> bool:
    if daemon.poll() is not None:
        raise SystemExit(f"{daemon.args!r} ended with {daemon.returncode}")
    with suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def _end(spec: Spec, hub: int) -> None:
    """End everything: first the controller in order, so that it saves its state, then all at once."""
    ours = [process for process in in_namespace("net", os.getpid()) if process.pid != os.getpid()]
    controllers = [process for process in ours if process.name == "slurmctld"]
    send(controllers, signal.SIGTERM)
    with suppress(TimeoutError):
        until(lambda: not any(_alive(process.pid) for process in controllers), 3, "slurmctld ends")
    with suppress(ProcessLookupError):
        os.kill(hub, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(hub, 0)
    end = time.monotonic() + 3  # clients (srun, salloc, ...) that somebody left on the login host
    while time.monotonic() < end:
        left = [one for one in in_namespace("net", os.getpid()) if one.pid != os.getpid() and one.state != "Z"]
        if not left:
            break
        send(left, signal.SIGKILL)
        time.sleep(0.01)
    for directory in ("run", "bin"):
        for file in (spec.directory / directory).iterdir():
            if file.is_file():
                file.unlink()


def _alive(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
