"""No rule ends in an exception, whatever values of the right type a job has; and none takes long."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, example, given, settings

from srtctl.errors import Problem, format_problems
from srtctl.schema import JobConfig
from srtctl.validate import SiteFacts, build_job, check, check_config, paths_of
from srtctl.validate.fieldplan import Kind, plan_of, registered_types
from tests.validate.jobs import AGGREGATED, FACTS, MOCKER, SGLANG

WORDS = st.sampled_from(
    [
        "",
        "x",
        "a/b",
        "..",
        "\n",
        "\x00",
        "@host:slot0@",
        "@",
        "hf:",
        "hf:a/b",
        "builtin:",
        "/",
        "/a:b",
        "a:b:c:d",
        "~",
        "4,8",
        "1x4",
        "inf",
        "-1",
        "٣",
        "{node}",
        "{",
        "{a.b}",
        "%s",
        "none",
        "null",
        "sglang",
        "dynamo",
        "head",
        "-" * 300,
        "\ud800",
    ]
)
TEXT = WORDS | st.text(max_size=8)
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 7, 8, 16, 10**6, 10**25])
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats() | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3), max_leaves=5)
FLAGS = st.sampled_from(
    [
        "tp-size",
        "tp_size",
        "tensor-parallel-size",
        "dp-size",
        "ep-size",
        "pp-size",
        "enable-dp-attention",
        "attn-dp-size",
        "port",
        "nnodes",
        "disaggregation-mode",
        "max-running-requests",
        "context-length",
        "cuda-graph-max-bs",
        "moe-a2a-backend",
        "deepep-mode",
        "page-size",
        "served-model-name",
        "api-key",
        "ep-num-redundant-experts",
        "--x",
        "-",
        "",
    ]
)
FLAG_VALUES = st.sampled_from(
    [0, 1, 2, 8, -4, "8", "deepep", "low_latency", True, False, None, 1.5, [1, [2]], {"a": 1}]
)


def of_kind(kind: Kind, name: str) -> st.SearchStrategy[Any]:
    if kind.node is not None:
        values: st.SearchStrategy[Any] = of_class(kind.node, name)
    elif kind.name in ("any", "map"):
        anything = VALUES if kind.element is None or kind.element.name == "any" else TEXT
        flags = name in ("common", "prefill", "decode", "aggregated")
        keys, anything = (FLAGS, FLAG_VALUES) if flags else (TEXT, anything)
        values = VALUES if kind.name == "any" else st.dictionaries(keys, anything, max_size=6)
    elif kind.name == "list":
        values = st.lists(TEXT, max_size=3)
    else:
        values = {"str": TEXT, "bool": st.booleans(), "int": NUMBERS, "float": st.floats() | NUMBERS}[kind.name]
    return values | st.none() if kind.optional else values


def of_class(cls: type, node: str) -> st.SearchStrategy[dict[str, Any]]:
    plans = {name: plan for name, plan in plan_of(cls).items() if name != "type" or node == "profiling"}
    # allowed words half of the time, or nothing would get past the first rule
    keys = {
        name: st.sampled_from(plan.allowed) | of_kind(plan.kind, name) if plan.allowed else of_kind(plan.kind, name)
        for name, plan in plans.items()
    }
    return st.fixed_dictionaries({}, optional=keys)


def registered(node: str) -> st.SearchStrategy[dict[str, Any]]:
    types = registered_types(node)

    @st.composite
    def keys(draw: st.DrawFn) -> dict[str, Any]:
        name = draw(st.sampled_from(sorted(types)))
        return {**draw(of_class(types[name], node)), "type": name}

    return keys()


PARTS = {
    name: registered(name) if name in ("backend", "benchmark") else of_kind(plan.kind, name)
    for name, plan in plan_of(JobConfig).items()
}
CONFIGS = st.fixed_dictionaries({"name": TEXT}, optional={k: part for k, part in PARTS.items() if k != "name"})
ODD = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def must_be_shown(problems: list[Problem]) -> None:
    assert all(isinstance(p, Problem) and p.rule and p.message for p in problems)
    format_problems(problems)


@ODD
@given(CONFIGS, st.sampled_from([MOCKER, SGLANG, AGGREGATED]))
@example({"name": "x", "frontend": {"type": "dynamo", "count": 10**12}}, MOCKER)
@example({"name": "x", "cluster": {"gpus_per_node": 0}, "resources": {"agg_workers": 1, "agg_nodes": 1}}, MOCKER)
def test_odd_parts_in_a_good_job(odd: dict[str, Any], base: dict[str, Any]) -> None:
    config = {**base, **odd}
    must_be_shown(check_config(config, facts=FACTS))
    job, _ = build_job(config)
    if job is not None:
        facts = SiteFacts(dict.fromkeys(paths_of(job), False), "missing", frozenset(), 0)
        must_be_shown(check(job, facts=facts))


@ODD
@given(st.dictionaries(st.sampled_from([*plan_of(JobConfig), "other"]) | TEXT, VALUES, max_size=8))
def test_anything_at_all(config: dict[str, Any]) -> None:
    must_be_shown(check_config(config, facts=FACTS))
