"""Many allocations and many processes in few lines: what is alike is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from srtctl.results.state import AllocationState
from srtctl.slurm.queue import numbers_text, span_text
from srtctl.slurm.reasons import reason_of

MOST_ALLOCATIONS = 8  # that are shown one by one
MOST_NAMES = 8
_ORDER = ("running", "unknown", "queued", "lost", "failed", "cancelled", "not_submitted", "ok")


def steady_detail(allocation: AllocationState) -> str:
    """What there is to say about an allocation, without what changes all the time (estimates, ages)."""
    job = allocation.job
    if allocation.state == "queued" and job is not None and job.waits:
        return f"job {job.job_id}: {reason_of(job.reason).words}"
    if allocation.state in ("running", "unknown") and allocation.record.get("executor") == "slurm":
        return f"job {allocation.job_id}"
    return "" if allocation.phase == "done" else allocation.detail


def counted(allocations: Iterable[AllocationState]) -> str:
    """`3 running, 57 queued (jobs with a higher priority are before it), 40 ok`."""
    groups: dict[tuple[str, str], int] = {}
    for allocation in allocations:
        key = (allocation.state, _why(allocation))
        groups[key] = groups.get(key, 0) + 1
    ranked = sorted(groups.items(), key=lambda item: _rank(item[0][0]))
    return ", ".join(f"{count} {state}" + (f" ({why})" if why else "") for (state, why), count in ranked)


def group_lines(allocations: Sequence[AllocationState], now: float) -> list[str]:
    """A line for each kind of state and reason: how many, which jobs, why, and when the first of them may start."""
    groups: dict[tuple[str, str], list[AllocationState]] = {}
    for allocation in allocations:
        groups.setdefault((allocation.state, _why(allocation)), []).append(allocation)
    lines = []
    for (state, why), members in sorted(groups.items(), key=lambda item: _rank(item[0][0])):
        ids = [a.job_id for a in members if a.job_id is not None]
        jobs = f" (jobs {numbers_text(ids)})" if ids and state != "ok" else ""
        noun = "allocation" if len(members) == 1 else "allocations"
        lines.append(f"{len(members)} {noun} {state}{jobs}" + (f": {why}" if why else "") + _first_start(members, now))
    return lines


def process_text(status: Mapping[str, Any]) -> str:
    """The processes that are not ready yet, by name as long as they are few: `decode 3 of 32 ready, etcd starting`."""
    services = [p for p in status.get("processes") or () if p.get("role") not in ("client", "setup")]
    waiting = [p for p in services if p.get("state") in ("PENDING", "STARTING", "STOPPING")]
    if len(waiting) <= MOST_NAMES:
        return ", ".join(f"{p['name']} {str(p['state']).lower()}" for p in waiting)
    roles: dict[str, list[Mapping[str, Any]]] = {}
    for process in services:
        roles.setdefault(str(process.get("role")), []).append(process)
    parts = []
    for role, members in roles.items():
        ready = sum(p.get("state") == "READY" for p in members)
        if ready < len(members):
            parts.append(f"{role} {ready} of {len(members)} ready")
    return ", ".join(parts)


def _why(allocation: AllocationState) -> str:
    """What allocations that are alike have in common."""
    job = allocation.job
    if allocation.state == "queued" and job is not None and job.waits:
        return reason_of(job.reason).words
    if allocation.state == "not_submitted":
        return allocation.detail
    return ""


def _first_start(members: Sequence[AllocationState], now: float) -> str:
    starts = [a.job.start for a in members if a.state == "queued" and a.job is not None and a.job.start is not None]
    coming = [start for start in starts if start > now]
    return f"; the first is expected to start in {span_text(min(coming) - now)}" if coming else ""


def _rank(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)
