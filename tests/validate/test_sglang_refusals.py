"""What SGLang refuses when it starts: a good job, one change, and what is found before the job has its nodes.

Which of these a release refuses was read in its sources; see `srtctl/validate/sglang_refusals.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.validate.jobs import DECODE, ERROR, GONE, PREFILL, SGLANG, WARNING, findings

TODAY = {"backend.version": "0.5.23", f"{DECODE}.enable-dp-attention": GONE, f"{DECODE}.dp-size": GONE,
         f"{DECODE}.attn-dp-size": 16}  # fmt: skip
OLD = {"backend.version": "0.5.8"}
REPLICAS = {f"{DECODE}.enable-dp-attention": GONE, f"{DECODE}.tp-size": 8, f"{DECODE}.dp-size": 2,
            f"{DECODE}.ep-size": GONE}  # fmt: skip
EAGLE = {f"{DECODE}.speculative-algorithm": "EAGLE", f"{DECODE}.speculative-num-steps": 2,
         f"{DECODE}.speculative-eagle-topk": 1, f"{DECODE}.speculative-num-draft-tokens": 3}  # fmt: skip
NORMAL = {f"{DECODE}.moe-a2a-backend": "deepep", f"{DECODE}.deepep-mode": "normal"}
PIPELINE = {f"{PREFILL}.tp-size": 4, f"{PREFILL}.pp-size": 2, f"{PREFILL}.speculative-algorithm": "EAGLE"}

ROWS: dict[str, tuple[dict[str, Any], set[tuple[str, str]]]] = {
    "nothing": ({}, set()),
    "nothing today": (TODAY, set()),
    "replicas beside attention ranks": ({**TODAY, f"{DECODE}.dp-size": 2}, {(ERROR, f"{DECODE}.dp-size")}),
    "one replica beside attention ranks": ({**TODAY, f"{DECODE}.dp-size": 1}, set()),
    "replicas beside attention ranks, translated": (
        {**TODAY, "backend.version": "0.5.21", "backend.flags": "translate", f"{DECODE}.dp-size": 2},
        {(ERROR, f"{DECODE}.dp-size")}),
    "replicas over two nodes": (REPLICAS, {(ERROR, f"{DECODE}.dp-size")}),
    "replicas on one node": (
        {f"{PREFILL}.tp-size": 4, f"{PREFILL}.dp-size": 2}, set()),
    "fewer requests than ranks": (
        {f"{DECODE}.max-running-requests": 15}, {(ERROR, f"{DECODE}.max-running-requests")}),
    "fewer requests than ranks today": (
        {**TODAY, f"{DECODE}.max-running-requests": 15}, {(WARNING, f"{DECODE}.max-running-requests")}),
    "a request for each rank": ({f"{DECODE}.max-running-requests": 16}, set()),
    "chunks of pages": ({f"{PREFILL}.page-size": 64, f"{PREFILL}.chunked-prefill-size": 8192}, set()),
    "chunks that are no pages": (
        {f"{PREFILL}.page-size": 64, f"{PREFILL}.chunked-prefill-size": 8000 + 32},
        {(ERROR, f"{PREFILL}.chunked-prefill-size")}),
    "chunks that are no pages when ranks divide them": (
        {f"{PREFILL}.page-size": 64, f"{PREFILL}.chunked-prefill-size": 256, f"{PREFILL}.dp-size": 8,
         f"{PREFILL}.enable-dp-attention": True}, {(ERROR, f"{PREFILL}.chunked-prefill-size")}),
    "pages that the attention backend may halve": (
        {f"{PREFILL}.page-size": 128, f"{PREFILL}.chunked-prefill-size": 64}, set()),
    "no chunks": ({f"{PREFILL}.page-size": 64, f"{PREFILL}.chunked-prefill-size": -1}, set()),
    "chunks of a decode worker": (
        {f"{DECODE}.page-size": 64, f"{PREFILL}.page-size": 64, f"{DECODE}.chunked-prefill-size": 1000}, set()),
    "dense layers over a few ranks": (
        {f"{DECODE}.moe-dense-tp-size": 2}, {(ERROR, f"{DECODE}.moe-dense-tp-size")}),
    "dense layers over all ranks": ({f"{DECODE}.moe-dense-tp-size": 16}, set()),
    "dense layers over all ranks, too early": (
        {**OLD, f"{DECODE}.moe-dense-tp-size": 16}, {(ERROR, f"{DECODE}.moe-dense-tp-size")}),
    "nothing handed over": (
        {f"{PREFILL}.disaggregation-transfer-backend": "fake", f"{DECODE}.disaggregation-transfer-backend": "fake"},
        {(ERROR, f"{PREFILL}.disaggregation-transfer-backend")}),
    "speculation": (EAGLE, set()),
    "steps that SGLang chooses": ({f"{DECODE}.speculative-algorithm": "EAGLE"}, set()),
    "branches and drafts without steps": (
        {**EAGLE, f"{DECODE}.speculative-num-steps": GONE},
        {(ERROR, f"{DECODE}.speculative-eagle-topk"), (ERROR, f"{DECODE}.speculative-num-draft-tokens")}),
    "steps without branches": (
        {**EAGLE, f"{DECODE}.speculative-eagle-topk": GONE}, {(ERROR, f"{DECODE}.speculative-num-steps")}),
    "a tree over pages": (
        {**EAGLE, f"{DECODE}.speculative-eagle-topk": 2, f"{DECODE}.page-size": 64, f"{PREFILL}.page-size": 64,
         f"{DECODE}.attention-backend": "flashmla"}, {(ERROR, f"{DECODE}.attention-backend")}),
    "a tree over pages with a backend that has them": (
        {**EAGLE, f"{DECODE}.speculative-eagle-topk": 2, f"{DECODE}.page-size": 64, f"{PREFILL}.page-size": 64,
         f"{DECODE}.attention-backend": "fa3"}, set()),
    "a head of ranks that are replicas": (
        {f"{PREFILL}.tp-size": 4, f"{PREFILL}.dp-size": 2, f"{PREFILL}.enable-dp-lm-head": True},
        {(ERROR, f"{PREFILL}.enable-dp-lm-head")}),
    "a head of one rank": ({f"{PREFILL}.enable-dp-lm-head": True}, set()),
    "replicas in a pipeline over two nodes": (
        {f"{DECODE}.enable-dp-attention": GONE, f"{DECODE}.tp-size": 4, f"{DECODE}.pp-size": 2, f"{DECODE}.dp-size": 2,
         f"{DECODE}.ep-size": GONE}, {(ERROR, f"{DECODE}.dp-size")}),
    "steps that adapt": (
        {**EAGLE, f"{DECODE}.speculative-num-steps": GONE, f"{DECODE}.speculative-adaptive": True}, set()),
    "standalone drafts with DP attention": (
        {**EAGLE, f"{DECODE}.speculative-algorithm": "STANDALONE"}, {(ERROR, f"{DECODE}.speculative-algorithm")}),
    "DFLASH without a draft model": (
        {f"{DECODE}.speculative-algorithm": "DFLASH"}, {(ERROR, f"{DECODE}.speculative-algorithm")}),
    "pipeline and speculation on prefill": (PIPELINE, set()),
    "pipeline and speculation on prefill, too early": (
        {**PIPELINE, **OLD}, {(ERROR, f"{PREFILL}.speculative-algorithm")}),
    "pipeline and speculation on decode": (
        {**EAGLE, f"{DECODE}.tp-size": 8, f"{DECODE}.pp-size": 2, f"{DECODE}.dp-size": 8, f"{DECODE}.ep-size": 8},
        {(ERROR, f"{DECODE}.speculative-algorithm")}),
    "two batches without an exchange": (
        {f"{PREFILL}.enable-two-batch-overlap": True}, {(ERROR, f"{PREFILL}.enable-two-batch-overlap")}),
    "two batches with one": (
        {f"{PREFILL}.enable-two-batch-overlap": True, f"{PREFILL}.moe-a2a-backend": "deepep"}, set()),
    "normal DeepEP on decode": (NORMAL, {(WARNING, f"{DECODE}.deepep-mode")}),
    "normal DeepEP on prefill": (
        {f"{PREFILL}.moe-a2a-backend": "deepep", f"{PREFILL}.deepep-mode": "normal"}, set()),
    "normal DeepEP for a runner without it": (
        {f"{PREFILL}.moe-a2a-backend": "deepep", f"{PREFILL}.deepep-mode": "normal",
         f"{PREFILL}.moe-runner-backend": "flashinfer_cutedsl"}, {(ERROR, f"{PREFILL}.deepep-mode")}),
    "experts over a few ranks": (
        {f"{DECODE}.ep-size": 8, f"{DECODE}.moe-runner-backend": "flashinfer_cutlass"}, {(ERROR, f"{DECODE}.ep-size")}),
    "experts over all ranks whatever is said": (
        {f"{DECODE}.ep-size": 8, f"{DECODE}.moe-runner-backend": "flashinfer_cutlass",
         f"{DECODE}.moe-a2a-backend": "deepep"}, set()),
    "a colon in a name in the flags": (
        {f"{PREFILL}.served-model-name": "a:b"}, {(ERROR, f"{PREFILL}.served-model-name")}),
    "a colon in a name": ({"model.served_name": "dsr1:fp8"}, {(ERROR, "model.served_name")}),
    "more context than the model has": (
        {"model.max_context_length": 2100}, {(WARNING, f"{DECODE}.context-length")}),
    "more context, said to be meant": (
        {"model.max_context_length": 2100, "environment": {"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN": "1"}}, set()),
    "more context by scaling": (
        {"model.max_context_length": 2100, f"{DECODE}.json-model-override-args": {"rope_scaling": {}}}, set()),
    "load without events": (
        {**TODAY, f"{DECODE}.load-publish-endpoint": "auto"}, {(ERROR, f"{DECODE}.load-publish-endpoint")}),
    "load with events": (
        {**TODAY, f"{DECODE}.load-publish-endpoint": "auto", "backend.kv_events_config": {"decode": True}}, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_refusals(name: str) -> None:
    changes, expected = ROWS[name]
    found = findings(SGLANG, changes)
    assert {(p.severity.value, p.key) for p in found if p.rule in ("refused", "slow-decode")} == expected
