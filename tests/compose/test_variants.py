"""Files with base, override_* and zip_override_*: what users of that format rely on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srtctl import recipe
from srtctl.composed import ComposedPoint
from srtctl.composition.variants import deep_merge, zip_rows
from srtctl.errors import SrtctlError

BASE = """\
base:
  name: base-job
  model: {path: builtin:tiny}
  resources: {prefill_nodes: 1, prefill_workers: 1, decode_nodes: 8, decode_workers: 1}
  backend: {type: sglang, sglang_config: {decode: {tensor-parallel-size: 2}}}
"""
FILE = (
    BASE
    + """\
override_small:
  resources: {decode_nodes: 2}
zip_override_tp:
  backend: {sglang_config: {decode: {tensor-parallel-size: [4, 8]}}}
"""
)
MANY = (
    BASE
    + """\
override_maxtpt_1p2d: {resources: {decode_nodes: 2}}
override_lowlat_1d: {resources: {decode_nodes: 1}}
override_maxtpt_1p1d: {resources: {decode_nodes: 1}}
zip_override_scale: {resources: {decode_nodes: [1, 2, 3]}}
zip_override_mem: {backend: {sglang_config: {decode: {mem-fraction-static: [0.8, 0.9]}}}}
"""
)


def names(points: list[ComposedPoint]) -> list[str]:
    return [point.config["name"] for point in points]


def test_deep_merge() -> None:
    base = {
        "name": "old",
        "resources": {"decode_nodes": 8},
        "benchmark": {"concurrencies": [8192, 10240]},
        "prefill": {"tp-size": 32, "trust-remote-code": True},
        "extra_mount": ["/a:/b"],
    }
    changes: dict[str, Any] = {
        "resources": {"decode_nodes": 4},
        "benchmark": {"concurrencies": [4096]},
        "prefill": {"tp-size": 64},
        "extra_mount": None,
        "environment": {"NEW_VAR": "value"},
    }
    before = copy.deepcopy((base, changes))
    assert deep_merge(base, changes) == {
        "name": "old",
        "resources": {"decode_nodes": 4},
        "benchmark": {"concurrencies": [4096]},
        "prefill": {"tp-size": 64, "trust-remote-code": True},
        "environment": {"NEW_VAR": "value"},
    }
    assert (base, changes) == before


def test_all_variants_in_order(points_of: Callable[..., list[ComposedPoint]]) -> None:
    points = points_of(FILE)
    assert names(points) == ["base-job_small", "base-job_tp_0", "base-job_tp_1"]
    assert [point.config["resources"]["decode_nodes"] for point in points] == [2, 8, 8]
    flags = [point.config["backend"]["sglang_config"]["decode"]["tensor-parallel-size"] for point in points]
    assert flags == [2, 4, 8]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("base", ["base-job"]),
        ("override_small", ["base-job_small"]),
        ("zip_override_tp", ["base-job_tp_0", "base-job_tp_1"]),
        ("zip_override_tp[1]", ["base-job_tp_1"]),
        ("*", ["base-job_small", "base-job_tp_0", "base-job_tp_1"]),
        ("*small*", ["base-job_small"]),
    ],
)
def test_selectors(points_of: Callable[..., list[ComposedPoint]], selector: str, expected: list[str]) -> None:
    points = points_of(FILE, selector=selector)
    assert names(points) == expected
    if selector == "zip_override_tp[1]":
        assert points[0].config["backend"]["sglang_config"]["decode"]["tensor-parallel-size"] == 8


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("override_*", ["lowlat_1d", "maxtpt_1p1d", "maxtpt_1p2d"]),
        ("zip_override_*", ["mem_0", "mem_1", "scale_0", "scale_1", "scale_2"]),
        ("*maxtpt*", ["maxtpt_1p1d", "maxtpt_1p2d"]),
        ("", ["lowlat_1d", "maxtpt_1p1d", "maxtpt_1p2d", "mem_0", "mem_1", "scale_0", "scale_1", "scale_2"]),
    ],
)
def test_globs(points_of: Callable[..., list[ComposedPoint]], selector: str, expected: list[str]) -> None:
    assert names(points_of(MANY, selector=selector)) == [f"base-job_{name}" for name in expected]


THERE_ARE = "base, override_small, zip_override_tp, zip_override_NAME[N] for one row, or a glob such as override_*"


@pytest.mark.parametrize(
    ("selector", "message", "allowed", "hint"),
    [
        ("zip_override_tp[5]", "zip_override_tp of recipe.yaml has no row 5",
         "zip_override_tp[0] to zip_override_tp[1]", ""),
        ("zip_override_tp[-1]", "zip_override_tp of recipe.yaml has no row -1",
         "zip_override_tp[0] to zip_override_tp[1]", ""),
        ("override_smal", "recipe.yaml has no such variant", THERE_ARE, "did you mean override_small?"),
        ("smal", "recipe.yaml has no such variant", THERE_ARE, "did you mean override_small?"),
        ("tp", "recipe.yaml has no such variant", THERE_ARE, "did you mean zip_override_tp?"),
        ("*smalll*", "no variant of recipe.yaml matches", THERE_ARE, "did you mean override_small?"),
        ("zip_override_nope[0]", "recipe.yaml has no such variant", THERE_ARE, "did you mean zip_override_tp?"),
        ("override_small[0]", "recipe.yaml has no such variant", THERE_ARE,
         "only zip_override_NAME has rows: override_small"),
        ("foobar", "recipe.yaml has no such variant", THERE_ARE, ""),
    ],
)  # fmt: skip
def test_selectors_that_select_nothing(
    write: Callable[..., Path], selector: str, message: str, allowed: str, hint: str
) -> None:
    """The file is named, and what it has; what was probably meant, with its prefix or without."""
    with pytest.raises(SrtctlError) as caught:
        recipe.load(write(FILE), selector)
    (found,) = caught.value.problems
    assert (found.rule, found.key, found.value) == ("selector", "-f", selector)
    assert (found.message, found.allowed, found.hint) == (message, allowed, hint)


def test_a_selector_for_one_job(write: Callable[..., Path]) -> None:
    path = write("name: x\n")
    with pytest.raises(SrtctlError) as caught:
        recipe.load(path, "small")
    (found,) = caught.value.problems
    assert (found.message, found.hint) == ("recipe.yaml has no variants: it holds one job", "leave `:small` out")


def test_base_alone_is_the_job(points_of: Callable[..., list[ComposedPoint]]) -> None:
    assert names(points_of(BASE)) == ["base-job"]


def test_selector_on_a_plain_file(write: Callable[..., Path]) -> None:
    with pytest.raises(SrtctlError, match="no variants"):
        recipe.load(write("name: x\n"), "override_a")


def test_zip_rows_broadcast() -> None:
    rows = zip_rows({"tp": [4, 8], "mem": [0.85], "trust": False, "concurrencies": [[4, 8], [4, 8, 16]]})
    assert rows == [
        {"tp": 4, "mem": 0.85, "trust": False, "concurrencies": [4, 8]},
        {"tp": 8, "mem": 0.85, "trust": False, "concurrencies": [4, 8, 16]},
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"a": [4, 8], "b": {"c": [4, 8, 16]}}, "as long as each other"),
        ({"a": 4}, "no list values"),
        ({"a": [], "b": [1]}, "empty list"),
    ],
)
def test_zips_that_are_none(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SrtctlError, match=words):
        zip_rows(changes)


def test_zip_names(points_of: Callable[..., list[ComposedPoint]]) -> None:
    text = BASE + "zip_override_tp: {name: [job-tp4, job-tp8], resources: {decode_workers: [1, 2]}}\n"
    assert names(points_of(text)) == ["job-tp4", "job-tp8"]


def test_override_with_a_name_of_its_own(points_of: Callable[..., list[ComposedPoint]]) -> None:
    assert names(points_of(BASE + "override_a: {name: mine}\n")) == ["mine"]


def test_null_removes_a_key(points_of: Callable[..., list[ComposedPoint]]) -> None:
    point = points_of(BASE + "override_a: {resources: {decode_nodes: null}, backend: {sglang_config: null}}\n")[0]
    assert point.config["resources"]["decode_nodes"] is None
    assert point.config["backend"]["sglang_config"]["decode"] == {}


def test_variants_times_overrides(points_of: Callable[..., list[ComposedPoint]]) -> None:
    points = points_of(FILE, "health_check.max_attempts=1,2")
    assert [(p.config["name"], p.config["health_check"]["max_attempts"]) for p in points] == [
        (name, n) for name in ("base-job_small", "base-job_tp_0", "base-job_tp_1") for n in (1, 2)
    ]


def test_variants_with_another_backend(points_of: Callable[..., list[ComposedPoint]]) -> None:
    text = (
        BASE
        + "override_mock: {backend: {type: mocker, speedup_ratio: 5}}\n"
        + "override_real: {benchmark: {type: sa-bench, isl: 8}}\n"
    )
    mock, real = points_of(text)
    assert (mock.config["backend"]["type"], mock.config["backend"]["speedup_ratio"]) == ("mocker", 5.0)
    assert real.config["backend"]["type"] == "sglang"
    assert (mock.choices["backend"], mock.choices["benchmark"]) == ("mocker", "manual")
    assert (real.choices["backend"], real.choices["benchmark"]) == ("sglang", "sa-bench")


def test_a_sweep_in_base_holds_for_all_variants(points_of: Callable[..., list[ComposedPoint]]) -> None:
    text = """\
        base:
          name: x
          model: {path: builtin:tiny}
          health_check: {max_attempts: "{n}"}
          sweep: {n: [1, 2]}
        override_a: {environment: {A: "1"}}
        override_b: {environment: {A: "2"}}
        """
    points = points_of(text)
    found = [(p.config["environment"]["A"], p.config["health_check"]["max_attempts"]) for p in points]
    assert found == [("1", 1), ("1", 2), ("2", 1), ("2", 2)]


def test_each_variant_may_sweep_by_itself(points_of: Callable[..., list[ComposedPoint]]) -> None:
    text = """\
        base: {name: x, model: {path: builtin:tiny}, health_check: {max_attempts: 1}}
        override_a: {health_check: {max_attempts: "{n}"}, sweep: {n: [1, 2]}}
        override_b: {sweep: {infra.nats_max_payload_mb: [3, 4, 5]}}
        override_c: {}
        """
    points = points_of(text)
    found = [
        (p.config["name"], p.config["health_check"]["max_attempts"], p.config["infra"]["nats_max_payload_mb"])
        for p in points
    ]
    assert found == [("x_a", 1, None), ("x_a", 2, None), ("x_b", 1, 3), ("x_b", 1, 4), ("x_b", 1, 5), ("x_c", 1, None)]


def test_mode_on_the_command_line_replaces_each_variants_workers(
    points_of: Callable[..., list[ComposedPoint]],
) -> None:
    points = points_of(FILE, "mode=agg")
    assert names(points) == ["base-job_small", "base-job_tp_0", "base-job_tp_1"]
    for point in points:
        assert point.config["resources"]["agg_workers"] == 1
        assert point.config["resources"]["decode_nodes"] is None
        assert point.config["backend"]["sglang_config"]["decode"] == {}
    assert "resources.decode_nodes" in points[0].dropped


def test_unknown_keys_beside_base(write: Callable[..., Path]) -> None:
    with pytest.raises(SrtctlError) as caught:
        recipe.load(write(FILE + "benchmark: {type: manual}\nresources: 3\n"))
    assert [(p.rule, p.key) for p in caught.value.problems] == [("variants", "benchmark"), ("variants", "resources")]
    assert caught.value.problems[0].source.endswith("recipe.yaml:10")
