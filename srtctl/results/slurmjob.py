"""What Slurm's word about a job and the run's own word together say about an allocation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from srtctl.orchestrator.liveness import STALE_S
from srtctl.slurm.queue import Job, ended_text, span_text, waiting_text
from srtctl.slurm.reasons import end_of

SUBMITTED_S = 30.0  # a job that Slurm took this long ago is in its queue
FAR_S = 7 * 86400.0  # a time limit further off than that is none that matters
SKEW_S = 2.0  # between the clocks of the controller and of a node


@dataclass(frozen=True)
class Evidence:
    """All that is known about an allocation that was handed to Slurm.

    Attributes:
        now: Unix seconds.
        job_id: The job's number.
        job: What Slurm says; None if it doesn't know the job.
        answered_at: Unix seconds: when Slurm said so.
        silent: Why Slurm could not be asked; empty if it was.
        status: The latest attempt's status.json; empty without one.
        stop_asked: `srtctl cancel` asked for an end.
        submitted_at: Unix seconds.
        log: Where the batch script's own output is.
        sweep_id: For hints.
    """

    now: float
    job_id: str
    job: Job | None
    answered_at: float
    silent: str
    status: Mapping[str, Any]
    stop_asked: bool
    submitted_at: float
    log: str
    sweep_id: str

    @property
    def silence_s(self) -> float:
        """Since the run's last sign of life."""
        return self.now - float(self.status.get("updated_at") or 0.0)


@dataclass(frozen=True)
class Verdict:
    """An allocation's state in one word, what there is to say about it, and whether status.json still counts.

    `earlier` marks a status.json of a run that is over: Slurm has put the job back into its queue since.
    """

    state: str
    detail: str = ""
    earlier: bool = False


def judge(known: Evidence) -> Verdict:
    """The state of an allocation. `running` is only said of what Slurm says runs and what gives signs of life."""
    job = known.job
    if job is not None and job.waits and float(known.status.get("updated_at") or 0.0) > known.answered_at:
        return _begun(known, job)
    if job is not None and job.waits:
        return _waiting(known, job)
    if job is not None and job.runs and _is_earlier(known.status, job):
        return Verdict("running", f"job {job.job_id} starts again on {job.nodes}", earlier=True)
    if known.status.get("phase") == "done":
        return Verdict(str(known.status.get("outcome") or "failed"), str(known.status.get("outcome")))
    if job is None and known.silent:
        return _unasked(known)
    if job is None:
        return _unknown_to_slurm(known)
    return _running(known, job) if job.runs else _ended(known, job)


def _begun(known: Evidence, job: Job) -> Verdict:
    """It waited when Slurm was asked last, and has given a sign of life since."""
    if known.status.get("phase") == "done":
        return Verdict(str(known.status.get("outcome") or "failed"))
    return Verdict("running", f"job {job.job_id} on {known.status.get('host')}")


def _waiting(known: Evidence, job: Job) -> Verdict:
    again = "was put back into the queue: " if known.status else ""
    return Verdict("queued", f"job {job.job_id}: {again}{waiting_text(job, known.now)}", earlier=bool(known.status))


def _is_earlier(status: Mapping[str, Any], job: Job) -> bool:
    """Whether the status was last written before the job's present run began."""
    return bool(status) and job.start is not None and float(status.get("updated_at") or 0.0) < job.start - SKEW_S


def _running(known: Evidence, job: Job) -> Verdict:
    where = f"job {job.job_id} on {job.nodes}"
    if job.state == "SUSPENDED":
        return Verdict("running", f"{where}, suspended by Slurm")
    if not known.status:
        return Verdict("running", f"{where}, starting" if job.state == "RUNNING" else f"{where}, {job.state.lower()}")
    if known.silence_s > STALE_S:
        quiet = span_text(known.silence_s)
        return Verdict("unknown", f"{where}: Slurm calls it {job.state}, but it gave no sign of life for {quiet}")
    limited = job.time_left_s is not None and job.time_left_s < FAR_S
    left = f", {span_text(job.time_left_s)} until its time limit" if limited and job.time_left_s is not None else ""
    return Verdict("running", where + left)


def _ended(known: Evidence, job: Job) -> Verdict:
    end = end_of(job.state)
    said = f"job {job.job_id}: {ended_text(job, known.sweep_id)}"
    if known.stop_asked:
        return Verdict("cancelled", "it was cancelled" + ("" if known.status else " before it began"))
    if not known.status and end.outcome == "lost":
        return Verdict("failed", f"job {job.job_id} ended before the run began (Slurm: {job.state}); see {known.log}")
    return Verdict(end.outcome, said)


def _unasked(known: Evidence) -> Verdict:
    """Slurm doesn't answer: only the run's own signs are left."""
    if known.status and known.silence_s <= STALE_S:
        return Verdict("running", f"job {known.job_id}; Slurm does not answer: {known.silent}")
    last = f"last heard of {span_text(known.silence_s)} ago; " if known.status else ""
    return Verdict("unknown", f"job {known.job_id}: {last}Slurm does not answer: {known.silent}")


def _unknown_to_slurm(known: Evidence) -> Verdict:
    if not known.status and known.now - known.submitted_at <= SUBMITTED_S:
        return Verdict("queued", f"job {known.job_id}: Slurm has it since a moment ago")
    if not known.status and known.stop_asked:
        return Verdict("cancelled", "it was cancelled before it began")
    if not known.status:
        return Verdict("lost", f"Slurm does not know job {known.job_id} any more, and it left nothing; see {known.log}")
    quiet = span_text(known.silence_s)
    if known.silence_s <= STALE_S:
        return Verdict("unknown", f"Slurm does not know job {known.job_id} any more; last heard of {quiet} ago")
    return Verdict(
        "lost", f"Slurm does not know job {known.job_id} any more, and its run gave no sign of life for {quiet}"
    )
