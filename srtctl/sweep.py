"""A sweep as one value that could be printed: its points, grouped by deployment."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from srtctl.errors import Problem
from srtctl.invocation import Invocation, current
from srtctl.plan.model import Plan
from srtctl.prepare import PreparedPoint
from srtctl.rundir import SweepDir
from srtctl.schema import JobConfig


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
class Resumption:
    """A sweep that is run again, as far as it lacks results.

    Attributes:
        manifest: As it is on disk.
        held: Descriptor of the lock that keeps others from submitting for this sweep; None in a dry run.
        measured: Indices of wanted points that have results.
        running: Indices of wanted points that wait or run.
        withdrawn: Indices of points without a result that are not wanted any more.
        active_jobs: Ids of the sweep's jobs that wait or run.
        abandoned: Allocations whose submission was cut off and of which no job is known.
    """

    directory: SweepDir
    manifest: dict[str, Any]
    held: int | None
    measured: tuple[int, ...]
    running: tuple[int, ...]
    withdrawn: frozenset[int]
    active_jobs: tuple[str, ...]
    abandoned: tuple[int, ...]

    @property
    def name(self) -> str:
        """The sweep's directory below the output directory."""
        return str(self.manifest["name"])

    @property
    def next_allocation(self) -> int:
        """The first free index."""
        return 1 + max((int(record["index"]) for record in self.manifest["allocations"]), default=-1)

    def fence(self) -> None:
        """Make a job that comes late of a submission that was cut off end at once: its points run elsewhere now."""
        for index in self.abandoned:
            with contextlib.suppress(OSError):
                self.directory.allocation(index).stop.touch()


@dataclass(frozen=True)
class Sweep:
    """Everything that will be written and submitted.

    Attributes:
        name: The directory under the output directory.
        points: Those to run.
        allocations: Where they run.
        invocation: The command.
        resumed: The sweep that these points belong to, where they are what it lacks; None for a new sweep.
        found: Further warnings and notes, about the sweep as a whole.
    """

    name: str
    points: tuple[PreparedPoint, ...]
    allocations: tuple[Allocation, ...]
    invocation: Invocation
    resumed: Resumption | None = None
    found: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Warnings and notes (an error would have ended the command)."""
        from srtctl.errors import merge_points

        return (*merge_points((q for p in self.points for q in p.problems), len(self.points)), *self.found)

    @property
    def executor(self) -> str:
        return self.points[0].job.cluster.executor

    @property
    def max_in_flight(self) -> int | None:
        return self.points[0].job.launcher.max_in_flight

    @property
    def wait(self) -> bool:
        return self.points[0].job.launcher.wait


def assemble(
    points: Sequence[PreparedPoint],
    resumed: Resumption | None = None,
    longest_s: Callable[[JobConfig], float | None] | None = None,
) -> Sweep:
    """Group prepared points into allocations: one per deployment, cut where it would become too long.

    Args:
        points: What is to run.
        resumed: The sweep that they belong to; None for a new one.
        longest_s: The longest time that an allocation for a job may ask for; None for no limit.
    """
    groups: dict[str, list[PreparedPoint]] = {}
    seen: Counter[str] = Counter()
    for point in points:
        key = _queue_key(point) if point.job.launcher.share_deployment else f"{point.deployment_id}/{point.index}"
        most = _most_points(point.job, longest_s)
        if most is not None:
            seen[key] += 1
            key = f"{key}#{(seen[key] - 1) // most}"
        groups.setdefault(key, []).append(point)
    first = resumed.next_allocation if resumed is not None else 0
    allocations = tuple(_allocation(index, group) for index, group in enumerate(groups.values(), first))
    name = resumed.name if resumed is not None else common_name(points)
    return Sweep(name, tuple(points), allocations, current.get(), resumed)


def _queue_key(point: PreparedPoint) -> str:
    """What points must have in common to share an allocation: the servers, and all that is asked of Slurm."""
    from srtctl.render import render_batch

    return f"{point.deployment_id}/{render_batch(point.job, point.plan)}"


def _most_points(job: JobConfig, longest_s: Callable[[JobConfig], float | None] | None) -> int | None:
    """How many points may share servers: `launcher.max_points_per_allocation`, and what the time allows."""
    from srtctl.render import points_within

    longest = longest_s(job) if longest_s is not None else None
    fit = None if longest is None else points_within(job, longest)
    limits = [limit for limit in (job.launcher.max_points_per_allocation, fit) if limit is not None]
    return min(limits, default=None)


def _allocation(index: int, group: Sequence[PreparedPoint]) -> Allocation:
    """The allocation of points that share their servers; its time limit is bring-up and all of their limits."""
    from srtctl.render import allocation_time_s, render_batch

    job, plan = group[0].job, group[0].plan
    budgets = replace(plan.budgets, time_limit_s=allocation_time_s(job, len(group)))
    batch = render_batch(job, plan, points=len(group))
    return Allocation(index, replace(plan, budgets=budgets), batch, tuple(point.index for point in group))


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


def common_name(points: Sequence[PreparedPoint]) -> str:
    """The points' name; where they have names of their own, the words that these begin with; a directory's: its."""
    names = [point.job.name for point in points]
    recipe = current.get().recipe
    if current.get().recipe_files and recipe is not None and re.fullmatch(r"[\w.-]+", recipe.absolute().name):
        return recipe.absolute().name
    beginning = _common_words(names)
    if not beginning and recipe is not None and re.fullmatch(r"\w[\w.-]*", recipe.stem):
        return recipe.stem
    return beginning or _common_start(names).rstrip("-_.") or names[0]


def _common_words(texts: Sequence[str]) -> str:
    """What all texts begin with, cut where a word ends in each of them: `sweep` of `sweep-0.8` and `sweep-0.85`."""
    start = _common_start(texts)
    if any(text[len(start) :][:1] not in ("", "-", "_") for text in texts):
        start = re.sub(r"[^-_]*$", "", start)
    return start.rstrip("-_.")


def _common_start(texts: Sequence[str]) -> str:
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(min(texts), max(texts), strict=False))
    return "".join(letter for letter, _ in same)
