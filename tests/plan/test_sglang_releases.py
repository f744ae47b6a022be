"""The tables of SGLang's releases against its own parser, and what stands for a flag in another release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from srtctl.backends.flags import Layered
from srtctl.backends.sglang_flags import choose, layered, nearest
from srtctl.backends.sglang_releases import FLAGS, VARIABLES, Release, order, release, releases, renamed_variables
from srtctl.backends.sglang_translate import replacement, rewritten, with_attention_ranks
from srtctl.schema import RoleFlags
from tests.plan.jobs import disagg

PARSER = json.loads((Path(__file__).parent.parent / "data" / "sglang-0.5.23-parser.json").read_text(encoding="utf-8"))


def test_the_table_is_what_the_parser_of_that_release_has() -> None:
    flags = release("0.5.23").flags
    table = {}
    for name, flag in flags.items():
        names = {name, *flag.aliases} | ({f"no-{name}"} if flag.kind == "toggle" else set())
        choices = sorted(map(str, flag.choices))
        table[frozenset(names)] = (flag.kind, flag.nargs, choices)
    parser = {
        frozenset(names): (kind, nargs, sorted(map(str, choices or ())))
        for names, kind, nargs, choices, _ in PARSER["options"]
    }
    assert table == parser


def test_the_table_has_the_parsers_defaults() -> None:
    flags = release("0.5.23")
    for names, kind, _, _, default in PARSER["options"]:
        own = repr(flags.flags[flags.canonical(names[0])].default)
        if kind == "switch":  # off, however it is written
            default = {"False": "None"}.get(default, default)
        assert own == default, names


def test_there_are_tables_for_every_release_since_late_2025_and_they_are_small() -> None:
    finals = [f"0.5.{number}" for number in range(4, 24)]
    assert set(finals) <= set(releases())
    assert {"0.5.8.post1", "0.5.5.post2", "0.5.10.post1"} <= set(releases())
    assert FLAGS.stat().st_size + VARIABLES.stat().st_size < 300_000
    assert releases() == sorted(releases(), key=order)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("0.5.9", "0.5.10"), ("0.5.8", "0.5.8.post1"), ("0.5.10rc0", "0.5.10"), ("0.5.9.post2", "0.5.10rc0")],
)
def test_order_of_releases(older: str, newer: str) -> None:
    assert order(older) < order(newer)


# What the packages of these releases say: read in their sources by hand.
@pytest.mark.parametrize(
    ("version", "name", "known"),
    [
        ("0.5.8.post1", "cuda-graph-max-bs", True),
        ("0.5.19", "cuda-graph-max-bs", True),
        ("0.5.20", "cuda-graph-max-bs", False),
        ("0.5.13", "cuda-graph-max-bs-decode", False),
        ("0.5.14", "cuda-graph-max-bs-decode", True),
        ("0.5.23", "attn-dp-size", True),
        ("0.5.21", "attn-dp-size", False),
        ("0.5.4", "enable-deepep-moe", True),
        ("0.5.5", "enable-deepep-moe", False),
    ],
)
def test_when_flags_came_and_went(version: str, name: str, known: bool) -> None:
    assert (name in release(version).flags) is known


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("tp", "tp-size"),
        ("tensor_parallel_size", "tp-size"),
        ("--data-parallel-size", "dp-size"),
        ("model", "model-path"),
        ("nccl-init-addr", "dist-init-addr"),
        ("speculative-draft-model", "speculative-draft-model-path"),
        ("speculative-algo", "speculative-algorithm"),
        ("no-dllm-fdfo", "no-dllm-fdfo"),
        ("no-such-flag", "no-such-flag"),
    ],
)
def test_one_name_of_each_flag(written: str, name: str) -> None:
    assert release("0.5.23").canonical(written) == name
    assert written != "tensor_parallel_size" or release("0.5.8").canonical(written) == name


# The table of renamed flags that was measured over published recipes against 0.5.23.
@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("cuda-graph-max-bs", "--cuda-graph-max-bs-decode"),
        ("cuda-graph-bs", "--cuda-graph-bs-decode"),
        ("mamba-scheduler-strategy", "--mamba-radix-cache-strategy"),
        ("nsa-prefill-backend", "--dsa-prefill-backend"),
        ("nsa-decode-backend", "--dsa-decode-backend"),
        ("disable-piecewise-cuda-graph", "--cuda-graph-backend-prefill=disabled"),
        ("enable-deepep-moe", "--moe-a2a-backend=deepep"),
        ("enable-ep-moe", "--ep-size"),
        ("prefill-round-robin-balance", ""),
        ("stream-output", "--incremental-streaming-output"),
    ],
)
def test_what_replaced_a_flag(name: str, instead: str) -> None:
    found = replacement(name, release("0.5.23"))
    assert found is not None
    assert str(found) == instead


def job(version: str | None = None, container: str | None = None, **flags: Any) -> Any:
    made = disagg(backend="sglang", backend__version=version, backend__flags="translate")
    made.model.container = container
    made.backend.sglang_config = RoleFlags(decode={name.replace("_", "-"): value for name, value in flags.items()})
    return made


@pytest.mark.parametrize(
    ("version", "written", "made"),
    [
        ("0.5.23", {"enable_deepep_moe": True}, {"moe-a2a-backend": "deepep"}),
        ("0.5.23", {"enable_deepep_moe": False}, {}),
        ("0.5.23", {"enable_ep_moe": True, "tp_size": 8}, {"ep-size": 8, "tp-size": 8}),
        ("0.5.23", {"cuda_graph_bs": [1, 2]}, {"cuda-graph-bs-decode": [1, 2]}),
        ("0.5.23", {"cuda_graph_max_bs": 8, "cuda_graph_max_bs_decode": 4}, {"cuda-graph-max-bs-decode": 4}),
        ("0.5.23", {"cuda_graph_max_bs_decode": 4, "cuda_graph_max_bs": 8}, {"cuda-graph-max-bs-decode": 4}),
        ("0.5.23", {"prefill_round_robin_balance": True}, {}),
        ("0.5.23", {"nsa_prefill_cp_mode": "round-robin-split"}, {"cp-strategy": "interleave"}),
        ("0.5.23", {"disable_piecewise_cuda_graph": True}, {"cuda-graph-backend-prefill": "disabled"}),
        ("0.5.23", {"disable_cuda_graph": True}, {"disable-cuda-graph": True}),  # deprecated, but taken
        ("0.5.23", {"no_such_flag": 1}, {"no-such-flag": 1}),
        ("0.5.8", {"cuda_graph_bs": [1]}, {"cuda-graph-bs": [1]}),
        ("0.5.8", {"cuda_graph_bs_decode": [1]}, {"cuda-graph-bs": [1]}),  # and back
        ("0.5.4", {"enable_flashinfer_cutlass_moe": True}, {"moe-runner-backend": "flashinfer_cutlass"}),
        # names of today on older images: what SGLang's sources of both releases say is the same
        ("0.5.8", {"attn_dp_size": 16}, {"dp-size": 16, "enable-dp-attention": True}),
        ("0.5.21", {"attn_dp_size": 16, "dp_size": 1}, {"dp-size": 16, "enable-dp-attention": True}),
        ("0.5.22", {"attn_dp_size": 16, "dp_size": 1}, {"attn-dp-size": 16, "dp-size": 1}),
        ("0.5.21", {"attn_dp_size": 1, "tp_size": 8}, {"tp-size": 8}),
        ("0.5.21", {"attn_dp_size": 1, "dp_size": 4}, {"dp-size": 4}),  # replicas
        ("0.5.21", {"attn_dp_size": 8, "enable_dp_attention": False}, {"dp-size": 8, "enable-dp-attention": True}),
        ("0.5.21", {"attn_dp_size": 8, "dp_size": 2}, {"attn-dp-size": 8, "dp-size": 2}),  # which no release takes
        ("0.5.12", {"cuda_graph_backend_decode": "disabled"}, {"disable-cuda-graph": True}),
        ("0.5.12", {"cuda_graph_backend_prefill": "disabled"}, {"disable-piecewise-cuda-graph": True}),
        ("0.5.9", {"cuda_graph_backend_prefill": "disabled"}, {}),
        ("0.5.9", {"disable_piecewise_cuda_graph": True}, {}),
        ("0.5.9", {"cuda_graph_backend_decode": "full"}, {}),
        ("0.5.9", {"cuda_graph_backend_decode": None}, {}),
        ("0.5.12", {"cuda_graph_backend_prefill": "tc_piecewise"}, {"enforce-piecewise-cuda-graph": True}),
        ("0.5.12", {"cuda_graph_backend_prefill": "full"}, {"cuda-graph-backend-prefill": "full"}),  # not the same
        ("0.5.12", {"disable_decode_cuda_graph": True}, {"disable-cuda-graph": True}),
        ("0.5.12", {"disable_prefill_cuda_graph": True}, {"disable-piecewise-cuda-graph": True}),
        ("0.5.8", {"flashinfer_allreduce_fusion_backend": "auto"}, {"enable-flashinfer-allreduce-fusion": True}),
        ("0.5.8", {"flashinfer_allreduce_fusion_backend": "mnnvl"}, {"flashinfer-allreduce-fusion-backend": "mnnvl"}),
        ("0.5.8", {"dsa_decode_backend": "fa3"}, {"nsa-decode-backend": "fa3"}),
        ("0.5.12", {"mamba_radix_cache_strategy": "no_buffer"}, {"mamba-scheduler-strategy": "no_buffer"}),
        ("0.5.9", {"incremental_streaming_output": True}, {"stream-output": True}),
        ("0.5.17", {"image_processor_backend": "pil"}, {"disable-fast-image-processor": True}),
        ("0.5.17", {"image_processor_backend": "auto"}, {}),
        ("0.5.15", {"mm_feature_transport": "cuda_ipc"}, {"keep-mm-feature-on-device": True}),
        ("0.5.15", {"elastic_ep_join_mode": "recover"}, {"elastic-ep-rejoin": True}),
        ("0.5.23", {"elastic_ep_rejoin": True}, {"elastic-ep-join-mode": "recover"}),
        ("0.5.12", {"cuda_graph_bs_prefill": [16, 32]}, {"piecewise-cuda-graph-tokens": [16, 32]}),
        ("0.5.8", {"cp_strategy": "zigzag"}, {"cp-strategy": "zigzag"}),  # it depends on the model
    ],
)
def test_translation(version: str, written: dict[str, Any], made: dict[str, Any]) -> None:
    found = layered(job(version, **written), "decode")
    assert found.values == made
    for name in found.translated:
        assert found.described(made)[name].endswith(" (translated)")


# Flags of today whose older names the newest release still takes, as deprecated ones. What it makes of them is held by
# tests/engine/test_resolution.py; about decode graphs alone, where it makes more of it, the older releases were read.
STILL_TAKEN = {"attn-dp-size", "cuda-graph-backend-decode", "disable-decode-cuda-graph", "image-processor-backend",
               "flashinfer-allreduce-fusion-backend", "smg-grpc-mode"}  # fmt: skip


@pytest.mark.parametrize("version", [version for version in releases() if order(version) < order("0.5.22")])
def test_there_and_back(version: str) -> None:
    """Every value of every flag of today, as an older release takes it, and from there to today's again."""
    old, new = release(version), release("0.5.23")
    for name, flag in new.flags.items():
        for value in flag.choices or ([True] if flag.kind in ("switch", "toggle") else [2]):
            there = rewritten(name, value, {}, old)
            if not there:
                continue  # the same name, none, or nothing to be said
            back = {new_name: its for old_name, was in there.items()
                    for new_name, its in (rewritten(old_name, was, there, new) or {}).items()}  # fmt: skip
            if name == "disable-prefill-cuda-graph":
                assert back == {"cuda-graph-backend-prefill": "disabled"}
            elif not back:
                assert name in STILL_TAKEN and set(there) <= set(new.flags)
            else:
                assert back == {name: value}


def test_attention_ranks_of_another_layer_stay() -> None:
    """A size in one map of flags and the other in another come to what a release that knows both makes of them."""
    made = job("0.5.21", dp_size=1)
    made.model.engine_flags = RoleFlags(common={"attn-dp-size": 8})
    assert layered(made, "decode").values == {"dp-size": 8, "enable-dp-attention": True}
    said = layered(made, "decode").described(["dp-size", "enable-dp-attention"])
    assert set(said.values()) == {"model.engine_flags.common.attn-dp-size (translated)"}


class Tomorrow(Release):
    """A release without the switch that SGLang 0.5.23 means to remove after 2026."""

    @property
    def flags(self) -> Any:
        return {name: flag for name, flag in release("0.5.23").flags.items() if name != "enable-dp-attention"}


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ({"dp-size": 8, "enable-dp-attention": True}, {"attn-dp-size": 8}),
        ({"dp-size": 8, "enable-dp-attention": False}, {"dp-size": 8}),
        ({"attn-dp-size": 8, "enable-dp-attention": True}, {"attn-dp-size": 8}),
        ({"dp-size": 8}, {"dp-size": 8}),
    ],
)
def test_attention_ranks_in_a_release_that_has_no_switch_for_them(
    written: dict[str, Any], made: dict[str, Any]
) -> None:
    assert with_attention_ranks(Layered(written), Tomorrow("0.5.24")).values == made


def test_every_flag_that_a_release_replaced_has_its_replacement_in_the_newest() -> None:
    newest = release(releases()[-1])
    lost = []
    for version in releases():
        for name, flag in release(version).flags.items():
            if flag.deprecated and "<" not in flag.deprecated and name not in newest.flags:
                found = replacement(name, newest)
                if found is None:
                    lost.append(name)
    # replaced, and what replaced them is gone by now; or with a value that nobody can guess
    assert set(lost) <= {"piecewise-cuda-graph-compiler", "hybrid-kvcache-ratio", "enable-expert-distribution-metrics"}


@pytest.mark.parametrize(
    ("version", "container", "table", "wanted"),
    [
        (None, None, "0.5.23", None),
        ("0.5.8", None, "0.5.8", "0.5.8"),
        (None, "lmsysorg/sglang:v0.5.8.post1-cu130", "0.5.8.post1", "0.5.8.post1"),
        (None, "lmsysorg+sglang+v0.5.5.post2.sqsh", "0.5.5.post2", "0.5.5.post2"),
        (None, "docker://lmsysorg#sglang:v0.5.12", "0.5.12", "0.5.12"),
        (None, "0.5.5.post2", "0.5.5.post2", "0.5.5.post2"),
        (None, "old", "0.5.9", "0.5.9"),  # an alias of the cluster
        (None, "lmsysorg/sglang:nightly-dev-cu13-20260528", "0.5.23", None),
        (None, "nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.8.0", "0.5.23", None),  # Dynamo's release, not SGLang's
        ("0.5.9", "lmsysorg/sglang:v0.5.8", "0.5.9", "0.5.9"),
        ("0.5.99", None, "0.5.23", "0.5.99"),
        ("0.5.11.post7", None, "0.5.11", "0.5.11.post7"),
        ("0.4.9", None, "0.5.4", "0.4.9"),
    ],
)
def test_which_table(version: str | None, container: str | None, table: str, wanted: str | None) -> None:
    made = job(version, container)
    made.cluster.containers = {"old": "/images/lmsysorg+sglang+v0.5.9.sqsh"}
    chosen = choose(made)
    assert (chosen.release.version, chosen.wanted) == (table, wanted)
    assert chosen.sure is (wanted is not None or container is None)
    assert chosen.exact is (wanted is None or wanted == table)


def test_the_nearest_release_is_never_newer_than_the_one_that_runs() -> None:
    assert nearest("0.5.10rc0") == "0.5.9"


def test_variables() -> None:
    # read in the sources of these releases by hand
    assert "SGLANG_ENABLE_SPEC_V2" in release("0.5.8").variables
    assert "SGLANG_ENABLE_SPEC_V2" not in release("0.5.23").variables
    assert "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK" in release("0.5.23").variables
    assert renamed_variables()["SGLANG_CUTEDSL_MOE_NVFP4_DISPATCH"] == "SGLANG_MOE_NVFP4_DISPATCH"
