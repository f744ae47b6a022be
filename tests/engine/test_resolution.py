"""SGLang 0.5.23's own argument resolution: what srtctl says that it refuses, and names that it says mean the same."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

from srtctl import site
from srtctl.backends.flags import to_argv
from srtctl.backends.sglang_command import data_parallel
from srtctl.backends.sglang_flags import for_parser
from srtctl.backends.sglang_releases import release
from srtctl.errors import Severity
from srtctl.validate import SiteFacts, check_config

from .stack import ENVIRONMENT

VERSION, PER_NODE = "0.5.23", 8
BASE = {"device": "cpu", "attention-backend": "torch_native", "sampling-backend": "pytorch", "mem-fraction-static": 0.1,
        "disable-overlap-schedule": True, "context-length": 2048, "max-running-requests": 8}  # fmt: skip
EAGLE = {"speculative-algorithm": "EAGLE", "speculative-num-steps": 2, "speculative-eagle-topk": 1,
         "speculative-num-draft-tokens": 3}  # fmt: skip

Flags = dict[str, Any]
# Role, GPUs of a worker, flags that are refused, and what changed in them is not.
REFUSED: dict[str, tuple[str, int, Flags, Flags]] = {
    "replicas beside ranks": ("aggregated", 4, {"tp-size": 4, "attn-dp-size": 2, "dp-size": 2}, {"dp-size": 1}),
    "replicas over nodes": ("aggregated", 16, {"tp-size": 8, "dp-size": 2}, {"tp-size": 16, "dp-size": 1}),
    "ranks that do not divide": ("aggregated", 4, {"tp-size": 4, "attn-dp-size": 3}, {"attn-dp-size": 4}),
    "chunks that are no pages": (
        "aggregated", 1, {"page-size": 64, "chunked-prefill-size": 8032}, {"chunked-prefill-size": 8192}),
    "chunks that ranks divide": (
        "aggregated", 4, {"tp-size": 4, "attn-dp-size": 4, "page-size": 64, "chunked-prefill-size": 128},
        {"chunked-prefill-size": 256}),
    "dense layers over a few ranks": (
        "aggregated", 4, {"tp-size": 4, "moe-dense-tp-size": 2}, {"moe-dense-tp-size": 4}),
    "nothing handed over": (
        "prefill", 1, {"disaggregation-transfer-backend": "fake"}, {"disaggregation-transfer-backend": "nixl"}),
    "branches without steps": (
        "aggregated", 1, {**EAGLE, "speculative-num-steps": None}, {"speculative-num-steps": 2}),
    "standalone drafts with DP attention": (
        "aggregated", 2, {**EAGLE, "speculative-algorithm": "STANDALONE", "tp-size": 2, "attn-dp-size": 2},
        {"attn-dp-size": 1}),
    "DFLASH without a draft model": ("aggregated", 1, {"speculative-algorithm": "DFLASH"},
                                     {"speculative-algorithm": None}),
    "pipeline and speculation": ("aggregated", 2, {**EAGLE, "pp-size": 2}, {"pp-size": 1, "tp-size": 2}),
    "experts over a few ranks": (
        "aggregated", 4, {"tp-size": 4, "ep-size": 2, "moe-runner-backend": "flashinfer_cutlass"}, {"ep-size": 4}),
    "two batches without an exchange": (
        "aggregated", 1, {"enable-two-batch-overlap": True}, {"enable-two-batch-overlap": False}),
    "a colon in a name": ("aggregated", 1, {"served-model-name": "a:b"}, {"served-model-name": "a-b"}),
    "more context than the model has": ("aggregated", 1, {"context-length": 40000}, {"context-length": 32768}),
    "load without events": ("aggregated", 1, {"load-publish-endpoint": "auto"}, {"load-publish-endpoint": "off"}),
}  # fmt: skip

# Names that translation takes for one another, where this release still takes both.
SAME: dict[str, tuple[Flags, Flags]] = {
    "attention ranks": ({"dp-size": 4, "enable-dp-attention": True}, {"attn-dp-size": 4}),
    "attention ranks, and one replica": (
        {"dp-size": 4, "enable-dp-attention": True}, {"attn-dp-size": 4, "dp-size": 1}),
    "one attention rank": ({}, {"attn-dp-size": 1}),
    "no graphs": (
        {"disable-cuda-graph": True},
        {"cuda-graph-backend-decode": "disabled", "cuda-graph-backend-prefill": "disabled"}),
    "no decode graphs": ({"disable-decode-cuda-graph": True}, {"cuda-graph-backend-decode": "disabled"}),
    "no prefill graphs": ({"disable-prefill-cuda-graph": True}, {"cuda-graph-backend-prefill": "disabled"}),
    "fusion": ({"enable-flashinfer-allreduce-fusion": True}, {"flashinfer-allreduce-fusion-backend": "auto"}),
    "images": ({"disable-fast-image-processor": True}, {"image-processor-backend": "pil"}),
}  # fmt: skip
# How a flag was written, not what it came to.
WRITING = ("disable_cuda_graph", "disable_fast_image_processor",
           "disable_decode_cuda_graph", "disable_prefill_cuda_graph", "cuda_graph_backend_decode",
           "cuda_graph_backend_prefill", "random_seed", "port", "nccl_port")  # fmt: skip


def argv_of(role: str, gpus: int, flags: Flags) -> list[str]:
    argv = ["--model-path", str(site.TINY_MODEL), *to_argv(for_parser({**BASE, **flags}, release(VERSION)))]
    if role != "aggregated":
        argv += ["--disaggregation-mode", role]
    nodes = -(-gpus // PER_NODE)
    many = ["--nnodes", str(nodes), "--node-rank", "0", "--dist-init-addr", "127.0.0.1:5000"]
    return argv + (many if nodes > 1 else [])


def config_of(role: str, gpus: int, flags: Flags) -> dict[str, Any]:
    """A job whose workers of a role have these flags."""
    short = "agg" if role == "aggregated" else role
    resources = {f"{short}_nodes": -(-gpus // PER_NODE), f"{short}_workers": 1, f"gpus_per_{short}": gpus}
    if role == "prefill":
        resources |= {"decode_nodes": 1, "decode_workers": 1, "gpus_per_decode": 1}
    return {
        "name": "resolved",
        "model": {"path": str(site.TINY_MODEL), "max_context_length": 32768},
        "backend": {"type": "sglang", "version": VERSION, "sglang_config": {role: {**BASE, **flags}}},
        "resources": resources,
        "benchmark": {"type": "manual"},
        "cluster": {"name": "c", "executor": "slurm", "gpus_per_node": PER_NODE, "container_runtime": "none"},
    }


def resolved(lines: list[list[str]]) -> list[dict[str, Any]]:
    environment = {**os.environ, "SGLANG_USE_CPU_ENGINE": "1", "PYTHONPATH": str(Path(__file__).parent / "shim")}
    command = [str(ENVIRONMENT / "bin/python"), str(Path(__file__).with_name("resolved_by.py"))]
    done = subprocess.run(command, input=json.dumps(lines), text=True, capture_output=True, timeout=600,
                          env=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("answers: "))
    answers: list[dict[str, Any]] = json.loads(line.removeprefix("answers: "))
    return answers


def refused(role: str, gpus: int, flags: Flags) -> list[str]:
    found = check_config(config_of(role, gpus, flags), facts=SiteFacts())
    return [p.message for p in found if p.severity is Severity.ERROR or p.rule == "refused"]


def test_what_srtctl_says_is_refused_is_refused() -> None:
    lines = [argv_of(role, gpus, flags) for role, gpus, flags, _ in REFUSED.values()]
    lines += [argv_of(role, gpus, {**flags, **mended}) for role, gpus, flags, mended in REFUSED.values()]
    errors = [answer["error"] for answer in resolved(lines)]
    theirs = dict(zip(REFUSED, zip(errors[: len(REFUSED)], errors[len(REFUSED) :], strict=True), strict=True))
    ours = {
        name: (refused(role, gpus, flags), refused(role, gpus, {**flags, **mended}))
        for name, (role, gpus, flags, mended) in REFUSED.items()
    }
    assert {name: (bool(bad), bool(good)) for name, (bad, good) in theirs.items()} == dict.fromkeys(
        REFUSED, (True, False)
    ), theirs
    assert {name: (len(bad), good) for name, (bad, good) in ours.items()} == {
        name: (2 if name == "branches without steps" else 1, []) for name in REFUSED
    }, ours


# Flags that decide together, and values of each; None leaves one out.
TOGETHER: Flags = {
    "tp-size": (1, 2, 4, 8), "pp-size": (1, 1, 1, 2), "dp-size": (None, None, 1, 2, 4),
    "attn-dp-size": (None, None, 1, 2, 3, 4, 8), "enable-dp-attention": (None, None, True), "ep-size": (None, 1, 2, 4),
    "enable-dp-lm-head": (None, None, True), "moe-dense-tp-size": (None, None, None, 1, 2, 4),
    "page-size": (None, 1, 16, 64, 128), "chunked-prefill-size": (None, -1, 64, 100, 2048, 8192),
    "max-running-requests": (1, 2, 8, 64), "enable-two-batch-overlap": (None, None, None, True),
    "moe-a2a-backend": (None, None, "none", "deepep"), "deepep-mode": (None, "normal", "low_latency"),
    "speculative-algorithm": (None, None, None, "EAGLE", "STANDALONE", "EAGLE3"),
    "speculative-num-steps": (None, 1, 2), "speculative-eagle-topk": (None, 1, 2),
    "speculative-num-draft-tokens": (None, 3),
}  # fmt: skip
# What srtctl leaves to SGLang: pages of 128, which some attention backends halve.
LEFT = "chunked_prefill_size must be divisible by page_size"


def test_random_shapes_are_refused_by_both_or_by_none() -> None:
    chance, cases = random.Random(0), []
    for _ in range(150):
        drawn = {name: chance.choice(values) for name, values in TOGETHER.items()}
        flags = {name: value for name, value in drawn.items() if value is not None}
        gpus = flags["tp-size"] * flags["pp-size"] * data_parallel(flags)[0]
        cases.append((gpus, flags, argv_of("aggregated", gpus, flags)))
    answers = resolved([argv for _, _, argv in cases])
    refusals = []
    for (gpus, flags, argv), answer in zip(cases, answers, strict=True):
        found = check_config(config_of("aggregated", gpus, flags), facts=SiteFacts())
        ours = [p.message for p in found if p.severity is Severity.ERROR]
        left = LEFT in (answer["error"] or "") and flags["page-size"] == 128
        assert left or bool(ours) is bool(answer["error"]), (ours, answer["error"], argv)
        refusals.append(bool(ours))
    assert 20 < sum(refusals) < 140  # neither is always so


def test_names_that_mean_the_same() -> None:
    pairs = [flags for pair in SAME.values() for flags in pair]
    answers = resolved([argv_of("aggregated", 4, {"tp-size": 4, **flags}) for flags in ({}, *pairs)])
    assert not [answer["error"] for answer in answers if answer["error"]]
    plain, *found = (
        {"graphs": answer["graphs"], **{name: its for name, its in answer["resolved"].items() if name not in WRITING}}
        for answer in answers
    )
    for name, one, other in zip(SAME, found[::2], found[1::2], strict=True):
        assert one == other, name
        assert (one == plain) is (name == "one attention rank"), name
