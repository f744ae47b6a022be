"""A sweep as one value that could be printed: its points, grouped by deployment; then written to disk in one go."""

from __future__ import annotations

import datetime
import itertools
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from srtctl import __version__
from srtctl.errors import ExitCode, Problem, SrtctlError
from srtctl.invocation import Invocation, current
from srtctl.plan.codec import to_json
from srtctl.plan.model import Plan
from srtctl.prepare import PreparedPoint
from srtctl.rundir import AllocationDir, SweepDir, write_json, write_text
from srtctl.yamltext import dump_sections

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Allocation:
    """The servers of one deployment, and the points that run on them.

    Attributes:
        index: Its number in the sweep.
        plan: What runs.
        batch: The text that is submitted.
        points: Indices of its points, in order.
    """

    index: int
    plan: Plan
    batch: str
    points: tuple[int, ...]

    @property
    def gpu_count(self) -> int:
        return self.plan.denominators.get("all", 0)


@dataclass(frozen=True)
class Sweep:
    """Everything that will be written and submitted."""

    name: str
    points: tuple[PreparedPoint, ...]
    allocations: tuple[Allocation, ...]
    invocation: Invocation

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Warnings and notes (an error would have ended the command)."""
        from srtctl.errors import merge_points

        return tuple(merge_points((q for p in self.points for q in p.problems), len(self.points)))

    @property
    def executor(self) -> str:
        return self.points[0].job.cluster.executor

    @property
    def max_in_flight(self) -> int | None:
        return self.points[0].job.launcher.max_in_flight

    @property
    def wait(self) -> bool:
        return self.points[0].job.launcher.wait


def assemble(points: Sequence[PreparedPoint]) -> Sweep:
    """Group prepared points into allocations: one per deployment, cut by `launcher.max_points_per_allocation`."""
    groups: dict[str, list[PreparedPoint]] = {}
    for point in points:
        launcher = point.job.launcher
        key = point.deployment_id if launcher.share_deployment else f"{point.deployment_id}/{point.index}"
        most = launcher.max_points_per_allocation
        if most is not None:
            part = sum(len(group) for name, group in groups.items() if name.partition("#")[0] == key) // most
            key = f"{key}#{part}"
        groups.setdefault(key, []).append(point)
    allocations = tuple(_allocation(index, group) for index, group in enumerate(groups.values()))
    return Sweep(_common_name(points), tuple(points), allocations, current.get())


def _allocation(index: int, group: Sequence[PreparedPoint]) -> Allocation:
    """The allocation of points that share their servers; its time limit is bring-up and all of their limits."""
    from srtctl.render import allocation_time_s, render_batch

    job, plan = group[0].job, group[0].plan
    budgets = replace(plan.budgets, time_limit_s=allocation_time_s(job, len(group)))
    batch = render_batch(job, plan, points=len(group))
    return Allocation(index, replace(plan, budgets=budgets), batch, tuple(point.index for point in group))


def write(sweep: Sweep, dry_run: bool = False) -> SweepDir:
    """Write the whole sweep into a new directory; on any failure nothing of it stays.

    Raises:
        SrtctlError: The output directory can't be written, or the disk is full.
    """
    base = output_directory(sweep)
    try:
        directory = _new_directory(base / "dry-runs" / sweep.name if dry_run else base / sweep.name)
    except OSError as error:
        raise SrtctlError(_cannot_write(base, error), ExitCode.UNAVAILABLE) from error
    try:
        _write_into(directory, sweep)
    except OSError as error:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise SrtctlError(_cannot_write(directory.path, error), ExitCode.UNAVAILABLE) from error
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return directory


def output_directory(sweep: Sweep) -> Path:
    """-o, else the cluster's `output_dir`, else ./outputs; absolute."""
    named = sweep.invocation.output_dir or sweep.points[0].job.cluster.output_dir
    return Path(named or "outputs").expanduser().absolute()


def manifest(sweep: Sweep, directory: SweepDir) -> dict[str, Any]:
    """The content of sweep.json: intent and ids, never state."""
    invocation = sweep.invocation
    home = {index: a.index for a in sweep.allocations for index in a.points}
    return {
        "schema_version": MANIFEST_VERSION,
        "sweep_id": directory.sweep_id,
        "name": sweep.name,
        "created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
        "argv": list(invocation.argv),
        "cwd": str(Path.cwd()),
        "recipe": _recipe_record(invocation),
        "versions": {"srtctl": __version__, **sweep.points[0].versions},
        "git": git_state(Path.cwd()) if invocation.verb == "apply" else None,
        "tags": list(sweep.points[0].job.tags),
        "executor": sweep.executor,
        "output_dir": str(directory.path.parent.parent),
        "points": [_point_record(point, home[point.index]) for point in sweep.points],
        "allocations": [_allocation_record(allocation, sweep.executor) for allocation in sweep.allocations],
    }


def _point_record(point: PreparedPoint, allocation: int) -> dict[str, Any]:
    return {
        "index": point.index,
        "dir": f"points/{point.index:04d}",
        "overrides": list(point.overrides),
        "config_id": point.config_id,
        "deployment_id": point.deployment_id,
        "allocation": allocation,
        "name": point.job.name,
        "benchmark": point.job.benchmark.type,
        "summary": point.summary,
    }


def _allocation_record(allocation: Allocation, executor: str) -> dict[str, Any]:
    return {
        "index": allocation.index,
        "dir": f"allocations/{allocation.index:04d}",
        "deployment_id": allocation.plan.deployment_id,
        "nodes": len(allocation.plan.slots),
        "gpus": allocation.gpu_count,
        "executor": executor,
        "job_id": None,
        "intent_at": None,
        "submitted_at": None,
    }


def _recipe_record(invocation: Invocation) -> dict[str, Any] | None:
    if invocation.recipe is None:
        return None
    import hashlib

    path = invocation.recipe.absolute()
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "selector": invocation.selector}


def git_state(directory: Path) -> dict[str, Any] | None:
    """Commit and cleanness of the checkout around `directory`; None outside of one, or without git."""
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return None
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=directory, capture_output=True, text=True, check=True, timeout=5).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(changes)}


def _write_into(directory: SweepDir, sweep: Sweep) -> None:
    first: AllocationDir | None = None
    for allocation in sweep.allocations:
        first = _write_allocation(directory, allocation, first)
    for point in sweep.points:
        _write_point(directory, point)
    write_json(directory.manifest, manifest(sweep, directory))


def _write_allocation(directory: SweepDir, allocation: Allocation, first: AllocationDir | None) -> AllocationDir:
    """Write one allocation's files; the orchestrator is copied once and linked for the others."""
    from srtctl.pyz import write_pyz

    here = directory.allocation(allocation.index)
    here.rendered.mkdir(parents=True)
    here.plan.write_text(to_json(allocation.plan), encoding="utf-8")
    here.batch.write_text(allocation.batch, encoding="utf-8")
    here.points.write_text("[" + ", ".join(f'"points/{i:04d}"' for i in allocation.points) + "]\n", encoding="utf-8")
    for file in allocation.plan.files:
        path = here.rendered / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, file.text, file.mode)
    if first is None:
        write_pyz(here.pyz)
        return here
    try:
        os.link(first.pyz, here.pyz)
    except OSError:  # a file system without hard links
        shutil.copyfile(first.pyz, here.pyz)
    return first


def _write_point(directory: SweepDir, point: PreparedPoint) -> None:
    here = directory.point(point.index)
    here.overrides.parent.mkdir(parents=True)
    here.config.write_text(dump_sections(point.config), encoding="utf-8")
    here.steps.write_text(to_json(point.steps), encoding="utf-8")
    here.overrides.write_text(
        "".join(f"- {dump_sections(text)}" for text in point.overrides) or "[]\n", encoding="utf-8"
    )
    if point.setup_script is not None:
        (here.path / "setup_script.sh").write_text(point.setup_script, encoding="utf-8")
    if point.problems:
        write_json(here.warnings, [problem_record(problem) for problem in point.problems])


def problem_record(problem: Problem) -> dict[str, Any]:
    """A problem as JSON values."""
    from srtctl.errors import UNSET

    return {
        "severity": problem.severity.value,
        "rule": problem.rule,
        "key": problem.key,
        "value": None if problem.value is UNSET else repr(problem.value),
        "message": problem.message,
        "allowed": problem.allowed,
        "hint": problem.hint,
        "source": problem.source,
        "points": list(problem.points),
    }


def _new_directory(parent: Path) -> SweepDir:
    """A directory of our own under `parent`; two commands in the same second get different ones."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        path = parent / f"{stamp}-{secrets.token_hex(3)}"
        try:
            path.mkdir()
            return SweepDir(path)
        except FileExistsError:
            continue


def _cannot_write(path: Path, error: OSError) -> Problem:
    return Problem(
        "output-directory",
        f"can't be written: {error.strerror or error}",
        key="-o",
        value=str(path),
        allowed="a directory on a file system with space left that you may write to",
        hint="name another directory with -o DIR, or set cluster.output_dir",
    )


def _common_name(points: Sequence[PreparedPoint]) -> str:
    """The points' name; where variants have names of their own, what these begin with."""
    names = [point.job.name for point in points]
    return _common_start(names).rstrip("-_.") or names[0]


def _common_start(texts: Sequence[str]) -> str:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(texts), max(texts), strict=False))
    return "".join(letter for letter, _ in same)
