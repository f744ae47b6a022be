"""What the kernel knows about processes: descendants, start times; and a few calls that Python lacks (Linux)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

_IN_CREATE = 0x100
_IN_MOVED_TO = 0x80

_libc = ctypes.CDLL(None, use_errno=True)


class Entry(NamedTuple):
    """One process: parent, state letter, session, start time in clock ticks since boot."""

    parent: int
    state: str
    session: int
    start: int


def become_subreaper() -> None:
    """From now on every orphaned descendant becomes our child instead of init's."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """SIGKILL for this process when its parent ends (survives exec, not fork)."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def set_name(name: str) -> None:
    """The name that `ps` and `top` show (15 characters)."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def entry(pid: int) -> Entry | None:
    """The kernel's line about `pid`, None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()  # the name in brackets may hold anything, brackets too
    return Entry(int(fields[1]), fields[0].decode(), int(fields[3]), int(fields[19]))


def table() -> dict[int, Entry]:
    """All processes that can be seen."""
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            one = entry(int(name))
            if one is not None:
                found[int(name)] = one
    return found


def descendants(root: int, processes: dict[int, Entry] | None = None) -> list[int]:
    """Every process below `root`, parents before children; `root` itself is left out."""
    processes = table() if processes is None else processes
    children: dict[int, list[int]] = {}
    for pid, one in processes.items():
        children.setdefault(one.parent, []).append(pid)
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def reap() -> list[tuple[int, int]]:
    """Collect every child that has ended: (pid, exit code or minus the signal)."""
    ended = []
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended


def kill_descendants(spare: int | None = None, within_s: float = 5.0) -> tuple[list[tuple[int, int]], list[int]]:
    """SIGKILL everything below this process, again until nothing is left; needs `become_subreaper`.

    Args:
        spare: A child that is left alone (its own descendants are not).
        within_s: How long to go on; a process in an uninterruptible system call can outlive SIGKILL.

    Returns:
        Children that ended as (pid, code), and the processes that are still there.
    """
    ended: list[tuple[int, int]] = []
    deadline = time.monotonic() + within_s
    while True:
        ended += reap()
        processes = table()
        left = [p for p in descendants(os.getpid(), processes) if p != spare and processes[p].state != "Z"]
        if not left or time.monotonic() > deadline:
            return ended + reap(), left  # the last ones may have ended after the look above
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def watch_directory(path: Path) -> tuple[int, ...]:
    """A descriptor that becomes readable when a name appears in a directory; none where the kernel has none to give."""
    watcher = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if watcher < 0:
        return ()
    if _libc.inotify_add_watch(watcher, os.fsencode(path), _IN_CREATE | _IN_MOVED_TO) < 0:
        os.close(watcher)
        return ()
    return (watcher,)


def marked(pid: int, mark: bytes) -> bool:
    """True if the environment that `pid` was started with holds `mark` (`NAME=value`)."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def of_job(job_id: str) -> list[int]:
    """Processes of a Slurm job on this node: those that Slurm has told its number, and what came from them.

    Programs that give themselves a title write it over the environment they were started with, so that their own may
    say nothing.
    """
    if not job_id:
        return []
    processes = table()
    told = {pid for pid in processes if marked(pid, f"SLURM_JOB_ID={job_id}".encode())}
    sessions = {processes[pid].session for pid in told} - {0}  # 0: of a leader that can't be seen from here
    found = told | {pid for pid, one in processes.items() if one.session in sessions}
    return sorted(found.union(*(descendants(pid, processes) for pid in told)))


def boot_id() -> str:
    """Changes with every boot of the machine; empty where unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When `pid` was started, in clock ticks since boot: with the pid it names one process for good."""
    one = entry(pid)
    return None if one is None else one.start
