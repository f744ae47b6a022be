"""Everything that is wrong is told at once, and nothing that would only follow from it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srtctl import compose, recipe
from srtctl.errors import Problem, SrtctlError, errors_of
from srtctl.prepare import prepare
from srtctl.site import Site

Found = set[tuple[str, str]]

GOOD: dict[str, str] = {
    "name": "x",
    "model": '{path: "builtin:tiny"}',
    "resources": "{gpus_per_node: 8, agg_nodes: 1, agg_workers: 2}",
    "backend": "{type: mocker}",
    "benchmark": "{type: sa-bench, isl: 10, osl: 10, concurrencies: [1]}",
}


def told(line: str = "", path: Path | None = None) -> list[Problem]:
    """The errors that a user sees."""
    argv = shlex.split(line)
    with pytest.raises(SrtctlError) as caught:
        prepare(compose.points(argv, recipe.load(path, "", argv) if path else None), Site(path))
    return errors_of(caught.value.problems)


def keys(problems: list[Problem]) -> Found:
    return {(p.rule, p.key) for p in problems}


@pytest.fixture
def told_of(write: Callable[..., Path]) -> Callable[..., list[Problem]]:
    """The errors of a recipe that is right but for `parts`."""

    def told_(line: str = "", **parts: str) -> list[Problem]:
        return told(line, write("".join(f"{key}: {value}\n" for key, value in {**GOOD, **parts}.items())))

    return told_


def test_the_recipe_is_right_without_a_mistake(write: Callable[..., Path]) -> None:
    path = write("".join(f"{key}: {value}\n" for key, value in GOOD.items()))
    assert len(prepare(compose.points([], recipe.load(path)), Site(path))) == 1


BANANA = ("time-limit", "slurm.time_limit")
RECIPES: dict[str, tuple[str, dict[str, str], Found]] = {
    "an unknown key": ("", {"enviroment": "{A: b}"}, {("unknown-key", "enviroment")}),
    "an unknown key that was mandatory": (
        "", {"model": '{paht: "builtin:tiny"}'}, {("unknown-key", "model.paht")}),
    "a wrong type": ("", {"benchmark": "{type: sa-bench, isl: many, osl: -1}"},
                     {("wrong-type", "benchmark.isl"), ("minimum", "benchmark.osl")}),
    "a wrong type beside workers that don't fit": (
        "", {"health_check": "{max_attempts: some}", "resources": "{gpus_per_node: 8, agg_nodes: 1, agg_workers: 16}"},
        {("wrong-type", "health_check.max_attempts"), ("gpus-per-worker", "resources.gpus_per_agg")}),
    "a number that placement needs": (
        "", {"resources": "{gpus_per_node: 8, agg_nodes: one, agg_workers: 16}"},
        {("wrong-type", "resources.agg_nodes")}),
    "an unknown benchmark": (
        "", {"benchmark": "{type: sa-banch, isl: many, client_placement: tail}"},
        {("unknown-option", "benchmark.type"), ("allowed-value", "benchmark.client_placement")}),
    "an unknown backend": (
        "", {"backend": "{type: moker, speedup_ratio: -1, flags: lax}"},
        {("unknown-option", "backend.type"), ("allowed-value", "backend.flags")}),
    "an unknown frontend": ("", {"frontend": "{type: nginx, count: 0}"},
                            {("allowed-value", "frontend.type"), ("minimum", "frontend.count")}),
    "refused by name": (
        "", {"backend": "{type: trtllm, trtllm_config: {prefill: {x: 1}}}", "telemetry": "{enabled: true}"},
        {("unsupported-key", "backend.type"), ("unsupported-key", "backend.trtllm_config"),
         ("unsupported-key", "telemetry.enabled")}),
    "an unknown option of a group": ("benchmark=sa-1k1", {}, {("unknown-option", "benchmark")}),
    "an unknown cluster": ("", {"cluster": "locale"}, {("unknown-option", "cluster")}),
    "an override that is none": ("benchmark.isl=[1", {}, {("override-syntax", "benchmark.isl")}),
    "several values": ("benchmark.isl=1,2", {}, {("ambiguous-value", "benchmark.isl")}),
    "a sweep that is none": (
        "", {"sweep": "{isl: 4}", "benchmark": "{type: sa-bench, isl: 1, osl: 1, concurrencies: [1], foo: 1}"},
        {("sweep", "sweep.isl"), ("unknown-key", "benchmark.foo")}),
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_is_told_that_only_follows(told_of: Callable[..., list[Problem]], name: str) -> None:
    line, parts, expected = RECIPES[name]
    assert keys(told_of(line, **parts)) == expected


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "a sweep that is none"])
def test_all_else_that_is_wrong_is_told_too(told_of: Callable[..., list[Problem]], name: str) -> None:
    line, parts, expected = RECIPES[name]
    found = told_of(line, **parts, slurm="{time_limit: banana, acount: me}", extra_mount="[/nocolon]")
    # a cluster that isn't known has mounts of its own
    further = set() if "cluster" in parts else {("mount", "extra_mount[0]")}
    assert keys(found) == expected | {BANANA, ("unknown-key", "slurm.acount"), *further}


def test_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told("mode=disag benchmark.islx=5 benchmark.osl=abc modle=x slurm.time_limit=banana name='a b'")
    assert keys(found) == {
        ("unknown-option", "mode"), ("unknown-key", "benchmark.islx"), ("wrong-type", "benchmark.osl"),
        ("unknown-key", "modle"), BANANA, ("text", "name"),
    }  # fmt: skip


def test_the_type_of_another_group() -> None:
    found = told("benchmark.type=custom benchmark.command=x slurm.time_limit=banana")
    assert keys(found) == {("type-of-group", "benchmark.type"), BANANA}


def test_a_key_of_another_type() -> None:
    (found,) = told("benchmark.command=x")
    assert (found.rule, found.key, found.source) == ("unknown-key", "benchmark.command", "command line")
    assert found.message == "benchmark sa-bench has no such key"
    assert found.hint == "benchmarks that have it: custom"


def test_all_points_of_a_sweep() -> None:
    found = told("benchmark.isl=1,two,3,-4 name=a,b\\ c -m benchmark.osl=0")
    assert {(p.rule, p.key, p.value, p.points) for p in found} == {
        ("wrong-type", "benchmark.isl", "two", (2, 3)),
        ("minimum", "benchmark.isl", -4, (6, 7)),
        ("text", "name", "b c", (1, 3, 5, 7)),
        ("minimum", "benchmark.osl", 0, ()),
    }


def test_points_of_an_unknown_option() -> None:
    found = told("mode=agg,disag -m slurm.time_limit=banana")
    assert {(p.rule, p.key, p.points) for p in found} == {("unknown-option", "mode", (1,)), (*BANANA, ())}


def test_variants(write: Callable[..., Path]) -> None:
    base = "".join(f"  {key}: {value}\n" for key, value in GOOD.items())
    text = f"base:\n{base}override_a: {{slurm: {{time_limit: banana}}}}\noverride_b: {{model: {{pth: x}}}}\n"
    path = write(text)
    found = {(p.rule, p.key): p for p in told("", path)}
    assert set(found) == {BANANA, ("unknown-key", "model.pth")}
    assert found[BANANA].points == (0,)
    assert found["unknown-key", "model.pth"].source == f"{path}:8"


def test_many_faulty_points_are_told_in_no_long_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that differ in what is left of them would each take Hydra as long as a point of its own."""
    from srtctl.composition import points

    composed: list[Any] = []

    class Counted(points.Base):
        def __init__(self, config: Any):
            composed.append(config)
            super().__init__(config)

    monkeypatch.setattr(points, "Base", Counted)
    found = told("'benchmark.isl=range(1,101)' benchmark.osl=x -m")
    assert keys(found) == {("wrong-type", "benchmark.osl")}
    before = len(composed)
    found = told("'benchmark.isl=range(1,101)' 'benchmark.osl=x,y' -m")
    assert keys(found) == {("wrong-type", "benchmark.osl")}
    assert len(composed) - before < 30
