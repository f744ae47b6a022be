"""What `dry-run` shows: the job, the GPUs as a picture, every process, the order of start, the ports, the files.

Plain text without a library, so that a dry run starts in no time and its text can be compared.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from srtctl.errors import counted, format_problems, format_ranges, wrapped
from srtctl.plan.model import Plan, Process
from srtctl.prepare import PreparedPoint
from srtctl.report.processes import block, folded, grouped, measurements, port_rows, single, variables
from srtctl.rundir import SweepDir
from srtctl.sweep import Allocation, Sweep, problem_record
from srtctl.validate.fieldplan import plan_of
from srtctl.yamltext import dump_sections

_SHOWN_DEPLOYMENTS = 3

MARKS = {"prefill": "P", "decode": "D", "aggregated": "A"}


def show(sweep: Sweep, directory: SweepDir) -> None:
    """Print the preview of a sweep that was written to `directory`."""
    if sweep.invocation.as_json:
        print(json.dumps(as_json(sweep, directory), indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(lines(sweep, directory, width)))


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


def lines(sweep: Sweep, directory: SweepDir, width: int | None = None) -> Iterator[str]:
    """The preview's lines. A single job is shown whole; of a sweep each deployment once, and its points as a table.

    Args:
        sweep: What is shown.
        directory: Where it was written.
        width: Columns of the terminal, to break commands at; None leaves each on one line.
    """
    alone = len(sweep.points) == 1
    shared = "" if alone else f" on {counted(len(sweep.allocations), 'deployment')}"
    yield f"{sweep.name}: {counted(len(sweep.points), 'point')}{shared}"
    if alone or sweep.invocation.show_sources or sweep.invocation.verbose:
        for point in sweep.points:
            yield from _job(point, sweep)
    else:
        yield from _points(sweep)
    detailed = sweep.allocations if alone or sweep.invocation.verbose else sweep.allocations[:_SHOWN_DEPLOYMENTS]
    for allocation in detailed:
        yield from _allocation(allocation, sweep, width)
    hidden = len(sweep.allocations) - len(detailed)
    if hidden:
        yield f"\n{counted(hidden, 'more deployment')}, not shown: -v shows all of them"
    yield ""
    if sweep.problems:  # last, where they are seen
        text = format_problems(sweep.problems)
        yield f"{text if width is None else wrapped(text, width)}\n"
    yield f"written to {directory.path}"
    yield "nothing was started"


def _job(point: PreparedPoint, sweep: Sweep) -> Iterator[str]:
    yield f"\n== job (point {point.index}, config_id {point.config_id})"
    for dropped in point.dropped:
        yield f"# dropped from the recipe, because a group on the command line owns it: {dropped}"
    if sweep.invocation.show_sources:
        yield from _sourced(point)
    elif sweep.invocation.verbose:
        yield dump_sections(point.shown_config).rstrip()
    else:
        yield dump_sections(_without_defaults(point.shown_config, point.job)).rstrip()
        yield "# keys at the schema's default are not shown; -v shows them"


def _without_defaults(config: Mapping[str, Any], node: Any) -> dict[str, Any]:
    """The config without what is as the schema has it, and without what is empty; types and names are always shown."""
    cls: Any = type(node)
    plans = plan_of(cls)
    kept: dict[str, Any] = {}
    for key, value in config.items():
        inner = getattr(node, key)
        if hasattr(inner, "__dataclass_fields__"):
            below = _without_defaults(value, inner)
            kept.update({key: below} if below else {})
        elif value not in (None, {}, []) and (key in ("type", "name") or inner != plans[key].default()):
            kept[key] = value
    return kept


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


def _allocation(allocation: Allocation, sweep: Sweep, width: int | None) -> Iterator[str]:
    plan, verbose = allocation.plan, sweep.invocation.verbose
    points = f", points {format_ranges(allocation.points)}" if len(sweep.points) > 1 else ""
    yield f"\n== deployment {allocation.index} ({plan.deployment_id}){points}"
    yield ""
    yield from ("  " + line for line in table(_roles(plan)))
    yield ""
    yield from gpu_map(plan)
    yield "\norder of start"
    yield from (f"  {number}. {folded(names)}" for number, names in enumerate(start_waves(plan.processes), 1))
    yield f"  then: {_census(plan)},"
    yield f"        one streamed completion through {plan.endpoint}"
    yield from _processes(plan, width, verbose=verbose, env=verbose or len(sweep.points) == 1)
    yield "\nports (preferred; fixed when the job starts)"
    yield from ("  " + line for line in table(port_rows(plan.ports)))
    for point in [p for p in sweep.points if p.index in allocation.points][: None if verbose else 1]:
        yield f"\nmeasurements of point {point.index} ({point.steps.benchmark})"
        yield from measurements(point.steps.steps, width)
    yield from _files(allocation)


def _roles(plan: Plan) -> list[list[str]]:
    """Workers, frontends and services: how many of each, with how many GPUs, where."""
    rows = [["role", "count", "GPUs each", "nodes each", "on"]]
    for role in dict.fromkeys(worker.role for worker in plan.workers):
        workers = [worker for worker in plan.workers if worker.role == role]
        gpus = sum(len(rank.gpus) for rank in workers[0].ranks)
        slots = [rank.slot for worker in workers for rank in worker.ranks]
        nodes = str(len({rank.slot for rank in workers[0].ranks}))
        rows.append([role, str(len(workers)), str(gpus), nodes, f"node{format_ranges(slots)}"])
    others = [process for process in plan.processes if not process.worker and process.kind == "service"]
    for role in dict.fromkeys(process.role for process in others):
        slots = [process.slot for process in others if process.role == role]
        rows.append([role, str(len(slots)), "", "", f"node{format_ranges(slots)}"])
    return rows


def _processes(plan: Plan, width: int | None, *, verbose: bool, env: bool) -> Iterator[str]:
    groups, shared = (single(plan), {}) if verbose else grouped(plan)
    yield "\nprocesses"
    if any(len(group.members) > 1 for group in groups):
        yield "  # of those alike but for number, node and ports the first is shown; -v: all"
    yield "  # @...@: addresses, ports and directories that are known when the job has started"
    for group in groups:
        yield from block(group, plan, width, env=env)
    if env and shared:
        yield "  in the environment of every worker and frontend (slotN: its own node)"
        yield from variables(shared)


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
        others = [p.name for p in plan.processes if p.slot == slot.index and not p.worker and p.kind == "service"]
        cells += " " * (most * (width + 1) - 1 - len(cells))
        yield f"  {name:<{left}}  {cells}  {' '.join(others)}".rstrip()
    used = sorted({worker.role for worker in plan.workers})
    total = sum(slot.gpus for slot in plan.slots)
    yield f"  {', '.join(f'{MARKS[role]} = {role}' for role in used)}; {len(owner)} of {total} GPUs in use"


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


def _census(plan: Plan) -> str:
    wanted = ", ".join(f"{count} {role}" for role, count in plan.census.expect.items())
    at = counted(len(plan.census.frontends), "frontend")
    return f"{wanted} registered at {at}, model {plan.census.model!r} listed"


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
