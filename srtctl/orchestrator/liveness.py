"""Is the run of an attempt directory alive? Only reads: nothing is written, nobody is asked but the kernel."""

from __future__ import annotations

import enum
import fcntl
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from srtctl import rundir
from srtctl.orchestrator import proctree

STALE_S = 60.0  # a living orchestrator writes its status at least every few seconds
BEGINNING_S = 10.0  # from making the directory to the first status, on a machine that is very busy


class State(enum.Enum):
    """What can be said about a run from here."""

    ABSENT = "absent"  # nothing has been started yet
    RUNNING = "running"
    ENDED = "ended"  # its status says how
    LOST = "lost"  # it ended without saying so
    UNKNOWN = "unknown"  # on another machine: ask Slurm; `stale` in the detail hints at lost


@dataclass(frozen=True)
class Liveness:
    """The answer.

    Attributes:
        state: See `State`.
        detail: For people: pid and host, or what gave it away.
        stale: The last sign of life is older than `STALE_S`.
    """

    state: State
    detail: str = ""
    stale: bool = False


def liveness(attempt: rundir.AttemptDir, now: float | None = None) -> Liveness:
    """Judge one attempt directory.

    Args:
        attempt: What to look at.
        now: Unix seconds; the present by default.
    """
    try:
        status = rundir.read_json(attempt.status)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        if not attempt.path.is_dir():
            return Liveness(State.ABSENT)
        return _without_status(attempt, time.time() if now is None else now)
    if status.get("phase") == "done":
        return Liveness(State.ENDED, str(status.get("outcome")))
    age = (time.time() if now is None else now) - float(status.get("updated_at") or 0.0)
    where = f"pid {status.get('pid')} on {status.get('host')}"
    if status.get("host") != socket.gethostname():
        return Liveness(State.UNKNOWN, f"{where}, last heard of {age:.0f} s ago", age > STALE_S)
    if _locked(attempt) or _same_process(status):
        return Liveness(State.RUNNING, where, age > STALE_S)
    rebooted = status.get("boot_id") not in ("", None, proctree.boot_id())
    return Liveness(State.LOST, f"{where} is gone" + (": the machine was started again" if rebooted else ""), True)


def _without_status(attempt: rundir.AttemptDir, now: float) -> Liveness:
    """A run makes its directory, takes its lock and writes its status, in this order; a reader may come in between."""
    try:
        age = now - attempt.path.stat().st_mtime
    except OSError:
        return Liveness(State.ABSENT)
    if _locked(attempt) or age < BEGINNING_S:
        return Liveness(State.RUNNING, "starting")
    return Liveness(State.LOST, "it left no status")


def _same_process(status: dict[str, Any]) -> bool:
    """The process that wrote this status is still there: same boot, same pid, same start time, no zombie."""
    if status.get("boot_id") != proctree.boot_id():
        return False
    one = proctree.entry(int(status.get("pid") or 0))
    return one is not None and one.state not in ("Z", "X") and one.start == status.get("pid_start")


def _locked(attempt: rundir.AttemptDir) -> bool:
    """True if the orchestrator holds its lock; False also where the file system has no locks."""
    try:
        lock = os.open(attempt.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False
