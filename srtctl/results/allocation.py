"""The state of one allocation, from its files and from who runs it: this machine, or Slurm."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srtctl.orchestrator.liveness import State, liveness
from srtctl.reconcile import reconcile
from srtctl.results.slurmjob import Evidence, judge
from srtctl.rundir import AllocationDir, SweepDir, read_json
from srtctl.slurm.queue import Job
from srtctl.slurm.view import JobView

# Nothing more will happen in these.
ENDED = frozenset({"ok", "invalid", "failed", "cancelled", "lost", "not_run", "not_submitted", "withdrawn"})

INTENT_S = 30.0  # an allocation that was about to be submitted this long ago wasn't


@dataclass(frozen=True)
class AllocationState:
    """One allocation.

    Attributes:
        state: `not_submitted`, `queued`, `running`, `ok`, `failed`, `cancelled`, `lost`, or `unknown` (it was not
            heard of for a while, and whoever runs it can't say that it ended).
        detail: Where it is and why it waits, or how its end was found out.
        status: The status.json of its present run, empty when there is none yet.
        record: Its entry in the manifest.
        job_id: What was given out for it: a Slurm job's number, or a process id.
        job: What Slurm says about it.
    """

    index: int
    state: str
    detail: str
    status: dict[str, Any]
    record: dict[str, Any]
    job_id: str | None = None
    job: Job | None = None

    @property
    def phase(self) -> str:
        return str(self.status.get("phase") or "")

    @property
    def active(self) -> bool:
        return self.state not in ENDED


def allocations(
    sweep: SweepDir, manifest: Mapping[str, Any], view: JobView | None = None
) -> tuple[AllocationState, ...]:
    """All allocations of a sweep now. Slurm is asked once, and only for a sweep that was handed to it.

    Args:
        sweep: The sweep.
        manifest: Its manifest.
        view: Slurm's jobs, for those who look more than once.
    """
    records = list(manifest.get("allocations") or ())
    if not any(record.get("executor") == "slurm" for record in records):
        return tuple(_local(sweep, record) for record in records)
    view = view or JobView()
    view.refresh()  # before the files are read: a run writes its last word, and then its job ends
    found = reconcile(sweep, manifest, view.queue())
    ids = {int(r["index"]): found.get(int(r["index"])) or r.get("job_id") for r in records}
    statuses = {int(r["index"]): _latest_status(sweep.allocation(int(r["index"]))) for r in records}
    view.recall(_unsettled(sweep, records, ids, statuses, view))
    return tuple(
        _on_slurm(sweep, r, ids[int(r["index"])], statuses[int(r["index"])], view)
        if r.get("executor") == "slurm"
        else _local(sweep, r)
        for r in records
    )


def _unsettled(
    sweep: SweepDir,
    records: Sequence[Mapping[str, Any]],
    ids: Mapping[int, str | None],
    statuses: Mapping[int, Mapping[str, Any]],
    view: JobView,
) -> list[str]:
    """Jobs whose own files don't tell how they ended."""
    return [
        str(job_id)
        for record in records
        if (job_id := ids[int(record["index"])]) is not None
        and record.get("executor") == "slurm"
        and statuses[int(record["index"])].get("phase") != "done"
    ]


def _on_slurm(
    sweep: SweepDir, record: dict[str, Any], job_id: str | None, status: dict[str, Any], view: JobView
) -> AllocationState:
    index = int(record["index"])
    directory = sweep.allocation(index)
    if job_id is None:
        state, detail = _without_job(directory, record, view)
        return AllocationState(index, state, detail, {}, record)
    job = view.job(job_id)
    if job is not None and not job.is_for(directory.path):
        job = None
    verdict = judge(
        Evidence(
            now=time.time(),
            job_id=job_id,
            job=job,
            answered_at=view.answered_at,
            silent=view.problem.message if view.problem is not None else "",
            status=status,
            stop_asked=directory.stop.exists(),
            submitted_at=float(record.get("submitted_at") or record.get("intent_at") or 0.0),
            log=str(directory.orchestrator_log),
            sweep_id=sweep.sweep_id,
        )
    )
    status = {} if verdict.earlier else status
    return AllocationState(index, verdict.state, verdict.detail, status, record, job_id, job)


def _never_begun(directory: AllocationDir, record: Mapping[str, Any]) -> tuple[str, str] | None:
    """State and detail of an allocation that was not to begin, or no more."""
    if record.get("refused") is not None:
        return "not_submitted", f"it was refused: {record['refused']}"
    if record.get("intent_at") is None:
        return "not_submitted", ""
    if directory.stop.exists():
        return "cancelled", "it was stopped before it began"
    return None


def _without_job(directory: AllocationDir, record: Mapping[str, Any], view: JobView) -> tuple[str, str]:
    known = _never_begun(directory, record)
    if known is not None:
        return known
    if time.time() - float(record["intent_at"]) <= INTENT_S:
        return "queued", "it is being submitted"
    if view.problem is not None:
        return "unknown", f"its submission was cut off, and Slurm does not answer: {view.problem.message}"
    return "not_submitted", "its submission was interrupted"


def _latest_status(directory: AllocationDir) -> dict[str, Any]:
    attempt = directory.latest_attempt()
    if attempt is None:
        return {}
    try:
        status = read_json(attempt.status)
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def _local(sweep: SweepDir, record: dict[str, Any]) -> AllocationState:
    index = int(record["index"])
    directory = sweep.allocation(index)
    job_id = record.get("job_id") or _own_job_id(directory)
    attempt = directory.latest_attempt()
    if attempt is None:
        state, detail = _without_attempt(directory, record, job_id)
        return AllocationState(index, state, detail, {}, record, job_id)
    alive = liveness(attempt)
    status = _latest_status(directory)
    words = {State.RUNNING: "running", State.LOST: "lost", State.ABSENT: "queued"}
    if alive.state is State.ENDED:
        state = str(status.get("outcome") or "failed")
    elif alive.state is State.UNKNOWN:
        state = "unknown" if alive.stale else "running"
    else:
        state = words[alive.state]
    return AllocationState(index, state, alive.detail, status, record, job_id)


def _without_attempt(directory: AllocationDir, record: Mapping[str, Any], job: str | None) -> tuple[str, str]:
    known = _never_begun(directory, record)
    if known is not None:
        return known
    if job is None and time.time() - float(record["intent_at"]) > INTENT_S:
        return "not_submitted", "its submission was interrupted"
    if job is not None and not _process_exists(str(job)):
        return "lost", f"its process {job} is gone and left nothing; see {directory.orchestrator_log}"
    return "queued", f"job {job}" if job is not None else ""


def _own_job_id(directory: AllocationDir) -> str | None:
    try:
        return directory.job_id.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _process_exists(pid: str) -> bool:
    from srtctl.orchestrator import proctree

    one = proctree.entry(int(pid)) if pid.isdecimal() else None
    return one is not None and one.state not in ("Z", "X")
