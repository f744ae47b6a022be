"""Copy a model to a node's own disk: what is missing or different there, and only once at a time.

    python -I -S orchestrator.pyz --stage '{"source": …, "target": …, "record": …}'

A file is the same if it has the same size and the same time of change. Each is written beside its place and then put
there; the mark `.srtctl-staged.json` is there only while the directory is complete.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srtctl import rundir

MARK = ".srtctl-staged.json"
PARTIAL = ".srtctl-partial"
AT_ONCE = 8  # one stream alone doesn't use a parallel file system
CHUNK_BYTES = 16 << 20
STALL_S = 900.0
SAY_EVERY_S = 30.0
SPARE_BYTES = 64 << 20
GIB = 1 << 30


class RefusedError(Exception):
    """It can't be done; the text says why, for the user."""


@dataclass
class Progress:
    """Bytes done, and of how many."""

    done: int = 0
    total: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        with self._lock:
            self.done += count


def main() -> int:
    """Entry of `orchestrator.pyz --stage`."""
    order = json.loads(sys.argv[2])
    return told(lambda: stage_and_record(order))


def stage_and_record(order: dict[str, Any]) -> None:
    begun = time.time()
    copied = stage(Path(order["source"]), Path(order["target"]))
    record(Path(order["record"]), [{"source": order["source"], "path": order["target"], "copied_bytes": copied,
                                    "seconds": round(time.time() - begun, 3)}])  # fmt: skip


def told(work: Callable[[], None]) -> int:
    """Run something; what refuses it is said in one line."""
    try:
        work()
    except RefusedError as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0


def record(path: Path, entries: list[dict[str, Any]]) -> None:
    """Keep what was got, for the record of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rundir.write_json(path, entries)


def stage(source: Path, target: Path) -> int:
    """Make `target` a copy of `source`; returns the bytes that were copied.

    Raises:
        RefusedError: There is not enough space, or a file can't be read or written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            return _stage(source, target)
    except OSError as error:
        raise RefusedError(f"{source} could not be copied to {target}: {error}") from error


def _stage(source: Path, target: Path) -> int:
    wanted = dict(files_of(source))
    if not wanted:
        raise RefusedError(f"there is nothing in {source}")
    there = {name: stat for name, stat in files_of(target) if name not in (MARK, f"{MARK}.lock")}
    missing = {name: stat for name, stat in wanted.items() if not same(stat, there.get(name))}
    surplus = [name for name in there if name not in wanted]
    if not missing and not surplus and (target / MARK).exists():
        print(f"{target} is complete: nothing to copy", flush=True)
        return 0
    (target / MARK).unlink(missing_ok=True)
    for name in surplus:
        (target / name).unlink()
    total = sum(stat.st_size for stat in missing.values())
    _check_space(target, total - sum(there[name].st_size for name in missing if name in there))
    progress = Progress(total=total)
    with watched(lambda: progress.done, f"copying {source}", total), ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lambda name: _copy(source / name, target / name, progress), missing):
            pass
    rundir.write_json(target / MARK, {"source": str(source), "files": len(wanted), "finished_at": time.time()})
    print(f"copied {len(missing)} of {len(wanted)} files, {total / GIB:.2f} GiB, to {target}", flush=True)
    return total


def files_of(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(path relative to the directory, what it is) of every file below it, links followed; hidden directories left
    out: they are those of version control and caches."""
    seen = set()
    for path, folders, files in os.walk(directory, followlinks=True):
        if os.path.realpath(path) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(path))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            full = Path(path) / name
            yield str(full.relative_to(directory)), full.stat()


def same(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Some file systems keep whole seconds only."""
    return other is not None and one.st_size == other.st_size and int(one.st_mtime) == int(other.st_mtime)


def _copy(source: Path, target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL)
    with source.open("rb") as read, partial.open("wb") as write:
        while chunk := read.read(CHUNK_BYTES):
            write.write(chunk)
            progress.add(len(chunk))
    shutil.copystat(source, partial)
    os.replace(partial, target)


def _check_space(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target).free
    if needed + SPARE_BYTES > free:
        raise RefusedError(
            f"{target} has not enough space: {needed / GIB:.1f} GiB are to be copied, {free / GIB:.1f} GiB are free; "
            "free some, or set model.stage_dir to another disk"
        )


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Two runs that stage the same model on one node do it one after the other."""
    lock = os.open(target / f"{MARK}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def watched(done: Callable[[], int], what: str, total: int = 0, stall_s: float = STALL_S) -> Iterator[None]:
    """Say now and then how far it is, and end this program when nothing moves any more."""
    over = threading.Event()

    def watch() -> None:
        last, moved_at, said_at = done(), time.monotonic(), time.monotonic()
        while not over.wait(1.0):
            now, seen = time.monotonic(), done()
            if seen != last:
                last, moved_at = seen, now
            if now - moved_at > stall_s:
                print(f"error: {what}: nothing has come for {stall_s:.0f} s, after {seen / GIB:.2f} GiB", flush=True)
                os._exit(1)
            if now - said_at > SAY_EVERY_S:
                said_at = now
                print(f"{what}: {seen / GIB:.2f} GiB" + (f" of {total / GIB:.2f}" if total else ""), flush=True)

    threading.Thread(target=watch, name="watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()
