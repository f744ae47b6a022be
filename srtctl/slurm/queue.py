"""The user's jobs as Slurm sees them: one squeue for all of them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath

from srtctl.slurm.command import run
from srtctl.slurm.reasons import end_of, reason_of

# A byte that stands in no name, reason or path that srtctl submits; the directory is last, since anything may be in it.
_SEPARATOR = "\x1f"
_FIELDS = ("%i", "%T", "%r", "%S", "%L", "%N", "%V", "%P", "%Z")

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
RUNNING = frozenset(
    {"RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
)
_NOTHING = frozenset({"", "N/A", "NONE", "None", "Unknown", "UNLIMITED", "INVALID", "NOT_SET", "(null)", "n/a"})


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        job_id: Its number; of a heterogeneous job that of the whole.
        state: Slurm's long word, such as PENDING.
        reason: Slurm's word for why it waits or ended.
        work_dir: Where it was submitted for: the allocation's directory; empty where that isn't known.
        start: Unix seconds: when it started, or is expected to; None where Slurm can't say.
        time_left_s: Until its time limit; None without one.
        nodes: Slurm's list of its nodes, such as `n[1-4]`; empty while it waits.
        submitted: Unix seconds.
        partition: Where it waits or runs.
        exit_code: `code:signal` where accounting told it.
    """

    job_id: str
    state: str
    reason: str = ""
    work_dir: str = ""
    start: float | None = None
    time_left_s: float | None = None
    nodes: str = ""
    submitted: float | None = None
    partition: str = ""
    exit_code: str = ""

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    @property
    def runs(self) -> bool:
        return self.state in RUNNING

    @property
    def ended(self) -> bool:
        return not self.waits and not self.runs

    def is_for(self, directory: PurePath) -> bool:
        """Whether it was submitted for this allocation. Ids may be given out again, and a sweep's id never is."""
        return not self.work_dir or directory_key(PurePath(self.work_dir)) == directory_key(directory)


def directory_key(directory: PurePath) -> str:
    """What is the same however the file system was entered: a sweep's id, and the allocation."""
    return "/".join(directory.parts[-3:])


def ask_queue() -> dict[str, Job]:
    """Every job of the user, those too that ended within Slurm's short memory (MinJobAge), by id.

    Raises:
        SrtctlError: There is no Slurm here, or it doesn't answer.
    """
    answer = run(["squeue", "--me", "--noheader", "--states=all", f"--format={_SEPARATOR.join(_FIELDS)}"])
    return parse_queue(answer.stdout)


def parse_queue(text: str) -> dict[str, Job]:
    """squeue's lines as jobs; lines of another form (headings of several clusters) are none."""
    jobs: dict[str, Job] = {}
    for line in text.split("\n"):
        parts = line.split(_SEPARATOR, len(_FIELDS) - 1)
        if len(parts) != len(_FIELDS):
            continue
        one = _job(parts)
        number, _, component = parts[0].strip().partition("+")
        other = jobs.get(number)
        if other is None:
            jobs[number] = one
            continue
        first, second = (one, other) if component in ("", "0") else (other, one)
        jobs[number] = replace(first, nodes=",".join(nodes for nodes in (first.nodes, second.nodes) if nodes))
    return jobs


def _job(parts: list[str]) -> Job:
    number, state, reason, start, left, nodes, submitted, partition = (part.strip() for part in parts[:-1])
    return Job(
        job_id=number.partition("+")[0],
        state=state,
        reason=reason,
        work_dir=parts[-1],
        start=moment(start),
        time_left_s=duration_s(left),
        nodes="" if nodes in _NOTHING else nodes,
        submitted=moment(submitted),
        partition=partition,
    )


def moment(text: str) -> float | None:
    """Slurm's `2026-01-31T12:00:00`, local time, as Unix seconds."""
    if text in _NOTHING:
        return None
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        return None


def duration_s(text: str) -> float | None:
    """Slurm's `1-02:03:04` in seconds; less than nothing (a limit that is over) is 0."""
    if text in _NOTHING:
        return None
    days, dash, clock = text.rpartition("-")
    negative = bool(dash) and not days
    try:
        seconds = 0
        for part in clock.split(":"):
            seconds = 60 * seconds + int(part)
        total = float(86400 * int(days or 0) + seconds)
    except ValueError:
        return None
    return 0.0 if negative else total


def waiting_text(job: Job, now: float) -> str:
    """Why it waits and until when, in words: `jobs with a higher priority are before it; expected in 2 h 5 min`."""
    reason = reason_of(job.reason)
    parts = [reason.words]
    if job.start is not None and job.start > now and not reason.stuck:
        parts.append(f"expected to start in {span_text(job.start - now)}")
    if reason.stuck:
        parts.append("it will not start by itself")
    if reason.advice:
        parts.append(reason.advice.replace("JOB", job.job_id))
    return "; ".join(parts)


def ended_text(job: Job, sweep_id: str = "SWEEP") -> str:
    """How it ended, in words, and what to do."""
    end = end_of(job.state)
    where = f" on {job.nodes}" if job.nodes and end.state in ("NODE_FAIL", "OUT_OF_MEMORY") else ""
    said = _exit_text(job.exit_code) if end.outcome == "lost" else ""
    return f"{end.words}{where}{said} (Slurm: {job.state}); {end.advice.replace('SWEEP', sweep_id)}"


def _exit_text(exit_code: str) -> str:
    code, _, signal = exit_code.partition(":")
    if signal not in ("", "0"):
        return f": signal {signal}"
    return f": exit code {code}" if code not in ("", "0") else ""


def span_text(seconds: float) -> str:
    """`2 d 3 h`, `2 h 5 min`, `4 min`, `50 s`."""
    whole = int(seconds)
    if whole >= 86400:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min" if whole >= 60 else f"{whole} s"


def numbers_text(job_ids: Iterable[str]) -> str:
    """`120-176, 180`."""
    from srtctl.errors import format_ranges

    ids = list(job_ids)
    return format_ranges(int(one) for one in ids) if all(one.isdecimal() for one in ids) else ", ".join(ids)
