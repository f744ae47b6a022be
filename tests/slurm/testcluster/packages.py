"""What a cluster needs from the machine: the right to make namespaces, and Debian's packages of Slurm."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

CLUSTER = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "munged": "munge",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
DATABASE = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server-core", "mariadb": "mariadb-client-core"}
PLUGIN = {"gcc": "gcc libc6-dev", "/usr/include/slurm/spank.h": "libslurm-dev"}
IMAGES = {"mksquashfs": "squashfs-tools"}


class UnavailableError(RuntimeError):
    """There can be no Slurm cluster on this machine; the text says why, and what it needs."""


def why_unavailable() -> str | None:
    """Why no cluster can be started here, whatever is installed; None if it can."""
    if os.geteuid() != 0:
        return "needs root: the nodes of a Slurm cluster have network, PID and mount namespaces of their own"
    with tempfile.TemporaryDirectory() as place:
        script = f"ip link add x type bridge && mknod {place}/gpu c 195 0"
        command = ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "sh", "-c", script]
        trial = subprocess.run(command, capture_output=True, text=True, check=False)
    if trial.returncode != 0 and ("not permitted" in trial.stderr or "denied" in trial.stderr):
        rights = "CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_MKNOD"
        return f"needs root with {rights}, for the nodes of a Slurm cluster: {trial.stderr.strip()}"
    return None


def find(program: str) -> str | None:
    """The path of a program, also of those that only root's PATH has; a path is checked as it is."""
    if program.startswith("/"):
        return program if Path(program).exists() else None
    return shutil.which(program, path=SEARCH_PATH)


def ensure(*needs: dict[str, str]) -> None:
    """Install the packages of all programs that are not there.

    Args:
        needs: Tables of program -> Debian packages, such as `CLUSTER`.

    Raises:
        UnavailableError: A package can't be installed; names it.
    """
    if not _absent(needs):
        return
    # Several test processes may find the same package missing at once.
    with Path(tempfile.gettempdir(), "slurm-testcluster-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages = _absent(needs)
        if packages:
            _install(packages)
        if left := _absent(needs):
            raise UnavailableError(f"packages {' '.join(left)} are installed, but not all of their programs are there")


def _absent(needs: Sequence[dict[str, str]]) -> list[str]:
    names = [names for table in needs for program, names in table.items() if find(program) is None]
    return sorted({package for group in names for package in group.split()})


def _install(packages: list[str]) -> None:
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if find("apt-get") is None:
        raise UnavailableError(f"a Slurm cluster needs the packages {' '.join(packages)}, and there is no apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get update", command):
        done = subprocess.run(step.split(), capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0 and step == command:
            raise UnavailableError(f"`{command}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
