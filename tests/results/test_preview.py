"""What a dry run shows: short enough to be read, and nothing of it made up."""

from __future__ import annotations

import os
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from srtctl import compose
from srtctl.invocation import Invocation, current
from srtctl.plan.model import Plan
from srtctl.prepare import prepare
from srtctl.report.preview import lines
from srtctl.report.processes import command, folded, grouped
from srtctl.rundir import SweepDir
from srtctl.sweep import Sweep, assemble

CONTAINERS = (
    "mode=h200-1p7d-tp8", "cluster=h200x8", "backend=sglang", "model=dsr1-fp8", "benchmark=sa-1k1k",
    "model.container=lmsysorg/sglang:v0.5.23",
)  # fmt: skip
WIDE = ("mode=gb200-2p1d-dep32", "cluster=gb200-nvl72", "backend=sglang", "backend.flags=translate",
        "model=dsr1-fp8", "benchmark=sa-1k1k", "model.container=lmsysorg/sglang:v0.5.23",
        f"cluster.architecture={os.uname().machine}")  # fmt: skip  # the programs of this machine
SWEEP = ("mode=agg,disagg", "benchmark.isl=64,128", "benchmark.osl=16,32", "-m")


@cache
def sweep_of(*argv: str, verbose: bool = False) -> Sweep:
    token = current.set(Invocation(verb="dry-run", verbose=verbose))
    try:
        return assemble(prepare(compose.points(argv)))
    finally:
        current.reset(token)


def shown(*argv: str, width: int | None = None, verbose: bool = False) -> list[str]:
    text = "\n".join(lines(sweep_of(*argv, verbose=verbose), SweepDir(Path("/out/dry-runs/x")), width))
    return text.splitlines()


def plan_of(*argv: str) -> Plan:
    return sweep_of(*argv).allocations[0].plan


def expanded(text: str) -> list[str]:
    """The names behind `decode0-2, etcd`."""
    found = []
    for part in text.split(", "):
        match = re.fullmatch(r"(.*?)(\d+)-(\d+)(\D*)", part)
        numbers = range(int(match[2]), int(match[3]) + 1) if match else ()
        found += [f"{match[1]}{n}{match[4]}" for n in numbers] if match else [part]
    return found


@pytest.mark.parametrize("argv", [CONTAINERS, WIDE, ("mode=disagg",)])
def test_each_process_is_shown_once_with_those_that_are_like_it(argv: tuple[str, ...]) -> None:
    plan = plan_of(*argv)
    groups, shared = grouped(plan)
    assert sorted(p.name for group in groups for p in group.members) == sorted(p.name for p in plan.processes)
    heads = [line for line in shown(*argv) if re.match(r"  [a-z][\w, -]* on node\d", line)]
    names = [name for line in heads for name in expanded(line.partition(" on node")[0].strip())]
    assert sorted(set(names)) == sorted({p.name for p in plan.processes} | {s.name for s in steps(argv)[:1]})
    for group in groups:
        texts = {re.sub(r"\d+", "#", shlex.join(p.argv)) for p in group.members}
        assert len(texts) == 1
        assert len({p.role for p in group.members}) == 1
        for process in group.members:
            for name, value in {**group.env, **shared}.items() if process is group.first else ():
                if name in process.env:
                    assert value.replace("slotN", f"slot{process.slot}") == process.env[name]


def steps(argv: tuple[str, ...]) -> list[object]:
    found: list[object] = list(sweep_of(*argv).points[0].steps.steps)
    return found


def test_ranks_of_one_worker_are_one_block() -> None:
    """Two prefill workers of 8 nodes and one decode worker of 8 (32 GPUs of 4 a node): four kinds of ranks."""
    plan = plan_of(*WIDE)
    sizes = {worker.name: len(worker.ranks) for worker in plan.workers}
    found = [[p.name for p in group.members] for group in grouped(plan)[0] if group.first.worker]
    leaders = [[n for n in sizes if n.startswith(role)] for role in ("prefill", "decode")]
    others = [[f"{n}-rank{r}" for n in names for r in range(1, sizes[n])] for names in leaders]
    assert sorted(found) == sorted([*leaders, *others])
    assert f"      ranks 1-{sizes['decode0'] - 1} of {sizes['decode0']}" in shown(*WIDE)


def test_images_of_containers_take_two_lines() -> None:
    text = shown(*CONTAINERS)
    at = text.index("  image0-7 on node0-7")
    assert text[at + 1] == "      brings lmsysorg/sglang:v0.5.23 there, once"
    assert not any(line.strip() == "$ true" for line in text)
    assert "  1. image0-7, etcd, nats, nginx" in text
    assert len(text) < 350
    assert "  decode    7      8          1           node1-7" in text
    assert "  decode0-6/nccl      node1-7  17501-17507  1" in text


def test_warnings_are_last() -> None:
    text = shown(*CONTAINERS)
    first = next(n for n, line in enumerate(text) if line.startswith("warning: "))
    assert first > text.index("--- nginx.conf")
    assert not any(line.startswith("---") for line in text[first:])
    assert text[-2:] == ["written to /out/dry-runs/x", "nothing was started"]


def test_verbose_hides_nothing() -> None:
    text = shown(*CONTAINERS, verbose=True)
    plan = plan_of(*CONTAINERS)
    for process in plan.processes:
        at = next(n for n, line in enumerate(text) if line.startswith(f"  {process.name} on node{process.slot}"))
        if process.argv != ("true",):
            assert shlex.split(text[at + 1])[1:] == list(process.argv)
    assert sum(line.startswith("      SGLANG_HOST_IP=") for line in text) == 8
    assert "  dedicated_node: false" in text
    assert "  dedicated_node: false" not in shown(*CONTAINERS)


@pytest.mark.parametrize("width", [60, 80, 132])
def test_commands_fit_the_terminal_and_can_be_copied(width: int) -> None:
    for process in plan_of(*CONTAINERS).processes:
        broken = list(command(process.argv, width))
        assert shlex.split("\n".join(broken).replace("\\\n", " "))[1:] == list(process.argv)
        for line in broken:  # what is longer is one flag with its value
            assert len(line) <= width or len(shlex.split(line.rstrip("\\"))) <= 3, line
        assert len(list(command(process.argv, None))) == 1


def test_later_measurements_say_what_differs() -> None:
    text = shown(*CONTAINERS)
    (line,) = [line for line in text if line.startswith("  c0004, the same but for ")]
    assert "--concurrency 4 --request-count 40" in line
    assert "--model" not in line


def test_a_sweep_shows_points_and_each_deployment() -> None:
    text = shown(*SWEEP)
    assert text[0] == "srtctl: 8 points on 2 deployments"
    assert sum(line.startswith("== deployment ") for line in text) == 2
    assert text[3].split() == ["point", "config_id", "deployment", "overrides"]
    assert [line.split()[2] for line in text[4:12]] == ["0"] * 4 + ["1"] * 4


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["etcd"], "etcd"),
        (["decode0"], "decode0"),
        (["decode0", "decode1", "decode3", "etcd"], "decode0-1, decode3, etcd"),
        (["image0-nginx", "image0", "image1"], "image0-nginx, image0-1"),
        (["decode0-rank1", "decode0-rank2", "decode1-rank1"], "decode0-rank1-2, decode1-rank1"),
        (["a1", "b", "a0"], "a0-1, b"),
    ],
)
def test_names_are_folded(names: list[str], expected: str) -> None:
    assert folded(names) == expected
