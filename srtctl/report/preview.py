"""What `dry-run` shows: the job, the GPUs as a picture, every process, the order of start, the ports, the files.

Plain text without a library, so that a dry run starts in no time and its text can be compared.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from srtctl.errors import format_problems, format_ranges
from srtctl.plan.model import Plan, PointSteps, Process, Rank
from srtctl.prepare import PreparedPoint
from srtctl.rundir import SweepDir
from srtctl.sweep import Allocation, Sweep, problem_record
from srtctl.yamltext import dump_sections

MARKS = {"prefill": "P", "decode": "D", "aggregated": "A"}


def show(sweep: Sweep, directory: SweepDir) -> None:
    """Print the preview of a sweep that was written to `directory`."""
    if sweep.invocation.as_json:
        print(json.dumps(as_json(sweep, directory), indent=2))
        return
    print("\n".join(lines(sweep, directory)))


def as_json(sweep: Sweep, directory: SweepDir) -> dict[str, Any]:
    """The preview for scripts: problems, points with their whole config and steps, allocations with their plan."""
    return {
        "directory": str(directory.path),
        "problems": [problem_record(problem) for problem in sweep.problems],
        "points": [
            {
                "index": p.index,
                "overrides": list(p.overrides),
                "config_id": p.config_id,
                "deployment_id": p.deployment_id,
                "config": p.config,
                "steps": dataclasses.asdict(p.steps),
                "dropped": list(p.dropped),
            }
            for p in sweep.points
        ],
        "allocations": [
            {"index": a.index, "points": list(a.points), "batch": a.batch, "plan": dataclasses.asdict(a.plan)}
            for a in sweep.allocations
        ],
    }


def lines(sweep: Sweep, directory: SweepDir) -> Iterator[str]:
    """The preview's lines. A single job is shown whole; of a sweep each deployment once, and its points as a table."""
    single = len(sweep.points) == 1
    yield f"{sweep.name}: {len(sweep.points)} point(s) on {len(sweep.allocations)} deployment(s)"
    if sweep.problems:
        yield format_problems(sweep.problems)
    if single or sweep.invocation.show_sources or sweep.invocation.verbose:
        for point in sweep.points:
            yield from _job(point, sweep)
    else:
        yield from _points(sweep)
    detailed = sweep.allocations if single or sweep.invocation.verbose else sweep.allocations[:3]
    for allocation in detailed:
        yield from _allocation(allocation, sweep)
    if len(detailed) < len(sweep.allocations):
        yield f"\n{len(sweep.allocations) - len(detailed)} more deployments, not shown: -v shows all of them"
    yield f"\nwritten to {directory.path}"
    yield "nothing was started"


def _job(point: PreparedPoint, sweep: Sweep) -> Iterator[str]:
    yield f"\n== job (point {point.index}, config_id {point.config_id})"
    for dropped in point.dropped:
        yield f"# dropped from the recipe, because a group on the command line owns it: {dropped}"
    if sweep.invocation.show_sources:
        yield from _sourced(point)
    else:
        shown = point.shown_config if sweep.invocation.verbose else _without_empty(point.shown_config)
        yield dump_sections(shown).rstrip()
        if not sweep.invocation.verbose:
            yield "# keys without a value are not shown; -v shows them"


def _without_empty(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what is unset: null, empty maps and empty lists."""
    kept = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in config.items()}
    return {key: value for key, value in kept.items() if value not in (None, {}, [])}


def _sourced(point: PreparedPoint) -> Iterator[str]:
    """Every key with its value and where it came from."""
    rows = [(key, json.dumps(value), point.sources.written(key)) for key, value in _leaves(point.shown_config)]
    width = max((len(f"{key}: {value}") for key, value, _ in rows), default=0)
    for key, value, source in rows:
        yield f"{f'{key}: {value}':<{min(width, 70)}}  # {source or 'schema default'}"


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _points(sweep: Sweep) -> Iterator[str]:
    yield "\n== points"
    home = {index: a.index for a in sweep.allocations for index in a.points}
    rows = [["point", "config_id", "deployment", "overrides"]]
    rows += [[str(p.index), p.config_id, str(home[p.index]), " ".join(p.overrides)] for p in sweep.points]
    yield from table(rows)


def _allocation(allocation: Allocation, sweep: Sweep) -> Iterator[str]:
    plan = allocation.plan
    yield f"\n== deployment {allocation.index} ({plan.deployment_id}), points {format_ranges(allocation.points)}"
    yield ""
    yield from gpu_map(plan)
    yield "\norder of start"
    yield from (f"  {number}. {', '.join(names)}" for number, names in enumerate(start_waves(plan.processes), 1))
    yield f"  then: {_census(plan)}, one streamed completion through {plan.endpoint}"
    yield "\nprocesses"
    for process in plan.processes:
        yield from _process(process, plan, sweep.invocation.verbose or len(sweep.points) == 1)
    yield "\nports (preferred; fixed when the job starts)"
    yield from ("  " + line for line in table(_port_rows(plan)))
    for point in [p for p in sweep.points if p.index in allocation.points][: None if sweep.invocation.verbose else 1]:
        yield from _steps(point.steps, point.index)
    yield from _files(allocation)


def gpu_map(plan: Plan) -> Iterator[str]:
    """The nodes as rows, their GPUs as columns, each cell the worker that has it; what else runs there at the end."""
    owner = {
        (rank.slot, gpu): f"{MARKS[worker.role]}{worker.index}"
        for worker in plan.workers
        for rank in worker.ranks
        for gpu in rank.gpus
    }
    width = max([2, *(len(mark) for mark in owner.values())])
    most = max(slot.gpus for slot in plan.slots)
    names = [f"node{slot.index}" for slot in plan.slots]
    left = max(len(name) for name in names)
    yield (f"  {'GPU':<{left}}  " + " ".join(f"{gpu:<{width}}" for gpu in range(most))).rstrip()
    for slot, name in zip(plan.slots, names, strict=True):
        cells = " ".join(f"{owner.get((slot.index, gpu), '.'):<{width}}" for gpu in range(slot.gpus))
        others = [p.name for p in plan.processes if p.slot == slot.index and not p.worker]
        cells += " " * (most * (width + 1) - 1 - len(cells))
        yield f"  {name:<{left}}  {cells}  {' '.join(others)}".rstrip()
    used = sorted({worker.role for worker in plan.workers})
    yield f"  {', '.join(f'{MARKS[role]} = {role}' for role in used)}; {len(owner)} GPUs in use"


def start_waves(processes: Iterable[Process]) -> list[list[str]]:
    """Names by when they can start at the earliest: first those that need nothing, then those that need these, …"""
    left = {process.name: set(process.needs) for process in processes}
    waves: list[list[str]] = []
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        waves.append(free)
        for name in free:
            del left[name]
    return waves


def _process(process: Process, plan: Plan, whole: bool) -> Iterator[str]:
    gpus = f", GPUs {format_ranges(process.gpus)}" if process.gpus else ""
    needs = f", after {', '.join(process.needs)}" if process.needs else ""
    yield f"  {process.name} on node{process.slot}{gpus}{needs}"
    if process.setup:
        yield f"      first: {shlex.join(process.setup)}"
    yield f"      $ {shlex.join(process.argv)}"
    if process.probe is not None:
        probe = process.probe
        path = f"{probe.kind}://{probe.address}{probe.path if probe.kind == 'http' else ''}"
        yield f"      ready: {path} within {process.ready_timeout_s:g} s"
    if whole:
        yield from (f"      {name}={shlex.quote(value)}" for name, value in sorted(process.env.items()))
    if process.worker and (rank := _rank(process, plan)) is not None:
        yield f"      rank {rank[0]} of {rank[1]}"


def _rank(process: Process, plan: Plan) -> tuple[int, int] | None:
    """Which rank of how many, for a worker over several nodes."""
    for worker in plan.workers:
        if worker.name == process.worker and len(worker.ranks) > 1:
            return worker.ranks.index(Rank(process.slot, process.gpus)), len(worker.ranks)
    return None


def _census(plan: Plan) -> str:
    wanted = ", ".join(f"{count} {role}" for role, count in plan.census.expect.items())
    return (
        f"{wanted} registered at each of {len(plan.census.frontends)} frontend(s), model {plan.census.model!r} listed"
    )


def _port_rows(plan: Plan) -> list[list[str]]:
    rows = [["port", "node", "preferred", "consecutive"]]
    return rows + [[p.name, f"node{p.slot}", str(p.preferred), str(p.count)] for p in plan.ports]


def _steps(steps: PointSteps, index: int) -> Iterator[str]:
    yield f"\nmeasurements of point {index} ({steps.benchmark})"
    for step in steps.steps:
        yield f"  {step.name} on node{step.slot}" + (
            ": holds the servers until it is told to stop" if step.hold else ""
        )
        if step.argv:
            yield f"      $ {shlex.join(step.argv)}"
        yield from (f"      {name}={shlex.quote(value)}" for name, value in sorted(step.env.items()))


def _files(allocation: Allocation) -> Iterator[str]:
    texts = [("batch.sh", allocation.batch), *((file.path, file.text) for file in allocation.plan.files)]
    for path, text in texts:
        yield f"\n--- {Path(path)}"
        yield text.rstrip()


def table(rows: list[list[str]]) -> Iterator[str]:
    """Left-aligned columns, two spaces between."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
