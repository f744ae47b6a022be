"""How a node comes to be: run inside the cluster's own namespaces, by its process 1 or by a process that entered."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from . import kernel
from .processes import identity
from .spec import LOGIN, Spec

# Interface of a node -> the switch it is plugged into, and the name of the switch's end of its cable.
SWITCHES = {"eth0": ("br0", "port"), "fabric0": ("br1", "fast")}


def links_of(name: str) -> list[str]:
    """The switches' ends of a node's cables, interfaces of the login host."""
    return [f"{port}-{name}" for _, port in SWITCHES.values()]


def ip(*commands: str, check: bool = True) -> None:
    """Run commands of ip(8)."""
    done = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, capture_output=True, check=False)
    if check and done.returncode != 0:
        raise OSError(f"ip: {done.stderr.strip()} in: {'; '.join(commands)}")


def start(spec: Spec, names: list[str], proc: int) -> None:
    """Start nodes; each goes on by itself, as a child of the process 1 of this PID namespace.

    Args:
        spec: The cluster.
        names: Their names.
        proc: Descriptor of the outermost /proc.
    """
    if len(names) < spec.nodes:  # one had been up before: its old cable may be there still
        for link in (link for name in names for link in links_of(name)):
            ip(f"link del {link}", check=False)
    pipes = [(os.pipe(), os.pipe()) for _ in names]
    parents = [_fork(spec, name, proc, *pair) for name, pair in zip(names, pipes, strict=True)]
    cables = []
    for name, pid, (ready, _) in zip(names, parents, pipes, strict=True):
        os.read(ready[0], 1)  # it has its network namespace, the place for the other ends
        for interface, (switch, port) in SWITCHES.items():
            cables.append(f"link add {port}-{name} type veth peer name {interface} netns {pid}")
            cables.append(f"link set {port}-{name} master {switch} up")
    ip(*cables)
    for pid, (ready, go) in zip(parents, pipes, strict=True):
        os.write(go[1], b".")
        os.waitpid(pid, 0)
        for end in (*ready, *go):
            os.close(end)


def _fork(spec: Spec, name: str, proc: int, ready: tuple[int, int], go: tuple[int, int]) -> int:
    """Fork the process that makes a node's namespaces; the child that it leaves behind is the node's process 1."""
    pid = os.fork()
    if pid:
        return pid
    try:
        every = kernel.NEW_NETWORK | kernel.NEW_HOSTNAME | kernel.NEW_IPC | kernel.NEW_MOUNTS | kernel.NEW_PIDS
        kernel.unshare(every)
        os.write(ready[1], b".")
        os.read(go[0], 1)
        if os.fork() == 0:
            _node(spec, name, proc)
        os._exit(0)
    finally:
        os._exit(1)


def _node(spec: Spec, name: str, proc: int) -> None:
    """Process 1 of a node."""
    who = identity(proc)
    os.closerange(3, 256)
    log = os.open(spec.directory / f"log/{name}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
    socket.sethostname(name)
    _mount_node(spec, name)
    # The default route leads nowhere, nothing is forwarded; with it "my address" by an unsent UDP packet works.
    ip(
        "link set lo up",
        f"addr add {spec.address(name)}/24 dev eth0",
        "link set eth0 up",
        f"addr add {spec.fabric_address(name)}/24 dev fabric0",
        "link set fabric0 up",
        f"route add default via {spec.address(LOGIN)}",
    )
    (spec.directory / f"run/{name}.pid").write_text(who)
    subprocess.Popen(["slurmd", "-D", "-N", name], stdin=subprocess.DEVNULL)
    reap()


def reap() -> None:
    """What process 1 does all its life."""
    while True:
        with suppress(ChildProcessError):
            os.wait()
            continue
        time.sleep(0.2)


def mount_run(spec: Spec) -> None:
    """A /run of this host's own, with munged's socket in it."""
    kernel.mount("none", "/run", "tmpfs", options="mode=755")
    for name in ("munge", "node-local", "slurmd", "lock"):
        Path("/run", name).mkdir()
    kernel.mount(spec.directory / "run/munge", "/run/munge", flags=kernel.BIND)


def _mount_node(spec: Spec, name: str) -> None:
    place = spec.directory
    kernel.mount("none", "/", flags=kernel.PRIVATE | kernel.RECURSIVE)
    kernel.mount("none", "/proc", "proc")
    kernel.mount("none", "/sys", "sysfs")
    with suppress(OSError):  # OCI runtimes refuse a mixture of cgroup v1 and v2
        kernel.mount("none", "/sys/fs/cgroup", "cgroup2")
    mount_run(spec)
    spool = place / "spool" / name
    spool.mkdir(exist_ok=True)
    kernel.mount(spool, "/run/slurmd", flags=kernel.BIND)
    kernel.mount("none", "/run/node-local", "tmpfs", options="mode=1777")
    kernel.mount("none", "/dev/shm", "tmpfs", options="mode=1777")
    for directory in spec.local_dirs:
        _mount_local(spec, name, Path(directory))
    # Jobs inherit the submitter's PATH: in a node, sbatch and its like are the programs themselves.
    kernel.mount(place / "empty", place / "bin", flags=kernel.BIND)


def _mount_local(spec: Spec, name: str, directory: Path) -> None:
    """Put a directory of the node's own in the place of `directory`, with what is shared below it as it was."""
    own = spec.directory / "local" / name / directory.relative_to("/")
    own.mkdir(parents=True, exist_ok=True)
    own.chmod(directory.stat().st_mode & 0o7777)
    kernel.mount(own, own, flags=kernel.BIND)  # so that what is mounted below comes along
    for shared in (Path(path) for path in spec.shared_dirs):
        if directory in shared.parents:
            target = own / shared.relative_to(directory)
            target.mkdir(parents=True, exist_ok=True)
            kernel.mount(shared, target, flags=kernel.BIND | kernel.RECURSIVE)
    kernel.mount(own, directory, flags=kernel.BIND | kernel.RECURSIVE)
