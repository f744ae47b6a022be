"""The state of a sweep, derived from its files and from whether its orchestrators live; never stored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from srtctl.orchestrator.liveness import State, liveness
from srtctl.results.select import read_manifest
from srtctl.rundir import AllocationDir, SweepDir, read_json

# Nothing more will happen in these.
ENDED = frozenset({"ok", "invalid", "failed", "cancelled", "lost", "not_run", "not_submitted"})

INTENT_S = 30.0  # an allocation that was about to be submitted this long ago wasn't


@dataclass(frozen=True)
class AllocationState:
    """One allocation.

    Attributes:
        state: `not_submitted`, `queued`, `running`, `ok`, `failed`, `cancelled`, `lost`, or `unknown` (it runs on
            another machine that hasn't been heard of for a while).
        detail: Pid and host, or how it was found out.
        status: Its status.json, empty when there is none yet.
        record: Its entry in the manifest.
    """

    index: int
    state: str
    detail: str
    status: dict[str, Any]
    record: dict[str, Any]

    @property
    def phase(self) -> str:
        return str(self.status.get("phase") or "")

    @property
    def active(self) -> bool:
        return self.state not in ENDED


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
    def state(self) -> str:
        """One word: the state of what is active, else `ok` when all points are, else the worst there is."""
        ends = {allocation.state for allocation in self.allocations}
        for word in ("running", "unknown", "queued"):
            if word in ends:
                return word
        found = {point.state for point in self.points}
        if not self.good:  # servers that failed before any point began
            found |= ends - {"ok"}
        worst = ("lost", "failed", "invalid", "cancelled", "not_run", "not_submitted", "ok")
        return next((word for word in worst if word in found), "empty")

    @property
    def good(self) -> bool:
        """Whether every point has a valid result."""
        return bool(self.points) and all(point.state == "ok" for point in self.points)


def read_state(sweep: SweepDir) -> SweepState:
    """Look at a sweep now.

    Raises:
        SrtctlError: Its manifest can't be read.
    """
    manifest = read_manifest(sweep)
    allocations = tuple(_allocation(sweep, record) for record in manifest.get("allocations") or ())
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
            {"index": a.index, "dir": a.record.get("dir"), "job_id": a.record.get("job_id"), "state": a.state,
             "detail": a.detail or None, "status": a.status or None}
            for a in found.allocations
        ],
    }  # fmt: skip


def _progress(live: dict[str, Any]) -> dict[str, Any]:
    keys = ("measurement", "index", "of", "done_requests", "expected_requests", "rate_per_s")
    return {**{key: live.get(key) for key in keys}, "time_left_s": time_left_s(live)}


def _allocation(sweep: SweepDir, record: dict[str, Any]) -> AllocationState:
    index = int(record["index"])
    directory = sweep.allocation(index)
    attempt = directory.latest_attempt()
    if attempt is None:
        state, detail = _without_attempt(directory, record)
        return AllocationState(index, state, detail, {}, record)
    alive = liveness(attempt)
    try:
        status = read_json(attempt.status)
    except ValueError:
        status = None
    status = status if isinstance(status, dict) else {}
    words = {State.RUNNING: "running", State.LOST: "lost", State.ABSENT: "queued"}
    if alive.state is State.ENDED:
        state = str(status.get("outcome") or "failed")
    elif alive.state is State.UNKNOWN:
        state = "unknown" if alive.stale else "running"
    else:
        state = words[alive.state]
    return AllocationState(index, state, alive.detail, status, record)


def _without_attempt(directory: AllocationDir, record: dict[str, Any]) -> tuple[str, str]:
    intent = record.get("intent_at")
    if intent is None:
        return "not_submitted", ""
    if directory.stop.exists():
        return "cancelled", "it was stopped before it began"
    job = record.get("job_id") or _own_job_id(directory)
    if job is None and time.time() - float(intent) > INTENT_S:
        return "not_submitted", "its submission was interrupted"
    if record.get("executor") == "local" and job is not None and not _process_exists(str(job)):
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


def _point(sweep: SweepDir, record: dict[str, Any], allocation: AllocationState | None) -> PointState:
    index = int(record["index"])
    result = _best_result(sweep, index)
    live = _live_record(record, allocation)
    running = allocation is not None and allocation.active
    if running and live.get("state") in ("pending", "running"):
        return PointState(index, str(live["state"]), "", record, result, live)
    if result is not None:
        return PointState(index, str(result.get("state")), str(result.get("reason") or ""), record, result, live)
    if allocation is None:
        return PointState(index, "not_submitted", "", record, None)
    if allocation.state == "lost":
        state = "lost" if live.get("state") == "running" or not live else "not_run"
        return PointState(index, state, allocation.detail, record, None, live)
    if running:
        return PointState(
            index, "pending" if allocation.state == "running" else allocation.state, "", record, None, live
        )
    if not live:
        state = allocation.state if allocation.state in ("cancelled", "not_submitted") else "not_run"
        return PointState(index, state, str(allocation.status.get("reason") or allocation.detail), record, None)
    state = str(live.get("state")) if live.get("state") in ENDED else "not_run"
    return PointState(index, state, str(allocation.status.get("reason") or ""), record, None, live)


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
