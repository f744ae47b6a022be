"""Whether Slurm here would take a sweep's jobs; asked before anything is written or submitted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from srtctl.errors import Problem, Severity, suggestion
from srtctl.plan.duration import format_time_limit, parse_time_limit
from srtctl.slurm.accounts import account_problems, with_choices
from srtctl.slurm.command import run
from srtctl.slurm.messages import one_line, problem_of
from srtctl.slurm.partitions import Partition, chosen, partitions
from srtctl.slurm.version import option_problems, version_text

if TYPE_CHECKING:
    from srtctl.sweep import Allocation, Sweep

_DIRECTIVE = re.compile(r"^#SBATCH (?:--)?([a-z0-9-]+)(?:=(?:\"(.*)\"|(.*)))?$", re.MULTILINE)
# What sbatch would take from the environment, and srtctl does not pass on: a job says everything itself.
_SETTINGS = {"SBATCH_ACCOUNT": "account", "SBATCH_PARTITION": "partition", "SBATCH_QOS": "qos",
             "SBATCH_RESERVATION": "reservation", "SBATCH_CONSTRAINT": "constraint"}  # fmt: skip


def cluster_problems(sweep: Sweep, *, test: bool) -> list[Problem]:
    """Everything that Slurm would refuse or never start, in our words.

    Allocations that ask for the same are looked at once.

    Args:
        sweep: What would be submitted.
        test: Also let `sbatch --test-only` judge each allocation.

    Raises:
        SrtctlError: Slurm can't be asked.
    """
    found: list[Problem] = []
    for (batch, steps), alike in _distinct(sweep).items():
        points = tuple(index for allocation in alike for index in allocation.points)
        problems = [*_of_directives(batch), *option_problems(steps, "srun")]
        if test and not any(problem.severity is Severity.ERROR for problem in problems):
            problems.append(_tested(alike[0]))
        sources = next(p.sources for p in sweep.points if p.index == points[0])
        everywhere = len(points) == len(sweep.points)
        found += [replace(p, points=() if everywhere else points).at(sources.of(p.key)) for p in problems]
    return [*found, *_unused_settings(sweep)]


def components(batch: str) -> list[dict[str, str | None]]:
    """The options in a batch script, one table per component of a heterogeneous job."""
    parts: list[dict[str, str | None]] = [{}]
    for match in _DIRECTIVE.finditer(batch):
        name, quoted, plain = match.groups()
        if name == "hetjob":
            parts.append({})
        else:
            parts[-1][name] = quoted if quoted is not None else plain
    return parts


def _distinct(sweep: Sweep) -> dict[tuple[str, tuple[str, ...]], list[Allocation]]:
    """Allocations by what they ask of sbatch and of srun; their names make no difference."""
    groups: dict[tuple[str, tuple[str, ...]], list[Allocation]] = {}
    for allocation in sweep.allocations:
        lines = [line for line in allocation.batch.splitlines() if line.startswith("#SBATCH ")]
        key = "\n".join(line for line in lines if not line.startswith("#SBATCH --job-name"))
        steps = tuple(name for name, value in allocation.plan.srun_options.items() if value is not False)
        groups.setdefault((key, steps), []).append(allocation)
    return groups


def _of_directives(batch: str) -> Iterator[Problem]:
    parts = components(batch)
    yield from option_problems(name for part in parts for name in part)
    for number, part in enumerate(parts):
        for problem in (*_of_partition(part), *account_problems(part)):
            name = problem.key.removeprefix("slurm.")
            of_its_own = number > 0 and part.get(name) != parts[0].get(name)
            yield replace(problem, key=f"slurm.decode.{name}") if of_its_own else problem


def _of_partition(part: Mapping[str, str | None]) -> Iterator[Problem]:
    """Name, state, time limit, nodes and GPUs against the partitions that the job may run in."""
    named = part.get("partition")
    known = [one.name for one in partitions()]
    for name in (named or "").split(","):
        if name and name not in known:
            hint = suggestion(name, known) or "`sinfo -s` shows them with their limits"
            yield Problem("partition", "there is no such partition", "slurm.partition", name, ", ".join(known), hint)
    there = chosen(named)
    if not there:
        if named is None:
            message = "this cluster has no default partition, so a job must name one"
            yield Problem("partition", message, "slurm.partition", allowed=", ".join(known))
        return
    if not any(one.up for one in there):
        message = "takes no jobs at the moment; the job would wait"
        yield Problem("partition", message, "slurm.partition", there[0].name, severity=Severity.WARNING)
    yield from _of_size(part, there)


def _of_size(part: Mapping[str, str | None], there: list[Partition]) -> Iterator[Problem]:
    where = " or ".join(one.name for one in there)
    limits = [one.time_limit_s for one in there]
    asked = part.get("time")
    longest = None if None in limits else max(limit for limit in limits if limit is not None)
    if asked and longest is not None and parse_time_limit(asked) > longest:
        # A QOS may lift the partition's limit.
        severity = Severity.WARNING if part.get("qos") else Severity.ERROR
        hint = ("the allocation asks for bring-up and all of its points; slurm.time_limit is per point, and "
                "launcher.max_points_per_allocation or health_check.max_attempts make it shorter")  # fmt: skip
        yield Problem("time-limit", f"the allocation needs more time than partition {where} gives", "slurm.time_limit",
                      asked, f"at most {format_time_limit(longest)}", hint, severity=severity)  # fmt: skip
    nodes, most = int(part.get("nodes") or 1), max(one.nodes for one in there)
    if nodes > most:
        message = f"the job needs {nodes} nodes; partition {where} has {most}"
        yield Problem("nodes", message, "resources", hint="fewer or smaller workers, or another partition")
    gpus, have = int(part.get("gpus-per-node") or 0), max(one.gpus_per_node for one in there)
    if gpus > have:
        message = f"the job asks for {gpus} GPUs of each node; nodes of partition {where} have {have}"
        hint = ("cluster.use_gpus_per_node_directive=false where GPUs are not asked for, "
                "cluster.simulated_gpus=true for mockers without GPUs")  # fmt: skip
        yield Problem("gpus", message, "cluster.gpus_per_node", gpus, f"at most {have}", hint)


def _tested(allocation: Allocation) -> Problem:
    """What `sbatch --test-only` says to a job: an error, or a note with the time at which it could start."""
    answer = run(["sbatch", "--test-only", "--chdir=/"], input_text=allocation.batch, check=False)
    said = one_line(answer.stderr)
    if answer.returncode != 0:
        reason = said.removeprefix("allocation failure: ")
        asked = {name: value for part in components(allocation.batch) for name, value in part.items()}
        return with_choices(problem_of(answer.stderr, f"Slurm would refuse it: {reason}", "cluster-check", asked))
    starts = re.search(r"to start at (\S+) using .* on (?:nodes )?(\S+)", said)
    when = f"; as things stand it would start at {starts[1]} on {starts[2]}" if starts else ""
    return Problem("cluster-check", f"Slurm {version_text()} takes it{when}", severity=Severity.NOTE)


def _unused_settings(sweep: Sweep) -> Iterator[Problem]:
    """Settings in the environment that sbatch would use by itself."""
    asked = {name for allocation in sweep.allocations for part in components(allocation.batch) for name in part}
    for variable, option in _SETTINGS.items():
        if variable in os.environ and option not in asked:
            yield Problem(
                "sbatch-environment",
                f"{variable} is set in your environment, and not used: a job says everything itself",
                f"slurm.{option}",
                hint=f"slurm.{option}={os.environ[variable]}, or for all jobs in the cluster's config",
                severity=Severity.WARNING,
            )
