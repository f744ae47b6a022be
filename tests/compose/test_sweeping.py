"""`sweep:` in recipes, and sweeps on the command line: values, types, order, names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtctl import compose, recipe
from srtctl.composed import ComposedPoint
from srtctl.composition.overridetext import joined_text, quote, to_text
from srtctl.errors import Severity, SrtctlError

Points = Callable[..., list[ComposedPoint]]
HEAD = "name: x\nmodel: {path: builtin:tiny}\n"


def sweep_of(points_of: Points, value: str, sweep: str, where: str = "environment.V") -> list[Any]:
    """What `value`, written at `where`, becomes in each point."""
    *parents, last = where.split(".")
    node = f"{last}: {value}"
    for parent in reversed(parents):
        node = f"{parent}: {{{node}}}"
    found = []
    for point in points_of(f"{HEAD}{node}\nsweep: {sweep}\n"):
        part: Any = point.config
        for key in where.split("."):
            part = part[key]
        found.append(part)
    return found


@pytest.mark.parametrize(
    ("value", "sweep", "expected"),
    [
        ('"{foo}"', "{foo: [bar, baz]}", ["bar", "baz"]),
        ('"prefix-{x}-suffix"', "{x: [123]}", ["prefix-123-suffix"]),
        ('"{a}-{b}"', "{a: [x], b: [y, z]}", ["x-y", "x-z"]),
        ('"values: {v}"', "{v: [[1, 2, 3], [4]]}", ["values: 1,2,3", "values: 4"]),
        ('"is {v}"', "{v: [true, null]}", ["is true", "is null"]),
        ("{ foo }", "{foo: [bar]}", ["bar"]),
    ],
)
def test_text_placeholders(points_of: Points, value: str, sweep: str, expected: list[str]) -> None:
    assert sweep_of(points_of, value, sweep) == expected


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ("{v: [0.85, 0.9]}", [0.85, 0.9]),
        ("{v: [42, 7]}", [42, 7]),
        ("{v: [true, false]}", [True, False]),
        ("{v: [null, 1e3]}", [None, 1000.0]),
        ('{v: ["4", four]}', ["4", "four"]),
        ("{v: [[1, 2, 3], [4]]}", [[1, 2, 3], [4]]),
        ("{v: [{a: 1}, {a: 2}]}", [{"a": 1}, {"a": 2}]),
        ('{v: ["it\'s, {odd} [x]=\\\\ "]}', ["it's, {odd} [x]=\\ "]),
    ],
)
def test_whole_placeholders_keep_types(points_of: Points, sweep: str, expected: list[Any]) -> None:
    for written in ('"{v}"', "{ v }", "{v}"):
        found = sweep_of(points_of, written, sweep, "backend.sglang_config.prefill.flag")
        assert found == expected
        assert [type(value) for value in found] == [type(value) for value in expected]


def test_placeholders_in_lists(points_of: Points) -> None:
    assert sweep_of(points_of, '["{a}", "{b}", static]', '{a: ["1"], b: ["2"]}', "tags") == [["1", "2", "static"]]
    assert sweep_of(points_of, "[{ c }]", "{c: [4, 8]}", "benchmark.concurrencies") == [[4], [8]]


def test_what_is_no_placeholder_stays(points_of: Points) -> None:
    text = (
        HEAD
        + """\
environment: {A: "{node}", B: "{missing}", C: "${HOME}/x", D: "awk '{print $1}'"}
health_check: {max_attempts: "{n}"}
sweep: {n: [1]}
"""
    )
    point = points_of(text)[0]
    assert point.config["environment"] == {"A": "{node}", "B": "{missing}", "C": "${HOME}/x", "D": "awk '{print $1}'"}
    assert [(p.severity, p.rule, p.key) for p in point.problems] == [
        (Severity.WARNING, "unknown-placeholder", "environment.B")
    ]


def test_grid_in_key_order(points_of: Points) -> None:
    points = points_of(HEAD + 'environment: {V: "{a}/{b}"}\nsweep: {a: [1, 2], b: [10, 20]}\n')
    assert [p.config["environment"]["V"] for p in points] == ["1/10", "1/20", "2/10", "2/20"]
    assert [p.config["sweep"] for p in points][2] == {"a": 2, "b": 10}
    assert [p.index for p in points] == [0, 1, 2, 3]


def test_names(points_of: Points) -> None:
    points = points_of('name: "base_val{val}"\nmodel: {path: builtin:tiny}\nsweep: {val: [100, 200]}\n')
    assert [p.config["name"] for p in points] == ["base_val100", "base_val200"]


@pytest.mark.parametrize(
    "section",
    [
        "sweep: {mode: zip, parameters: {isl: [1, 2], conc: [3, 4]}}",
        "sweep: {mode: zip, isl: [1, 2], conc: [3, 4]}",
        "sweep: {mode: zip, parameters: {benchmark.isl: [1, 2], conc: [3, 4]}}",
    ],
)
def test_zip(points_of: Points, section: str) -> None:
    isl = "7" if "benchmark.isl" in section else '"{isl}"'
    points = points_of(f"{HEAD}benchmark: {{type: sa-bench, isl: {isl}, concurrencies: ['{{conc}}']}}\n{section}\n")
    assert [(p.config["benchmark"]["isl"], p.config["benchmark"]["concurrencies"]) for p in points] == [
        (1, [3]),
        (2, [4]),
    ]


def test_explicit_grid_and_config_paths(points_of: Points) -> None:
    text = (
        HEAD
        + "benchmark: {type: sa-bench}\nsweep: {mode: grid, parameters: {benchmark.isl: [1, 2], benchmark.osl: [5]}}\n"
    )
    points = points_of(text)
    assert [(p.config["benchmark"]["isl"], p.config["benchmark"]["osl"]) for p in points] == [(1, 5), (2, 5)]


def test_config_path_as_hydra_writes_it(points_of: Points) -> None:
    points = points_of(HEAD + "benchmark: {type: sa-bench}\nsweep: {benchmark.isl: 'range(1,4)'}\n")
    assert [p.config["benchmark"]["isl"] for p in points] == [1, 2, 3]


def test_groups_in_a_sweep(points_of: Points) -> None:
    text = HEAD + "resources: {prefill_nodes: 3, gpus_per_node: 4}\nsweep: {mode: [agg, disagg]}\n".replace(
        "{mode: ", "{parameters: {mode: "
    ).replace("]}", "]}}")
    points = points_of(text)
    found = [
        (p.choices["mode"], p.config["resources"]["prefill_nodes"], p.config["resources"]["gpus_per_node"])
        for p in points
    ]
    assert found == [("agg", None, 4), ("disagg", 1, 4)]
    assert points[0].dropped == ("resources.prefill_nodes",)


def test_command_line_fixes_a_parameter(points_of: Points) -> None:
    text = HEAD + 'environment: {V: "{a}/{b}"}\nsweep: {a: [1, 2], b: [10, 20]}\n'
    assert [p.config["environment"]["V"] for p in points_of(text, "sweep.a=7")] == ["7/10", "7/20"]
    assert [p.config["environment"]["V"] for p in points_of(text, "environment.V=z")] == ["z"] * 4


def test_parameters_of_replaced_parts_are_forgotten(points_of: Points) -> None:
    text = (
        HEAD
        + """\
resources: {prefill_workers: "{p}"}
health_check: {max_attempts: "{n}"}
sweep: {p: [1, 2], n: [1, 2], resources.decode_workers: [1, 2]}
"""
    )
    assert len(points_of(text)) == 8
    points = points_of(text, "mode=agg")
    assert [p.config["health_check"]["max_attempts"] for p in points] == [1, 2]
    assert set(points[0].dropped) >= {"sweep.p", "sweep.resources.decode_workers", "resources.prefill_workers"}


@pytest.mark.parametrize(
    ("section", "key", "words"),
    [
        ("{a: [1]}", "sweep.a", "no {a}"),
        ("{n: 5, a: [2]}", "sweep.n", "list of values"),
        ("{n: []}", "sweep.n", "list of values"),
        ("[1, 2]", "sweep", "name parameters"),
        ("{}", "sweep", "name parameters"),
        ("{mode: random, parameters: {n: [1]}}", "sweep.mode", "no such mode"),
        ("{mode: zip, parameters: {n: [1, 2], benchmark.isl: [1, 2, 3]}}", "sweep", "as long as each other"),
        ("{mode: zip, parameters: {n: [1, 2], mode: [agg, disagg]}}", "sweep.mode", "can't be swept in a zip"),
    ],
)
def test_sections_that_are_none(write: Callable[..., Path], section: str, key: str, words: str) -> None:
    path = write(f'{HEAD}health_check: {{max_attempts: "{{n}}"}}\nsweep: {section}\n')
    with pytest.raises(SrtctlError) as caught:
        recipe.load(path)
    problem = next(p for p in caught.value.problems if p.key == key)
    assert words in problem.message
    assert problem.source == f"{path}:4"


def test_misspelt_parameter_is_suggested(write: Callable[..., Path]) -> None:
    with pytest.raises(SrtctlError) as caught:
        recipe.load(write(HEAD + 'environment: {V: "{concurency}"}\nsweep: {concurrency: [1, 2]}\n'))
    assert caught.value.problems[0].hint == "did you mean concurency?"


def test_sweeps_on_the_command_line() -> None:
    points = compose.points(["mode=agg,disagg", "benchmark.isl=range(1024,4097,1024)", "-m"])
    found = [(p.choices["mode"], p.config["benchmark"]["isl"]) for p in points]
    assert found == [(mode, isl) for mode in ("agg", "disagg") for isl in (1024, 2048, 3072, 4096)]
    assert points[1].overrides == ("mode=agg", "benchmark.isl=2048")


def test_globs_on_the_command_line() -> None:
    points = compose.points(["benchmark=glob(sa-*)", "-m"])
    assert [p.choices["benchmark"] for p in points] == ["sa-1k1k", "sa-1k8k", "sa-8k1k", "sa-bench"]


def test_lists_are_values_and_comma_lists_are_sweeps() -> None:
    points = compose.points(["benchmark.concurrencies=[4,8],[16]", "-m"])
    assert [p.config["benchmark"]["concurrencies"] for p in points] == [[4, 8], [16]]
    assert compose.points(["benchmark.concurrencies=[4,8]"])[0].config["benchmark"]["concurrencies"] == [4, 8]


def test_keys_that_users_make_need_no_plus() -> None:
    points = compose.points(["environment.NCCL_DEBUG=INFO,WARN", "backend.sglang_config.prefill.tp-size=8", "-m"])
    assert [p.config["environment"] for p in points] == [{"NCCL_DEBUG": "INFO"}, {"NCCL_DEBUG": "WARN"}]
    assert points[0].config["backend"]["sglang_config"]["prefill"] == {"tp-size": 8}


def test_parts_of_a_null_node_can_be_set() -> None:
    point = compose.points(["profiling=torch", "profiling.decode.start_step=3"])[0]
    assert point.config["profiling"]["decode"] == {"start_step": 3, "stop_step": None}
    assert point.config["profiling"]["prefill"] is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(VALUES)
def test_values_survive_hydras_grammar(value: Any) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    read = OverridesParser.create().parse_override(f"key={to_text(value)}").value()
    assert read == value
    assert isinstance(read, bool) == isinstance(value, bool)


def test_text_forms() -> None:
    assert quote("it's") == "'it\\'s'"
    assert joined_text([1, True, None, "a"]) == "1,true,null,a"
