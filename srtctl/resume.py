"""What a sweep lacks: which of the wanted points have results in it, which still run, and which are to be run now.

A point is known by its config_id: a point with an `ok` or `invalid` result of the same id is not run again, whatever
its place in the sweep. The missing ones run in the sweep's own directory, as new allocations and new attempts, so that
its results stay in one place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from srtctl.errors import Problem, SrtctlError
from srtctl.invocation import Invocation, current
from srtctl.prepare import PreparedPoint
from srtctl.reconcile import open_intents
from srtctl.results.select import read_manifest
from srtctl.results.state import SweepState, read_state
from srtctl.rundir import SweepDir, find_sweeps
from srtctl.sweep import Resumption, common_name
from srtctl.sweepdir import lock, output_directory_of

MEASURED = frozenset({"ok", "invalid"})


def wanted(points: Sequence[PreparedPoint]) -> tuple[list[PreparedPoint], Resumption | None]:
    """The points with their indices in the sweep that the command resumes; as they are where it resumes none.

    Raises:
        SrtctlError: See `narrow`.
    """
    invocation = current.get()
    directory = SweepDir(invocation.resume) if invocation.resume is not None else None
    if directory is None and invocation.resume_latest:
        place = output_directory_of(invocation, points[0].job)
        named = [sweep for sweep in find_sweeps(place) if sweep.path.parent.name == common_name(points)]
        directory = latest(points, named)
    return narrow(points, directory, invocation) if directory is not None else (list(points), None)


def narrow(points: Sequence[PreparedPoint], directory: SweepDir, invocation: Invocation) -> tuple[
    list[PreparedPoint], Resumption
]:  # fmt: skip
    """What `directory` lacks of the wanted points, each with its index there.

    Returns:
        All wanted points with their indices in the sweep, and the sweep; those to run are `missing` of the two.

    Raises:
        SrtctlError: Another command submits for this sweep now, or it has none of the points.
    """
    held = lock(directory) if invocation.verb == "apply" else None
    manifest = read_manifest(directory)
    state = read_state(directory)
    known = {a.index: a.job_id for a in state.allocations if a.job_id is not None}
    placed = _placed(points, manifest, by_index=invocation.frozen)
    old = {int(record["index"]) for record in manifest["points"]}
    if not old & {point.index for point in placed}:
        raise SrtctlError(_unrelated(directory))
    abandoned = tuple(int(r["index"]) for r in open_intents(manifest) if int(r["index"]) not in known)
    active = {a.index: a for a in state.allocations if a.active and a.index not in abandoned}
    measured, running = _done(state, set(active))
    wanted = {point.index for point in placed}
    resumption = Resumption(
        directory,
        manifest,
        held,
        tuple(sorted(measured & wanted)),
        tuple(sorted((running - measured) & wanted)),
        frozenset(old - wanted - measured - running),
        tuple(_job_id(a.record, known) for a in active.values()),
        abandoned,
    )
    return placed, resumption


def missing(points: Iterable[PreparedPoint], found: Resumption) -> list[PreparedPoint]:
    """The points to run now."""
    done = {*found.measured, *found.running}
    return [point for point in points if point.index not in done]


def latest(points: Sequence[PreparedPoint], sweeps: Sequence[SweepDir]) -> SweepDir | None:
    """The newest of `sweeps` that has any of the points; None when there is none."""
    wanted = {point.config_id for point in points}
    for sweep in reversed(sweeps):
        with contextlib.suppress(SrtctlError):
            if wanted & {record.get("config_id") for record in read_manifest(sweep)["points"]}:
                return sweep
    return None


def _placed(points: Sequence[PreparedPoint], manifest: dict[str, Any], by_index: bool) -> list[PreparedPoint]:
    """The points with their indices in the sweep; new ones get new indices."""
    if by_index:
        _refuse_changes(points, {int(r["index"]): str(r["config_id"]) for r in manifest["points"]})
        return list(points)
    free: dict[str, list[int]] = {}
    for record in manifest["points"]:
        free.setdefault(str(record["config_id"]), []).append(int(record["index"]))
    next_index = 1 + max((int(record["index"]) for record in manifest["points"]), default=-1)
    placed = []
    for point in points:
        same = free.get(point.config_id)
        index = same.pop(0) if same else next_index
        next_index += index == next_index
        placed.append(_at(point, index))
    return placed


def _refuse_changes(points: Sequence[PreparedPoint], ids: dict[int, str]) -> None:
    """Points that are resumed as they were must be what they were."""
    changed = tuple(point.index for point in points if ids[point.index] != point.config_id)
    if changed:
        raise SrtctlError(
            Problem(
                "resume",
                "these points would not be the same: another setting, or another release of srtctl, changes them",
                allowed="changes of queue settings only (slurm.*, launcher.*)",
                hint="give the whole command again with --resume SWEEP: points that differ become new points",
                points=changed,
            )
        )


def _at(point: PreparedPoint, index: int) -> PreparedPoint:
    problems = tuple(replace(problem, points=(index,) if problem.points else ()) for problem in point.problems)
    return replace(point, index=index, problems=problems)


def _done(state: SweepState, active: set[int]) -> tuple[set[int], set[int]]:
    """Indices of the points that have a result, and of those whose allocation may still bring one."""
    measured = {p.index for p in state.points if (p.result or {}).get("state") in MEASURED}
    running = {p.index for p in state.points if p.record.get("allocation") in active}
    return measured, running


def _job_id(record: dict[str, Any], known: dict[int, str]) -> str:
    return str(record.get("job_id") or known.get(int(record["index"]), ""))


def _unrelated(directory: SweepDir) -> Problem:
    return Problem(
        "resume",
        f"none of these points is in {directory.sweep_id}",
        key="--resume",
        value=directory.sweep_id,
        allowed="a sweep that has at least one of the points, with the same configuration",
        hint="without --resume this is a new sweep",
    )
