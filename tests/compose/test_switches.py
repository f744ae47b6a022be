"""`true` under a key of text never becomes `True` in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from srtctl import compose, recipe
from srtctl.composed import ComposedPoint
from srtctl.errors import SrtctlError, errors_of

HEAD = 'name: x\nmodel: {path: "builtin:tiny"}\nbackend: {type: mocker}\nresources: {agg_nodes: 1, agg_workers: 1}\n'
HINT = "put it in quotes, as the program is to get it: 'true' or '1'"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["environment.X=true"], ["true"]),
        (["environment.X=True"], ["True"]),
        (["environment.X='true'"], ["true"]),
        (["environment.X=false,TRUE,1", "-m"], ["false", "TRUE", "1"]),
        (["environment.X=yes"], ["yes"]),
    ],
)
def test_the_command_line_is_taken_as_typed(words: list[str], values: list[str]) -> None:
    assert [point.config["environment"]["X"] for point in compose.points(words)] == values


def test_other_keys_stay_switches() -> None:
    (point,) = compose.points(
        ["launcher.wait=true", "slurm.comment=false", "+sbatch_directives.hold=true", "benchmark.ignore_eos=false"]
    )
    assert point.config["launcher"]["wait"] is True
    assert point.config["slurm"]["comment"] == "false"
    assert point.config["sbatch_directives"]["hold"] is True
    assert point.config["benchmark"]["ignore_eos"] is False


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("environment: {A: true}", "environment.A", 5),
        ("environment: {A: yes}", "environment.A", 5),
        ("slurm: {comment: on}", "slurm.comment", 5),
        ("tags: [a, true]", "tags", 5),
        ("benchmark: {type: custom, command: x, env: {A: true}}", "benchmark.env.A", 5),
        ('environment: {A: "{a}"}\nsweep: {a: [x, true]}', "sweep.a", 6),
        ("sweep: {slurm.comment: [true]}", "sweep.slurm.comment", 5),
    ],
)
def test_a_recipe_must_say_which_text(write: Callable[..., Path], text: str, key: str, line: int) -> None:
    path = write(f"{HEAD}{text}\n")
    with pytest.raises(SrtctlError) as caught:
        compose.points([], recipe.load(path))
    (found,) = errors_of(caught.value.problems)
    assert (found.rule, found.key, found.value, found.hint) == ("wrong-type", key, True, HINT)
    assert found.source == f"{path}:{line}"


def test_a_recipe_that_says_so(points_of: Callable[..., list[ComposedPoint]]) -> None:
    text = 'environment: {A: "true", B: "{b}", C: 1}\nsbatch_directives: {hold: true}\nsweep: {b: ["off", "on"]}\n'
    first, second = points_of(HEAD + text)
    assert first.config["environment"] == {"A": "true", "B": "off", "C": "1"}
    assert second.config["environment"]["B"] == "on"
    assert first.config["sbatch_directives"] == {"hold": True}


def test_parameters_of_a_sweep_that_is_none() -> None:
    with pytest.raises(SrtctlError) as caught:
        compose.points(["sweep.mode=zip", "benchmark.isl=1,2", "-m"])
    (found,) = errors_of(caught.value.problems)
    assert (found.rule, found.key, found.value) == ("sweep", "sweep.mode", "zip")
    assert "sweep: {mode: zip, parameters: " in found.hint


def test_parameters_that_a_recipe_has_not(write: Callable[..., Path]) -> None:
    path = write(HEAD + 'benchmark: {type: sa-bench, isl: "{isl}", osl: 1, concurrencies: [1]}\nsweep: {isl: [1, 2]}\n')
    loaded = recipe.load(path)
    assert [p.config["benchmark"]["isl"] for p in compose.points(["sweep.isl=5,6"], loaded)] == [5, 6]
    with pytest.raises(SrtctlError) as caught:
        compose.points(["sweep.ils=5"], loaded)
    (found,) = errors_of(caught.value.problems)
    assert (found.key, found.value, found.allowed) == ("sweep.ils", 5, "sweep.isl")
