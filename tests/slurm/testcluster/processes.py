"""Processes of a cluster as this machine sees them. Every node numbers its own from 1; here are the outer numbers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process.

    Attributes:
        pid: Its number outside, for signals.
        node_pid: Its number in its own node.
        name: The kernel's name for it, at most 15 characters.
        argv: Its command line; empty for one that is just ending.
        state: One letter: R, S, D, T (stopped), Z (ended, not reaped), ...
    """

    pid: int
    node_pid: int
    name: str
    argv: tuple[str, ...]
    state: str


def until(condition: Callable[[], bool], seconds: float, what: str, every_s: float = 0.02) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not become true; `what` says what was waited for.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(every_s)


def identity(proc_fd: int) -> str:
    """Number and start time of the calling process, as the procfs behind `proc_fd` numbers it."""
    pid = os.readlink("self", dir_fd=proc_fd)
    stat = os.open(f"{pid}/stat", os.O_RDONLY, dir_fd=proc_fd)
    try:
        return f"{pid} {_start_time(os.read(stat, 4096).decode(errors='replace'))}"
    finally:
        os.close(stat)


def recall(path: Path) -> int | None:
    """The living process whose `identity` a file holds; None if there is none. A reused number is no match."""
    try:
        pid, started = path.read_text().split()
        stat = Path("/proc", pid, "stat").read_text(errors="replace")
    except (OSError, ValueError):
        return None
    if _start_time(stat) != started or _after_name(stat)[0] in "ZX":
        return None
    return int(pid)


def in_namespace(kind: str, of_pid: int) -> list[Process]:
    """Every process whose namespace of this kind (as in /proc/PID/ns) is that of `of_pid`, itself too."""
    wanted = Path(f"/proc/{of_pid}/ns/{kind}").readlink()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if place.joinpath("ns", kind).readlink() == wanted:
                found.append(_read(place))
        except (OSError, ValueError, KeyError):
            continue  # ended meanwhile
    return found


def send(processes: list[Process], number: int) -> None:
    """Send a signal to all of them; one that has ended is passed over."""
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def _read(place: Path) -> Process:
    fields = dict(line.split(":\t", 1) for line in place.joinpath("status").read_text().splitlines() if ":\t" in line)
    argv = place.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    node_pid = int(fields["NSpid"].split()[-1])
    return Process(int(place.name), node_pid, fields["Name"].strip(), tuple(argv), fields["State"].strip()[0])


def _after_name(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split()  # the name may hold spaces and brackets


def _start_time(stat: str) -> str:
    return _after_name(stat)[19]
