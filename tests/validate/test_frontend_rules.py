"""What frontends and the launchers of workers take: flags of one that are none of the other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validate.jobs import DECODE, ERROR, MOCKER, PREFILL, SGLANG, WARNING, Row, changed, findings, rows

AGGREGATED = "backend.sglang_config.aggregated"
ROUTER = changed(SGLANG, {"frontend.type": "sglang-router"})
MODE, POLICY = "frontend.args.router-mode", "frontend.args.policy"

ROWS: dict[str, Row] = {
    "routing by caches, and nobody tells what is in them": (
        SGLANG, {"frontend.args": {"router-mode": "kv"}}, {("kv-events", WARNING, MODE)}),
    "routing by caches with events": (
        SGLANG, {"frontend.args": {"router_mode": "kv"}, "backend.kv_events_config": True}, set()),
    "routing by a guess at caches": (
        SGLANG, {"frontend.args": {"router-mode": "kv", "no-router-kv-events": True}}, set()),
    "mockers tell by themselves": (MOCKER, {"frontend.args": {"router-mode": "kv"}}, set()),
    "a mode that Dynamo has not": (
        SGLANG, {"frontend.args": {"router-mode": "cache_aware"}}, {("frontend-flag", WARNING, MODE)}),
    "a flag of the other frontend": (
        SGLANG, {"frontend.args": {"policy": "cache_aware"}}, {("frontend-flag", WARNING, POLICY)}),
    "a switch that can't be turned off": (
        SGLANG, {"frontend.args": {"no-router-mode": True}},
        {("frontend-flag", WARNING, "frontend.args.no-router-mode")}),
    "the router's policies": (
        ROUTER, {"frontend.args": {"policy": "cache_aware", "prefill_policy": "bucket"}}, set()),
    "a policy for prefill only": (
        ROUTER, {"frontend.args": {"policy": "bucket"}}, {("frontend-flag", WARNING, POLICY)}),
    "a mode of the other frontend": (
        ROUTER, {"frontend.args": {"router-mode": "kv"}}, {("frontend-flag", WARNING, MODE)}),
    "who the router's workers are": (
        ROUTER, {"frontend.args": {"service-discovery": True}},
        {("owned-flag", ERROR, "frontend.args.service-discovery")}),
    "a flag of Dynamo's workers": (SGLANG, {f"{PREFILL}.dyn-tool-call-parser": "deepseek_v3"}, set()),
    "a switch of Dynamo's workers turned off, and a flag that is no switch": (
        SGLANG, {f"{PREFILL}.no-enable-rl": True, f"{DECODE}.no-connector": True},
        {("unknown-flag", ERROR, f"{DECODE}.no-connector")}),
    "a flag that plain servers have not": (
        ROUTER, {f"{PREFILL}.dyn_tool_call_parser": "deepseek_v3", f"{DECODE}.no-enable-rl": True},
        {("launcher-flag", ERROR, f"{PREFILL}.dyn_tool_call_parser"),
         ("launcher-flag", ERROR, f"{DECODE}.no-enable-rl")}),
    "the same of workers that there are none of": (
        ROUTER, {f"{AGGREGATED}.dyn-tool-call-parser": "deepseek_v3"}, {("unused-flags", WARNING, AGGREGATED)}),
    "no tokenizer behind Dynamo": (SGLANG, {f"{PREFILL}.skip-tokenizer-init": True}, set()),
    "no tokenizer behind the router": (
        ROUTER, {f"{PREFILL}.skip-tokenizer-init": True},
        {("launcher-flag", ERROR, f"{PREFILL}.skip-tokenizer-init")}),
    "where a worker is found": (
        SGLANG, {f"{DECODE}.endpoint": "dyn://a.b.c"}, {("owned-flag", WARNING, f"{DECODE}.endpoint")}),
    "which GPU comes first": (SGLANG, {f"{DECODE}.base-gpu-id": 4}, {("owned-flag", WARNING, f"{DECODE}.base-gpu-id")}),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rules(name: str) -> None:
    base, changes, expected = ROWS[name]
    assert rows(findings(base, changes)) == expected


def test_what_is_allowed_is_said() -> None:
    (problem,) = findings(ROUTER, {"frontend.args": {"policy": "kv"}})
    assert problem.message == "sglang-router 0.3.2 does not take this value"
    assert problem.allowed == "random, round_robin, cache_aware, power_of_two, manual"


def test_a_missing_tokenizer_is_explained() -> None:
    changes: dict[str, Any] = {f"{PREFILL}.skip-tokenizer-init": True}
    (problem,) = findings(ROUTER, changes)
    assert problem.message.startswith("behind sglang-router the server itself makes tokens of texts")
    assert problem.hint == "leave it out; only Dynamo's workers do without a tokenizer"
