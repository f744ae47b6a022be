"""The system calls behind the nodes: Python has `os.unshare` and `os.setns` only from 3.12 on, and never `mount`."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

NEW_MOUNTS = 0x00020000
NEW_HOSTNAME = 0x04000000
NEW_IPC = 0x08000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

READ_ONLY = 0x1
REMOUNT = 0x20
BIND = 0x1000
RECURSIVE = 0x4000
PRIVATE = 0x40000

_PARENT_DEATH_SIGNAL = 1

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Give this process (with `NEW_PIDS`: its next child) namespaces of its own."""
    _check(_libc.unshare(flags), "unshare")


def enter(pid: int, *kinds: str) -> None:
    """Join namespaces of the process `pid`; kinds as named in /proc/PID/ns, `pid` counts for children only."""
    files = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in kinds]  # before /proc becomes another one
    for file, kind in zip(files, kinds, strict=True):
        _check(_libc.setns(file, 0), f"setns {kind} of process {pid}")
        os.close(file)


def mount(source: str | Path, target: str | Path, kind: str = "none", flags: int = 0, options: str = "") -> None:
    """mount(2).

    Raises:
        OSError: With both paths in its text.
    """
    names = [os.fsencode(text) for text in (source, target, kind, options)]
    result = _libc.mount(names[0], names[1], names[2], ctypes.c_ulong(flags), names[3] or None)
    _check(result, f"mount {source} at {target}")


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as its parent ends."""
    _check(_libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
