"""Private directories on a node's local disk, which go with the run that made them, and what dead runs left there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

from srtctl.orchestrator.sharedmemory import clear_record

LONGEST_TEMPORARY = 30  # bytes; where TMPDIR is longer than this, the short one is used
SHORT_TEMPORARY = "/tmp"  # noqa: S108
PREFIX = "srtctl-"
SHARED_MEMORY = ".shared-memory.json"  # what the run held there
_LOCK = ".lock"  # held as long as the run lives; its text is the machine's name


def make_scratch(label: str = "") -> Path:
    """A new private directory with a short path: the client puts Unix sockets into it, whose whole path, some 80
    characters longer, must stay under 108 bytes, or it can't start."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{label}", dir=_base()))


def lock_scratch(path: Path) -> int:
    """Mark a directory as one of a living run, until the descriptor that this returns is closed."""
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, socket.gethostname().encode())
    return lock


def remove_stale() -> list[str]:
    """Remove directories of dead runs of the same user on this machine, and what those held in shared memory.

    Returns:
        The directories.
    """
    removed = []
    for path in Path(_base()).glob(f"{PREFIX}*"):
        if _is_stale(path):
            clear_record(path / SHARED_MEMORY)
            shutil.rmtree(path, ignore_errors=True)
            removed.append(str(path))
    return removed


def remove(path: Path, within_s: float) -> bool:
    """Remove a directory in which processes may still be writing while they end; False if it is still there."""
    deadline = time.monotonic() + within_s
    while True:
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)


def _is_stale(path: Path) -> bool:
    """Ours, locked once on this very machine (a shared directory may hold those of others), and no longer locked."""
    try:
        if path.lstat().st_uid != os.getuid():
            return False
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.read(lock, 256) == socket.gethostname().encode()
    except OSError:
        return False
    finally:
        os.close(lock)


def _base() -> str:
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > LONGEST_TEMPORARY and os.access(SHORT_TEMPORARY, os.W_OK | os.X_OK):
        return SHORT_TEMPORARY
    return base
