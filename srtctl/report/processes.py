"""A plan's processes as people read them: those that differ only in number, node and ports are shown once."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from srtctl.errors import format_ranges
from srtctl.plan.model import Plan, PortRequest, Process, Rank, Step

MARGIN = "      "
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)")
_RANK = "--node-rank"
_IMPORT = ("true",)  # a step that does nothing, in the container of all others


@dataclass(frozen=True)
class Alike:
    """Processes that are one to a reader.

    Attributes:
        members: In the order of the plan.
        env: Variables of the first one, without those that have been shown elsewhere.
    """

    members: tuple[Process, ...]
    env: Mapping[str, str]

    @property
    def first(self) -> Process:
        return self.members[0]


def grouped(plan: Plan) -> tuple[list[Alike], dict[str, str]]:
    """Groups of processes that are alike, and the variables that all workers and frontends have.

    In the values of the latter `slotN` is the process's own node.
    """
    groups: dict[object, list[Process]] = {}
    for process in plan.processes:
        groups.setdefault(_signature(process), []).append(process)
    members = [tuple(group) for group in groups.values()]
    serving = [group[0] for group in members if group[0].worker or group[0].role == "frontend"]
    shared = _shared(serving) if len(serving) > 1 else {}
    found = []
    for group in members:
        own = {k: v for k, v in group[0].env.items() if group[0] not in serving or k not in shared}
        found.append(Alike(group, own))
    return found, shared


def single(plan: Plan) -> list[Alike]:
    """Every process by itself, with its whole environment."""
    return [Alike((process,), process.env) for process in plan.processes]


def block(alike: Alike, plan: Plan, width: int | None, *, env: bool) -> Iterator[str]:
    """The lines of a group: who, where, the command, when it counts as ready, and its variables where `env`."""
    first, members = alike.first, alike.members
    gpus = f", {_gpus(members)}" if first.gpus else ""
    needs = folded(name for member in members for name in member.needs)
    yield f"  {folded(m.name for m in members)} on node{format_ranges(m.slot for m in members)}{gpus}" + (
        f", after {needs}" if needs else ""
    )
    if first.argv == _IMPORT:
        yield f"{MARGIN}brings {first.image or plan.container.image} there, once"
        return
    if first.setup:
        yield from command(first.setup, width, "first: ")
    yield from command(first.argv, width)
    if first.probe is not None:
        probe = first.probe
        path = f"{probe.kind}://{probe.address}{probe.path if probe.kind == 'http' else ''}"
        yield f"{MARGIN}ready: {path} within {first.ready_timeout_s:g} s"
    if env:
        yield from variables(alike.env)
    yield from _ranks(members, plan)


def variables(values: Mapping[str, str]) -> Iterator[str]:
    """One line for each variable, as a shell takes it."""
    yield from (f"{MARGIN}{name}={shlex.quote(value)}" for name, value in sorted(values.items()))


def command(argv: Sequence[str], width: int | None, before: str = "$ ") -> Iterator[str]:
    """A command that can be copied; broken before flags where a terminal of `width` columns would break it anywhere."""
    words = [shlex.quote(word) for word in argv]
    line = f"{MARGIN}{before}{words[0] if words else ''}"
    for number, word in enumerate(words[1:], 1):
        after = words[number + 1] if number + 1 < len(words) else ""
        need = len(word) + (1 + len(after) if word.startswith("-") and not after.startswith("-") else 0)
        follows = not word.startswith("-") and words[number - 1].startswith("-")
        if width is not None and not follows and len(line) + need + 3 > width:
            yield f"{line} \\"
            line = f"{MARGIN}    {word}"
        else:
            line += f" {word}"
    yield line


def measurements(steps: Sequence[Step], width: int | None) -> Iterator[str]:
    """The first client whole, of those that follow what differs."""
    before: Step | None = None
    for step in steps:
        where = f"  {step.name} on node{step.slot}"
        if step.hold:
            yield f"{where}: holds the servers until it is told to stop"
            continue
        changes = None if before is None else _changes(before, step)
        if changes is not None:
            yield from _broken(f"  {step.name}, the same but for {changes}", width)
            continue
        before = step
        yield where
        yield from command(step.argv, width)
        yield from variables(step.env)


def _broken(line: str, width: int | None) -> list[str]:
    if width is None:
        return [line]
    return textwrap.wrap(line, width, subsequent_indent=MARGIN, break_long_words=False, break_on_hyphens=False)


def _changes(before: Step, step: Step) -> str | None:
    """What to change in one client's command and variables to get another's; None when that is not said shortly."""
    if len(before.argv) != len(step.argv) or before.env.keys() != step.env.keys() or before.slot != step.slot:
        return None
    found = []
    for number, (old, new) in enumerate(zip(before.argv, step.argv, strict=True)):
        if old != new and number and before.argv[number - 1].startswith("-"):
            found.append(f"{step.argv[number - 1]} {shlex.quote(new)}")
        elif old != new:
            return None
    found += [f"{name}={shlex.quote(value)}" for name, value in sorted(step.env.items()) if before.env[name] != value]
    return " ".join(found) or "nothing"


def port_rows(ports: Iterable[PortRequest]) -> list[list[str]]:
    """A table of the ports, those of alike processes in one row."""
    groups: dict[tuple[str, str, int], list[PortRequest]] = {}
    for request in ports:
        owner, _, what = request.name.partition("/")
        match = _NUMBERED.fullmatch(owner)
        groups.setdefault((match[1] if match else owner, what, request.count), []).append(request)
    rows = [["port", "node", "preferred", "each"]]
    for (_, what, count), group in groups.items():
        owners = folded(request.name.partition("/")[0] for request in group)
        nodes = format_ranges(request.slot for request in group)
        rows.append([f"{owners}/{what}", f"node{nodes}", format_ranges(r.preferred for r in group), str(count)])
    return rows


def folded(names: Iterable[str]) -> str:
    """`etcd, decode0-2, decode7` for these names in any number; each once, in the order of their first."""
    families: dict[tuple[str, str], list[int]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        key, number = ((match[1], match[3]), int(match[2])) if match else ((name, ""), -1)
        families.setdefault(key, []).append(number)
    texts = []
    for (before, after), numbers in families.items():
        runs = format_ranges(numbers).split(", ") if numbers[0] >= 0 else [""]
        texts += [f"{before}{run}{after}" for run in runs]
    return ", ".join(texts)


def _gpus(members: Sequence[Process]) -> str:
    each = list(dict.fromkeys(format_ranges(member.gpus) for member in members))
    if len(each) == 1:
        return f"{'GPU' if len(members[0].gpus) == 1 else 'GPUs'} {each[0]}"
    return f"GPUs {' | '.join(each)}"


def _ranks(members: Sequence[Process], plan: Plan) -> Iterator[str]:
    """Which ranks of how many, for workers over several nodes."""
    ranks = {worker.name: worker.ranks for worker in plan.workers if len(worker.ranks) > 1}
    found = {ranks[p.worker].index(Rank(p.slot, p.gpus)) for p in members if p.worker in ranks}
    if found:
        word = "rank" if len(found) == 1 else "ranks"
        yield f"{MARGIN}{word} {format_ranges(found)} of {len(ranks[members[0].worker])}"


def _signature(process: Process) -> object:
    """What alike processes have in common."""
    probe = process.probe
    argv = list(process.argv)
    if _RANK in argv:
        argv[argv.index(_RANK) + 1] = "N"
    texts = [*argv, *process.setup, *(f"{k}={v}" for k, v in sorted(process.env.items()))]
    texts += [f"{probe.kind} {probe.address}{probe.path}"] if probe is not None else []
    needs = tuple(sorted({re.sub(r"\d+", "N", name) for name in process.needs}))
    return (
        process.role, process.kind, process.image, process.container, len(process.gpus), needs,
        tuple(_normal(text, process) for text in texts),
    )  # fmt: skip


def _normal(text: str, process: Process) -> str:
    """`text` without what the process's own number, worker and node make of it."""
    if text.startswith("CUDA_VISIBLE_DEVICES="):
        return "CUDA_VISIBLE_DEVICES"
    own = re.escape(process.worker or process.name)
    text = re.sub(rf"@host:slot\d+@(?=:@port:{own}[/-])", "@host:slotN@", _own_slot(text, process))
    return re.sub(rf"\b({re.escape(process.name)}|{own})\b", "OWN", text)


def _own_slot(text: str, process: Process) -> str:
    """`text` with `slotN` for the process's own node, save where that is the node of a service."""
    own = re.escape(process.worker or process.name)
    return re.sub(rf"\bslot{process.slot}\b(?!@:@port:(?!{own}[/-]))", "slotN", text)


def _shared(processes: Sequence[Process]) -> dict[str, str]:
    """The variables that all have with the same value, but for their own node."""
    found = {}
    for name, value in processes[0].env.items():
        values = {process.env.get(name, "") for process in processes}
        own = {_own_slot(process.env.get(name, ""), process) for process in processes}
        if len(values) == 1 or len(own) == 1:
            found[name] = value if len(values) == 1 else own.pop()
    return found
