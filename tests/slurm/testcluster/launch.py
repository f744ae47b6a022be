"""From a cluster's description to its processes, as the process does it that starts one."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import stat
import subprocess
import sys

from .node import ROOT
from .packages import SEARCH_PATH, UnavailableError, find
from .spec import Spec, etc_files

CLIENTS = "sbatch srun salloc scancel squeue sinfo scontrol sacct sacctmgr sstat sattach sbcast sdiag sprio".split()
_NEW_EACH_TIME = ("state", "spool", "log", "run", "bin", "local", "etc", "database")
_NAMESPACES = {"login": "num", "hub": "nump"}

# nsenter's own option for the working directory keeps the outer mount of it, so a shell changes there.
_IN_DIRECTORY = ["/bin/sh", "-c", 'cd -- "$0" && exec "$@"']


def write_files(spec: Spec) -> None:
    """Make the cluster's directory anew: settings, key, device files."""
    place = spec.directory
    for name in _NEW_EACH_TIME:
        shutil.rmtree(place / name, ignore_errors=True)
    for name in ("etc", "log", "run/munge", "bin", "state", "spool", "local", "munge", "dev", "empty"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / "munge").chmod(0o700)
    key = place / "munge/key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    for index in range(spec.gpus):  # a regular file is no GPU to slurmd, any character device is one
        device = place / f"dev/nvidia{index}"
        if not device.exists():
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(195, index))
    for name, text in etc_files(spec, _slurm_version()).items():
        (place / "etc" / name).write_text(text)
    spec.save()


def launch(spec: Spec, *, detached: bool) -> tuple[subprocess.Popen[bytes], int | None]:
    """Start the cluster's processes.

    Returns:
        The outermost process, and the descriptor that keeps the cluster alive while it is open (None: detached).
    """
    watched, lifeline = (-1, None) if detached else os.pipe()
    argv = [sys.executable, "-S", "-m", "tests.slurm.testcluster.hub", "run", str(spec.directory), str(watched)]
    with (spec.directory / "log/hub.log").open("w") as log:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env={"PATH": SEARCH_PATH, "LANG": "C.UTF-8", "HOME": "/root"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[watched] if watched >= 0 else [],
            start_new_session=True,
        )
    if watched >= 0:
        os.close(watched)
    return process, lifeline


def write_wrappers(spec: Spec, login: int) -> None:
    """Write bin/sbatch and its like: the real ones, run on the login host, for callers outside."""
    for name in CLIENTS:
        if program := find(name):
            enter = shlex.join([*_enter(login, "login"), *_IN_DIRECTORY])
            wrapper = spec.directory / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nunset SLURM_CONF\nexec {enter} "$PWD" {program} "$@"\n')
            wrapper.chmod(0o755)


def prefix(pid: int, host: str, directory: str) -> list[str]:
    """What stands before a command to run it on a host.

    Args:
        pid: A process there.
        host: `login`, `hub` or a node's name.
        directory: Working directory, as seen there.
    """
    return [*_enter(pid, host), *_IN_DIRECTORY, directory]


def _enter(pid: int, host: str) -> list[str]:
    return ["nsenter", "-t", str(pid), *(f"-{kind}" for kind in _NAMESPACES.get(host, "numip"))]


def _slurm_version() -> tuple[int, int]:
    text = subprocess.run([find("slurmd") or "slurmd", "-V"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\d+)\.(\d+)", text)
    if match is None:
        raise UnavailableError(f"slurmd doesn't tell its version: {text!r}")
    return int(match[1]), int(match[2])
