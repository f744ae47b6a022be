"""The state of a sweep, derived from its files, from whether its orchestrators live, and from Slurm; never stored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from srtctl.results.allocation import ENDED as ENDED
from srtctl.results.allocation import AllocationState as AllocationState
from srtctl.results.allocation import allocations as allocations_of
from srtctl.results.select import read_manifest
from srtctl.rundir import SweepDir, read_json
from srtctl.slurm.view import JobView


@dataclass(frozen=True)
class PointState:
    """One point.

    Attributes:
        live: Its entry in status.json, as far as a run knows of it.
        differs_in: The overrides that not every point of the sweep has.
    """

    index: int
    state: str
    reason: str
    record: dict[str, Any]
    result: dict[str, Any] | None
    live: dict[str, Any] = field(default_factory=dict)
    differs_in: tuple[str, ...] = ()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list((self.result or {}).get("rows") or ())


@dataclass(frozen=True)
class SweepState:
    """A sweep at one moment."""

    sweep: SweepDir
    manifest: dict[str, Any]
    allocations: tuple[AllocationState, ...]
    points: tuple[PointState, ...]

    @property
    def active(self) -> bool:
        """Whether anything may still happen by itself."""
        return any(allocation.active for allocation in self.allocations)

    @property
    def present(self) -> tuple[AllocationState, ...]:
        """The allocations that count: not those of which every point has been handed over again since."""
        homes = {point.record.get("allocation") for point in self.points}
        return tuple(allocation for allocation in self.allocations if allocation.active or allocation.index in homes)

    @property
    def state(self) -> str:
        """One word: the state of what is active, else `ok` when all points are, else the worst there is."""
        ends = {allocation.state for allocation in self.present}
        for word in ("running", "unknown", "queued"):
            if word in ends:
                return word
        found = {point.state for point in self.points}
        if not self.good:  # servers that failed before any point began
            found |= ends - {"ok"}
        worst = ("lost", "failed", "invalid", "cancelled", "not_run", "not_submitted", "ok", "withdrawn")
        return next((word for word in worst if word in found), "empty")

    @property
    def good(self) -> bool:
        """Whether every point that is wanted has a valid result."""
        return bool(self.points) and all(point.state in ("ok", "withdrawn") for point in self.points)


def read_state(sweep: SweepDir, view: JobView | None = None) -> SweepState:
    """Look at a sweep now.

    Args:
        sweep: The sweep.
        view: Slurm's jobs, for those who look more than once: it keeps the questions few.

    Raises:
        SrtctlError: Its manifest can't be read.
    """
    manifest = read_manifest(sweep)
    allocations = allocations_of(sweep, manifest, view)
    by_index = {allocation.index: allocation for allocation in allocations}
    common = set.intersection(*(set(record.get("overrides") or ()) for record in manifest["points"] or [{}]))
    points = tuple(
        replace(
            _point(sweep, record, by_index.get(record.get("allocation"))),
            differs_in=tuple(text for text in record.get("overrides") or () if text not in common),
        )
        for record in manifest["points"]
    )
    return SweepState(sweep, manifest, allocations, points)


def time_left_s(point: dict[str, Any]) -> float | None:
    """Until the current measurement's last request, at the present rate; None when that can't be said."""
    done, expected, rate = (point.get(key) for key in ("done_requests", "expected_requests", "rate_per_s"))
    if done is None or not expected or not rate:
        return None
    return float(max(0.0, (expected - done) / rate))


def as_json(found: SweepState) -> dict[str, Any]:
    """For scripts: the sweep, its points with their states, its allocations with their whole status.json."""
    manifest = found.manifest
    return {
        "schema_version": 1,
        "sweep_id": found.sweep.sweep_id,
        "name": manifest.get("name"),
        "directory": str(found.sweep.path),
        "created_at": manifest.get("created_at"),
        "state": found.state,
        "at": time.time(),
        "points": [
            {
                **{key: p.record.get(key) for key in ("index", "name", "dir", "overrides", "config_id", "allocation")},
                "state": p.state,
                "reason": p.reason or None,
                **({"progress": _progress(p.live)} if p.state == "running" else {}),
            }
            for p in found.points
        ],
        "allocations": [
            {"index": a.index, "dir": a.record.get("dir"), "job_id": a.job_id, "state": a.state,
             "detail": a.detail or None, "slurm": _slurm(a), "status": a.status or None}
            for a in found.allocations
        ],
    }  # fmt: skip


def _slurm(allocation: AllocationState) -> dict[str, Any] | None:
    """What Slurm says, in its own words."""
    job = allocation.job
    if job is None:
        return None
    return {
        "state": job.state,
        "reason": job.reason or None,
        "nodes": job.nodes or None,
        "partition": job.partition or None,
        "start": job.start,
        "time_left_s": job.time_left_s if job.runs else None,
    }


def _progress(live: dict[str, Any]) -> dict[str, Any]:
    keys = ("measurement", "index", "of", "done_requests", "expected_requests", "rate_per_s")
    return {**{key: live.get(key) for key in keys}, "time_left_s": time_left_s(live)}


def _point(sweep: SweepDir, record: dict[str, Any], allocation: AllocationState | None) -> PointState:
    index = int(record["index"])
    result = _best_result(sweep, index)
    live = _live_record(record, allocation)
    active = allocation is not None and allocation.active
    if record.get("withdrawn"):  # only points without a valid result are
        return PointState(index, "withdrawn", "", record, None)
    if active and not live and (result or {}).get("state") not in ("ok", "invalid"):
        result = None  # of an earlier attempt: it is measured again
    if allocation is not None and allocation.active and live.get("state") in ("pending", "running"):
        state = "unknown" if allocation.state == "unknown" and live["state"] == "running" else str(live["state"])
        return PointState(index, state, "", record, result, live)
    if result is not None and not _is_earlier(result, live, allocation):
        return PointState(index, str(result.get("state")), str(result.get("reason") or ""), record, result, live)
    if allocation is None:
        return PointState(index, "not_submitted", "", record, None)
    if allocation.active:
        state = "pending" if allocation.state == "running" else allocation.state
        return PointState(index, state, "", record, None, live)
    kept = result if (result or {}).get("rows") else None
    return PointState(index, *_without_result(live, allocation), record, kept, live)


def _is_earlier(result: dict[str, Any], live: dict[str, Any], allocation: AllocationState | None) -> bool:
    """Whether the point has been handed over, or its job begun, again since this result, which is no measurement."""
    if allocation is None or result.get("state") in ("ok", "invalid"):
        return False
    return result.get("allocation", allocation.index) != allocation.index or live.get("state") == "not_run"


def _without_result(live: dict[str, Any], allocation: AllocationState) -> tuple[str, str]:
    """State and reason of a point whose allocation ended without a result of it."""
    reason = str(allocation.status.get("reason") or allocation.detail)
    if allocation.state == "lost":
        return "lost" if live.get("state") in ("running", None) else "not_run", allocation.detail
    if not live:
        return allocation.state if allocation.state in ("cancelled", "not_submitted") else "not_run", reason
    if allocation.phase != "done":  # Slurm ended it
        cut = live.get("state") == "running"
        return allocation.state if cut else "not_run", allocation.detail
    state = str(live.get("state")) if live.get("state") in ENDED else "not_run"
    return state, str(allocation.status.get("reason") or "")


def _live_record(record: dict[str, Any], allocation: AllocationState | None) -> dict[str, Any]:
    points = allocation.status.get("points") or () if allocation is not None else ()
    return next((dict(p) for p in points if p.get("dir") == record.get("dir")), {})


def _best_result(sweep: SweepDir, index: int) -> dict[str, Any] | None:
    """The last attempt's result that is ok, else the last one's that is invalid, else the last one's."""
    results = []
    for attempt in sweep.point(index).attempts():
        try:
            result = read_json(attempt.result)
        except (OSError, ValueError):
            continue
        if isinstance(result, dict):
            results.append(result)
    for wanted in ("ok", "invalid"):
        for result in reversed(results):
            if result.get("state") == wanted:
                return result
    return results[-1] if results else None
