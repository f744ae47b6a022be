"""Rows again from the clients' raw files, with the same parsers and formulas that ran inside the allocation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.rows import complete_rows
from srtctl.plan.codec import from_json
from srtctl.plan.model import Plan, PointSteps, Step
from srtctl.results.state import PointState, SweepState
from srtctl.rundir import PointAttemptDir, PointDir, SweepDir


def rebuild(found: SweepState) -> tuple[SweepState, list[str]]:
    """The same sweep with every point's rows made anew; nothing is written.

    Returns:
        The sweep, and what could not be read.
    """
    points: list[PointState] = []
    problems: list[str] = []
    for point in found.points:
        try:
            points.append(_rebuild_point(found.sweep, found.manifest, point, problems))
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"point {point.index}: {error}")
            points.append(point)
    return replace(found, points=tuple(points)), problems


def _rebuild_point(sweep: SweepDir, manifest: dict[str, Any], point: PointState, problems: list[str]) -> PointState:
    directory = sweep.point(point.index)
    attempt = _attempt_of(directory, point)
    if attempt is None:
        return point
    allocation = sweep.allocation(int(point.record["allocation"]))
    plan = from_json(Plan, allocation.plan.read_text(encoding="utf-8"))
    steps = from_json(PointSteps, directory.steps.read_text(encoding="utf-8"))
    old = {row.get("measurement"): row for row in point.rows}
    identity = {
        "sweep": manifest.get("sweep_id"),
        "point": point.index,
        "point_name": point.record.get("name"),
        "overrides": point.record.get("overrides"),
        "attempt": int(attempt.path.name.rpartition("-")[2]),
    }
    rows: list[dict[str, Any]] = []
    for step in steps.steps:
        raw = attempt.measurement(step.name)
        if not raw.is_dir():
            continue
        try:
            measurements = _parse(raw, step)
        except ValueError as error:
            problems.append(f"point {point.index}: {error}")
            continue
        census = _census(old.get(step.name))
        rows += complete_rows(measurements, plan=plan, point=steps, step=step, identity=identity, census=census)
    state = point.state
    if state in ("ok", "invalid"):
        state = "ok" if all(row["valid"] for row in rows) else "invalid"
    return replace(point, state=state, result={**(point.result or {}), "state": state, "rows": rows})


def _parse(raw: Path, step: Step) -> list[dict[str, Any]]:
    benchmark = BENCHMARKS.get(step.benchmark)
    if benchmark is None:
        raise ValueError(f"no benchmark is called {step.benchmark!r}")
    return benchmark.parse(raw, step)


def _attempt_of(directory: PointDir, point: PointState) -> PointAttemptDir | None:
    """The attempt whose rows are shown; where there are none, the last one that left raw files."""
    attempts = directory.attempts()
    number = next((row["attempt"] for row in point.rows if row.get("attempt") is not None), None)
    if number is not None:
        return directory.attempt(int(number))
    return next((attempt for attempt in reversed(attempts) if attempt.measurements.is_dir()), None)


def _census(row: dict[str, Any] | None) -> dict[str, bool] | None:
    """What was seen then: it is in no raw file."""
    verdict = next((v for v in (row or {}).get("validity") or () if v.get("id") == "V10"), None)
    return None if verdict is None or verdict.get("ok") is None else {"start": True, "end": bool(verdict["ok"])}
