"""What Slurm says about its partitions: limits, nodes, GPUs. Asked once per command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from srtctl.errors import SrtctlError
from srtctl.plan.duration import parse_time_limit
from srtctl.slurm.command import run

# `gpu:8`, `gpu:h100:8(S:0-1)`; several joined with commas
_GPUS = re.compile(r"(?:^|,)gpu(?::[^:,(]+)?:(\d+)")


@dataclass(frozen=True)
class Partition:
    """One partition.

    Attributes:
        default: Jobs that name none get this one.
        up: Jobs start in it.
        time_limit_s: None for no limit.
        nodes: All of them, whatever their state.
        gpus_per_node: The most that a node of it has.
    """

    name: str
    default: bool
    up: bool
    time_limit_s: float | None
    nodes: int
    gpus_per_node: int


@cache
def partitions() -> tuple[Partition, ...]:
    """All partitions, hidden ones too.

    Raises:
        SrtctlError: Slurm can't be asked.
    """
    text = run(["sinfo", "--all", "--noheader", "--noconvert", "--format=%P|%a|%l|%D|%G"]).stdout
    found: dict[str, Partition] = {}
    for line in text.splitlines():
        name, state, limit, nodes, gres = (part.strip() for part in line.split("|", 4))
        one = Partition(name.rstrip("*"), name.endswith("*"), state == "up", _seconds(limit), int(nodes), _gpus(gres))
        seen = found.get(one.name)
        found[one.name] = one if seen is None else _joined(seen, one)
    return tuple(found.values())


def chosen(named: str | None) -> list[Partition]:
    """The partitions that a job may run in: those it names (several joined with commas), else the default one."""
    if named is None:
        return [one for one in partitions() if one.default]
    wanted = named.split(",")
    return [one for one in partitions() if one.name in wanted]


def longest_s(named: str | None) -> float | None:
    """The longest time that a job may have there; None for no limit, or none that is known."""
    try:
        limits = [one.time_limit_s for one in chosen(named)]
    except SrtctlError:
        return None
    known = [limit for limit in limits if limit is not None]
    return max(known) if known and len(known) == len(limits) else None


def most_gpus(named: str | None) -> int | None:
    """GPUs of a node of the partitions that a job may run in; None when Slurm can't be asked."""
    try:
        return max((one.gpus_per_node for one in chosen(named)), default=0)
    except SrtctlError:
        return None


def _joined(one: Partition, other: Partition) -> Partition:
    """sinfo has a line for each kind of node in a partition."""
    gpus = max(one.gpus_per_node, other.gpus_per_node)
    return Partition(one.name, one.default, one.up, one.time_limit_s, one.nodes + other.nodes, gpus)


def _seconds(text: str) -> float | None:
    try:
        return float(parse_time_limit(text))
    except ValueError:  # infinite, n/a
        return None


def _gpus(gres: str) -> int:
    return sum(int(count) for count in _GPUS.findall(gres))
