"""What processes leave in a machine's shared memory when they are killed, and how it is known to be theirs.

Whoever dies of SIGKILL removes no name there. SGLang never removes the table of its load, and it kills its children,
Python's resource tracker among them, which would have removed their semaphores.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from srtctl.orchestrator.proctree import boot_id, watch_directory
from srtctl.rundir import read_json, write_json

PLACE = Path("/dev/shm")  # noqa: S108
PAUSE_S = 0.1
LOOK_EVERY_S = 1.0  # where nothing wakes us
LOOKS_APART_S = 0.3  # others may make files there all the time

# Names that libraries choose by themselves, and that nobody looks for later. A file that somebody has named is not
# ours to remove: people keep models there.
FAMILIES = (
    "sem.",  # POSIX semaphores, such as those of Python's multiprocessing
    "psm_",  # Python's blocks of shared memory
    "torch_",
    "sglang_loads_",
    "sgl_shm_",
    "multi_tokenizer_args_",  # SGLang's
    "nccl-",
    "cuda.shm.",
    "ucx_shm_posix_",
    "quadd-agent-instance-",  # nsys
)


class SharedMemory:
    """Knows which files in shared memory were made since it was, and were held by processes of ours.

    Args:
        ours: Says which processes are ours at this moment.

    Attributes:
        wakers: Descriptors that become readable when there is something to look at.
    """

    def __init__(self, ours: Callable[[], Iterable[int]]):
        self._ours = ours
        self.wakers = watch_directory(PLACE)
        self._news = False
        self._look_at = 0.0
        self._others = set(_files().items())
        self._held: set[tuple[str, int]] = set()
        self._record: Path | None = None

    def remember(self, record: Path) -> None:
        """Keep a record of what ours hold, for `clear_record` should this process be killed."""
        self._record = record
        self._write()

    def look(self) -> float:
        """Note what ours hold of what is new. Costs nothing while no file comes there.

        Returns:
            Seconds after which to look again at the latest.
        """
        for waker in self.wakers:
            with contextlib.suppress(OSError):
                self._news |= bool(os.read(waker, 1 << 16))
        if self.wakers and not self._news:
            return LOOK_EVERY_S
        now = time.monotonic()
        if now < self._look_at:
            return self._look_at - now
        self._look_at = now + LOOKS_APART_S
        self.note()
        return LOOK_EVERY_S

    def note(self) -> None:
        """Note what ours hold now: also to be done before they are killed, after which nothing says what they held."""
        self._news = False
        new = set(_files().items()) - self._others - self._held
        if new:
            inodes = _held_by(self._ours())
            self._held |= {(name, inode) for name, inode in new if inode in inodes}
            self._write()

    def clear(self, within_s: float = 0.0) -> list[str]:
        """Remove what was held by ours and isn't held by anybody any more.

        Args:
            within_s: So long processes of ours that are just ending may take.

        Returns:
            Paths of what was removed.
        """
        deadline = time.monotonic() + within_s
        self.note()
        inodes = {inode for _, inode in self._held}
        removed: list[str] = []
        while True:
            waits = inodes and time.monotonic() < deadline and inodes & _held_by(self._ours())
            removed += _remove(self._held)
            if not waits:
                return removed
            time.sleep(PAUSE_S)

    def _write(self) -> None:
        if self._record is not None:
            with contextlib.suppress(OSError):
                write_json(self._record, {"boot_id": boot_id(), "held": sorted(self._held)})


def clear_record(record: Path) -> list[str]:
    """Remove what a dead run has noted there and nobody holds; returns paths."""
    try:
        noted = read_json(record) or {}
    except (OSError, ValueError):
        return []
    if noted.get("boot_id") != boot_id():  # these names are other files now
        return []
    return _remove({(str(name), int(inode)) for name, inode in noted.get("held", [])})


def _remove(files: set[tuple[str, int]]) -> list[str]:
    """Those of these (name, inode) that are still there and that no process holds; returns their paths."""
    mine = set(_files().items()) & files
    held = _held_by(_processes()) if mine else set()
    return [str(PLACE / name) for name, inode in sorted(mine) if inode not in held and _drop(name)]


def _drop(name: str) -> bool:
    with contextlib.suppress(OSError):
        (PLACE / name).unlink()
        return True
    return False


def _files() -> dict[str, int]:
    """Name -> inode of this user's files that libraries have named."""
    found = {}
    with contextlib.suppress(OSError), os.scandir(PLACE) as entries:
        for entry in entries:
            if entry.name.startswith(FAMILIES) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_uid == os.getuid():
                        found[entry.name] = status.st_ino
    return found


def _held_by(pids: Iterable[int]) -> set[int]:
    """Inodes that these processes have mapped or open. Names say nothing: a semaphore is made under another one."""
    with contextlib.suppress(OSError):
        device = PLACE.stat().st_dev
        return {inode for pid in pids for inode in (*_mapped(pid, device), *_open(pid, device))}
    return set()


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208


def _mapped(pid: int, device: int) -> Iterable[int]:
    mark = f" {os.major(device):02x}:{os.minor(device):02x} ".encode()
    with contextlib.suppress(OSError), open(f"/proc/{pid}/maps", "rb") as file:
        # address, permissions, offset, device, inode, path
        return [int(line.split(None, 5)[4]) for line in file.read().split(b"\n") if mark in line]
    return []


def _open(pid: int, device: int) -> Iterable[int]:
    found = []
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                status = os.stat(f"/proc/{pid}/fd/{number}")  # noqa: PTH116
                if status.st_dev == device:
                    found.append(status.st_ino)
    return found
