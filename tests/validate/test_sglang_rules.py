"""The rules over SGLang's flags: a good job, one change, and exactly what is found."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validate.jobs import AGGREGATED, DECODE, ERROR, GONE, MOCKER, PREFILL, SGLANG, WARNING, Row, findings, rows

ROWS: dict[str, Row] = {
    "dp does not divide tp": (
        SGLANG, {f"{DECODE}.dp-size": 3}, {("dp-divides-tp", ERROR, f"{DECODE}.dp-size")}),
    "dp that no recipe has": (
        SGLANG, {f"{DECODE}.dp-size": 8}, {("dp-size", WARNING, f"{DECODE}.dp-size")}),
    "dp without DP attention needs GPUs": (
        SGLANG, {f"{DECODE}.enable-dp-attention": False},
        {("worker-gpus", ERROR, f"{DECODE}.tp-size")}),
    "attn-dp-size instead": (
        SGLANG, {f"{DECODE}.enable-dp-attention": GONE, f"{DECODE}.dp-size": GONE,
                 f"{DECODE}.attn-dp-size": 16, "backend.version": "0.5.23"}, set()),
    "tp x pp": (SGLANG, {f"{PREFILL}.tp-size": 4, f"{PREFILL}.pp-size": 2}, set()),
    "workers that share nodes: 6 x 2 + 2 x 2 GPUs on 2 nodes": (
        SGLANG, {"resources": {"prefill_nodes": 2, "prefill_workers": 6, "decode_nodes": 0, "decode_workers": 2},
                 "backend.sglang_config": {"common": {"tp-size": 2}}}, set()),
    "tp that is no number": (
        SGLANG, {f"{PREFILL}.tp-size": "all"},
        {("flag-value", ERROR, f"{PREFILL}.tp-size"),
         ("worker-gpus", WARNING, f"{PREFILL}.tp-size")}),
    "ep that no recipe has": (
        SGLANG, {f"{DECODE}.ep-size": 8}, {("ep-size", WARNING, f"{DECODE}.ep-size")}),
    "ep without a word about it, spread by the backend": (
        SGLANG, {f"{DECODE}.ep-size": GONE, f"{DECODE}.moe-a2a-backend": "mooncake", "model.experts": 250},
        {("experts", ERROR, f"{DECODE}.ep-num-redundant-experts")}),
    "ep that the backend makes tp": (
        SGLANG, {f"{DECODE}.ep-size": 8, f"{DECODE}.moe-a2a-backend": "mooncake"}, set()),
    "experts do not divide": (
        SGLANG, {"model.experts": 250}, {("experts", ERROR, f"{DECODE}.ep-size")}),
    "redundant experts fill up": (
        SGLANG, {"model.experts": 250, f"{DECODE}.ep-num-redundant-experts": 6}, set()),
    "transfer backends differ": (
        SGLANG, {f"{DECODE}.disaggregation-transfer-backend": "mooncake"},
        {("same-on-both-roles", WARNING, f"{DECODE}.disaggregation-transfer-backend")}),
    "KV types differ": (
        SGLANG, {f"{DECODE}.kv-cache-dtype": "auto"},
        {("same-on-both-roles", WARNING, f"{DECODE}.kv-cache-dtype")}),
    "page size on decode only": (
        SGLANG, {f"{DECODE}.page-size": 64},
        {("same-on-both-roles", WARNING, f"{DECODE}.page-size")}),
    "speculation on decode only is usual": (
        SGLANG, {f"{DECODE}.speculative-algorithm": "EAGLE"}, set()),
    "context too short": (
        SGLANG, {f"{DECODE}.context-length": 2047},
        {("context-length", ERROR, f"{DECODE}.context-length")}),
    "context just long enough": (SGLANG, {f"{DECODE}.context-length": 2048}, set()),
    "longer than the model": (
        AGGREGATED, {"model.max_context_length": 2000}, {("context-length", ERROR, "benchmark.isl")}),
    "more in flight than the engines take": (
        SGLANG, {"benchmark.concurrencies": [64, 513]},
        {("queueing", WARNING, f"{DECODE}.max-running-requests")}),
    "the same, simulated": (
        MOCKER, {"benchmark.concurrencies": "4x513"},
        {("queueing", WARNING, "backend.max_num_seqs")}),
    "one flag, two spellings": (
        SGLANG, {f"{PREFILL}.tensor-parallel-size": 8},
        {("doubled-flag", ERROR, f"{PREFILL}.tensor-parallel-size")}),
    "underscore and dash": (
        SGLANG, {f"{PREFILL}.tp_size": 8},
        {("doubled-flag", ERROR, f"{PREFILL}.tp_size")}),
    "a flag that placement decides": (
        SGLANG, {f"{PREFILL}.port": 30000}, {("owned-flag", WARNING, f"{PREFILL}.port")}),
    "a flag that says what is so": (
        SGLANG, {f"{PREFILL}.disaggregation-mode": "prefill", f"{DECODE}.nnodes": 2}, set()),
    "a number of nodes that is not so": (
        SGLANG, {f"{DECODE}.nnodes": 4}, {("owned-flag", WARNING, f"{DECODE}.nnodes")}),
    "flags of a role that is not there": (
        SGLANG, {"backend.sglang_config.aggregated": {"tp-size": 4}},
        {("unused-flags", WARNING, "backend.sglang_config.aggregated")}),
    "another served name": (
        SGLANG, {f"{PREFILL}.served-model-name": "r1", "model.served_name": "dsr1"},
        {("owned-flag", WARNING, f"{PREFILL}.served-model-name")}),
    "two served names": (
        SGLANG, {f"{PREFILL}.served-model-name": "r1", f"{DECODE}.served-model-name": "r2"},
        {("owned-flag", WARNING, f"{DECODE}.served-model-name")}),
    "a served name in the flags only": (SGLANG, {f"{PREFILL}.served-model-name": "r1", "model.name": "dsr1"}, set()),
    "the same served name": (SGLANG, {f"{PREFILL}.served-model-name": "r1", "model.served_name": "r1"}, set()),
    "a flag with a blank": (
        SGLANG, {f"{PREFILL}.tp size": 4}, {("flag-name", ERROR, f"{PREFILL}.tp size")}),
    "lists in a list": (
        SGLANG, {f"{PREFILL}.cuda-graph-bs-prefill": [[1, 2], 4]},
        {("flag-value", ERROR, f"{PREFILL}.cuda-graph-bs-prefill")}),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rules(name: str) -> None:
    base, changes, expected = ROWS[name]
    assert rows(findings(base, changes)) == expected


def test_articles() -> None:
    (problem,) = findings(AGGREGATED, {"backend.sglang_config.aggregated.tp-size": 16})
    assert problem.message == "tp 16 of SGLang, but an aggregated worker has 8 GPUs"


LOW_LATENCY = {
    f"{DECODE}.moe-a2a-backend": "deepep",
    f"{DECODE}.deepep-mode": "low_latency",
    f"{DECODE}.cuda-graph-max-bs": 512,
    f"{DECODE}.max-running-requests": 16 * 512,
    f"{DECODE}.speculative-algorithm": "EAGLE",
    f"{DECODE}.speculative-num-steps": 1,
    f"{DECODE}.speculative-eagle-topk": 1,
    f"{DECODE}.speculative-num-draft-tokens": 2,
}
V1, V2 = ("SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK", "SGLANG_DEEPEP_V2_NUM_MAX_DISPATCH_TOKENS_PER_RANK")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # min(512, 8192 / 16) x 2 = 1024 tokens: the published recipe that this rule found has 768
        ({"backend.decode_environment": {V1: "768"}}, WARNING),
        ({"backend.decode_environment": {V1: "1024"}}, None),
        ({"environment": {V1: "1024"}}, None),
        ({}, WARNING),  # SGLang's own default is 128
        ({f"{DECODE}.moe-a2a-backend": "deepep_v2"}, ERROR),
        ({f"{DECODE}.moe-a2a-backend": "deepep_v2", "environment": {V1: "1024"}}, ERROR),  # it reads the other one
        ({f"{DECODE}.moe-a2a-backend": "deepep_v2", "environment": {V2: "1024"}}, None),
        ({f"{DECODE}.deepep-mode": "normal"}, None),
        ({f"{DECODE}.max-running-requests": 1024}, None),  # 64 requests a rank x 2 = 128
        ({f"{DECODE}.speculative-algorithm": None, "environment": {V1: "512"}}, None),  # drafts without a drafter
        ({f"{DECODE}.speculative-num-steps": 2, "environment": {V1: "1024"}}, WARNING),  # a token each, and one
        ({f"{DECODE}.speculative-eagle-topk": 2, "environment": {V1: "1024"}}, None),  # a tree: as many as it says
        ({f"{DECODE}.cuda-graph-bs": [1, 32, 64]}, None),  # sizes count for more than their maximum
        ({f"{DECODE}.disable-cuda-graph": True}, None),
        ({f"{DECODE}.disable-cuda-graph": False}, WARNING),
        ({f"{DECODE}.cuda-graph-backend-decode": "disabled"}, None),
    ],
)
def test_dispatch_tokens(changes: dict[str, Any], expected: str | None) -> None:
    found = findings(SGLANG, {"backend.version": "0.5.19", **LOW_LATENCY, **changes})
    assert [p.severity.value for p in found if p.rule == "dispatch-tokens"] == ([expected] if expected else [])


def test_the_hint_names_what_the_release_has() -> None:
    old = findings(SGLANG, {"backend.version": "0.5.8", **LOW_LATENCY})
    today = {f"{DECODE}.cuda-graph-max-bs": None, f"{DECODE}.cuda-graph-max-bs-decode": 512}
    new = findings(SGLANG, {"backend.version": "0.5.23", **LOW_LATENCY, **today})
    hints = [[p.hint for p in found if p.rule == "dispatch-tokens"] for found in (old, new)]
    assert hints == [[f"set {V1}, or lower cuda-graph-max-bs"], [f"set {V1}, or lower cuda-graph-max-bs-decode"]]


@pytest.mark.parametrize(("version", "name"), [("0.5.21", "enable-dp-attention"), ("0.5.23", "attn-dp-size")])
def test_what_divides_tp_is_called_as_in_the_release(version: str, name: str) -> None:
    found = findings(SGLANG, {"backend.version": version, f"{DECODE}.enable-dp-attention": None})
    (hint,) = (p.hint for p in found if p.rule == "worker-gpus")
    assert hint == f"dp without DP attention multiplies the GPUs; {name} divides tp instead"
