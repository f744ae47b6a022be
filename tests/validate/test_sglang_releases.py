"""Flags and variables against the tables of SGLang's releases: a good job, one change, and exactly what is found."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.composed import Sources
from srtctl.errors import format_problem
from srtctl.validate import SiteFacts, check_config
from tests.validate.jobs import (
    AGGREGATED,
    DECODE,
    ERROR,
    MOCKER,
    NOTE,
    PREFILL,
    SGLANG,
    WARNING,
    Row,
    changed,
    findings,
    rows,
)

ENV = "backend.decode_environment"
NEWEST = {"backend.version": "0.5.23", f"{DECODE}.enable-dp-attention": None, f"{DECODE}.attn-dp-size": 16,
          f"{DECODE}.dp-size": None}  # fmt: skip
TRANSLATE = {**NEWEST, "backend.flags": "translate"}

ROWS: dict[str, Row] = {
    "unknown": (SGLANG, {f"{DECODE}.no-such-flag": 1}, {("unknown-flag", ERROR, f"{DECODE}.no-such-flag")}),
    "unknown to the mocker, which has flags of its own": (
        MOCKER, {"backend.mocker_config": {"common": {"no-such-flag": 1}}}, set()),
    "removed": (SGLANG, {f"{DECODE}.cuda-graph-max-bs": 8}, {("unknown-flag", ERROR, f"{DECODE}.cuda-graph-max-bs")}),
    "removed later than this release": (
        SGLANG, {"backend.version": "0.5.12", f"{DECODE}.cuda-graph-max-bs": 8}, set()),
    "deprecated": (
        SGLANG, {"backend.version": "0.5.23"}, {("deprecated-flag", WARNING, f"{DECODE}.enable-dp-attention")}),
    "deprecated, and off": (
        SGLANG, {**NEWEST, f"{DECODE}.disable-cuda-graph": False}, set()),
    "its replacement": (SGLANG, NEWEST, set()),
    "the replacement in a release that has none yet": (
        SGLANG, {f"{DECODE}.attn-dp-size": 16}, {("unknown-flag", ERROR, f"{DECODE}.attn-dp-size")}),
    "taken without effect": (
        SGLANG, {"backend.version": "0.5.8", f"{PREFILL}.prefill-round-robin-balance": True},
        {("ignored-flag", WARNING, f"{PREFILL}.prefill-round-robin-balance")}),
    "not among the choices": (
        SGLANG, {f"{PREFILL}.attention-backend": "flashinfr"}, {("flag-value", ERROR, f"{PREFILL}.attention-backend")}),
    "text for a number": (
        SGLANG, {f"{PREFILL}.page-size": "large"}, {("flag-value", ERROR, f"{PREFILL}.page-size")}),
    "a number as text": (SGLANG, {f"{PREFILL}.page-size": "64"}, set()),
    "a fraction for an integer": (
        SGLANG, {f"{PREFILL}.max-running-requests": 1.5}, {("flag-value", ERROR, f"{PREFILL}.max-running-requests")}),
    "a fraction": (SGLANG, {f"{PREFILL}.mem-fraction-static": 0.8}, set()),
    "a list for one value": (
        SGLANG, {f"{PREFILL}.max-running-requests": [1, 2]},
        {("flag-value", ERROR, f"{PREFILL}.max-running-requests")}),
    "a list": (SGLANG, {f"{DECODE}.cuda-graph-bs-decode": [1, 2, 4]}, set()),
    "a list with a word in it": (
        SGLANG, {f"{DECODE}.cuda-graph-bs-decode": [1, "two"]},
        {("flag-value", ERROR, f"{DECODE}.cuda-graph-bs-decode")}),
    "a switch with a value": (
        SGLANG, {f"{PREFILL}.trust-remote-code": "yes"}, {("flag-value", ERROR, f"{PREFILL}.trust-remote-code")}),
    "no value where one is needed": (
        SGLANG, {f"{PREFILL}.page-size": True}, {("flag-value", ERROR, f"{PREFILL}.page-size")}),
    "thousands": (SGLANG, {f"{PREFILL}.context-length": "8k"}, set()),
    "JSON": (SGLANG, {f"{PREFILL}.json-model-override-args": {"rope": 1}}, set()),
    "a toggle's twin": (SGLANG, {f"{PREFILL}.no-dllm-fdfo": True}, set()),
    "short": (SGLANG, {f"{PREFILL}.mem-frac": 0.8}, {("flag-abbreviated", NOTE, f"{PREFILL}.mem-frac")}),
    "the model's flags too": (
        SGLANG, {"model.engine_flags": {"common": {"no-such-flag": 1}}},
        {("unknown-flag", ERROR, "model.engine_flags.common.no-such-flag")}),
    "but not for roles that are not there": (
        SGLANG, {"model.engine_flags": {"aggregated": {"no-such-flag": 1}}}, set()),
    "translated": (
        SGLANG, {**TRANSLATE, f"{DECODE}.cuda-graph-max-bs": 8},
        {("translated-flag", WARNING, f"{DECODE}.cuda-graph-max-bs")}),
    "translated, with a value that is wrong": (
        SGLANG, {**TRANSLATE, f"{DECODE}.cuda-graph-max-bs": "x"},
        {("translated-flag", WARNING, f"{DECODE}.cuda-graph-max-bs"),
         ("flag-value", ERROR, f"{DECODE}.cuda-graph-max-bs")}),
    "nothing to translate it to": (
        SGLANG, {**TRANSLATE, f"{DECODE}.no-such-flag": 8}, {("unknown-flag", ERROR, f"{DECODE}.no-such-flag")}),
    "a release without a table": (
        AGGREGATED, {"backend.version": "0.5.99"}, {("engine-release", WARNING, "backend.version")}),
    "two releases": (
        AGGREGATED, {"model.container": "lmsysorg/sglang:v0.5.8"}, {("engine-release", WARNING, "model.container")}),
    "no release": (AGGREGATED, {"backend.version": None}, {("engine-release", NOTE, "model.container")}),
    "no release, and a flag that was removed": (
        AGGREGATED, {"backend.version": None, "backend.sglang_config.aggregated.cuda-graph-max-bs": 4},
        {("engine-release", NOTE, "model.container"),
         ("unknown-flag", WARNING, "backend.sglang_config.aggregated.cuda-graph-max-bs")}),
    "no release, and a flag that no release has": (
        AGGREGATED, {"backend.version": None, "backend.sglang_config.aggregated.no-such-flag": 4},
        {("engine-release", NOTE, "model.container"),
         ("unknown-flag", ERROR, "backend.sglang_config.aggregated.no-such-flag")}),
    "a variable that is read": (SGLANG, {ENV: {"SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK": "256"}}, set()),
    "under its old prefix": (SGLANG, {ENV: {"SGL_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK": "256"}}, set()),
    "a variable that was read once": (
        SGLANG, {ENV: {"SGLANG_ENABLE_SPEC_V2": "1"}, **NEWEST},
        {("unread-variable", WARNING, f"{ENV}.SGLANG_ENABLE_SPEC_V2")}),
    "in the release that reads it": (SGLANG, {ENV: {"SGLANG_ENABLE_SPEC_V2": "1"}, "backend.version": "0.5.8"}, set()),
    "everybody's variable": (
        SGLANG, {"environment": {"SGLANG_NO_SUCH": "1"}}, {("unread-variable", WARNING, "environment.SGLANG_NO_SUCH")}),
    "a variable of others": (SGLANG, {ENV: {"NCCL_NO_SUCH": "1"}}, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rules(name: str) -> None:
    base, changes, expected = ROWS[name]
    assert rows(findings(base, changes)) == expected


def text(changes: dict[str, Any], rule: str) -> str:
    sources = Sources(dict.fromkeys(changes, "recipe.yaml:7"))
    found = check_config(changed(SGLANG, changes), facts=SiteFacts(), sources=sources)
    return format_problem(next(problem for problem in found if problem.rule == rule))


TEXTS = {
    f"{DECODE}.cuda-graph-max-bs": """\
error: backend.sglang_config.decode.cuda-graph-max-bs: SGLang 0.5.23 has no such flag; it was removed in 0.5.20
  value:   8
  from:    recipe.yaml:7
  hint: use --cuda-graph-max-bs-decode, or let backend.flags=translate do it""",
    f"{DECODE}.cuda-graph-max-bs-decod": """\
note: backend.sglang_config.decode.cuda-graph-max-bs-decod: short for cuda-graph-max-bs-decode, which is what the \
command line will say
  value:   8
  from:    recipe.yaml:7""",
    f"{DECODE}.disable-radix-cach-e": """\
error: backend.sglang_config.decode.disable-radix-cach-e: SGLang 0.5.23 has no such flag
  value:   8
  from:    recipe.yaml:7
  hint: did you mean disable-radix-cache?""",
    f"{DECODE}.prefill-round-robin-balance": """\
error: backend.sglang_config.decode.prefill-round-robin-balance: SGLang 0.5.23 has no such flag; it was removed in \
0.5.20
  value:   8
  from:    recipe.yaml:7
  hint: leave it out: ignored since 0.5.8, where load-balance-method took its place""",
    f"{DECODE}.disable-cuda-graph": """\
warning: backend.sglang_config.decode.disable-cuda-graph: deprecated in SGLang 0.5.23, which still takes it
  value:   8
  from:    recipe.yaml:7
  hint: use --cuda-graph-backend-{decode,prefill}=disabled""",
    f"{DECODE}.deepep-mode": """\
error: backend.sglang_config.decode.deepep-mode: not one of the values that SGLang takes
  value:   8
  allowed: auto, normal, low_latency
  from:    recipe.yaml:7""",
}


@pytest.mark.parametrize("key", TEXTS)
def test_texts(key: str) -> None:
    rule = TEXTS[key]
    kind = {
        "SGLang 0.5.23 has": "unknown-flag", "short": "flag-abbreviated", "deprecated": "deprecated-flag",
        "not one": "flag-value",
    }  # fmt: skip
    found = next(name for words, name in kind.items() if f": {words}" in rule)
    assert text({key: 8, **NEWEST}, found) == rule


# What to do about a variable that a release doesn't read: the names are those that published recipes set most.
NEVER = ", nor does any other since 0.5.4"
VARIABLES = {
    ("0.5.23", "SGLANG_CUTEDSL_MOE_NVFP4_DISPATCH", "1"): (
        "; 0.5.20 was the last that did", "this release calls it SGLANG_MOE_NVFP4_DISPATCH"),
    ("0.5.5", "SGLANG_MOE_NVFP4_DISPATCH", "1"): (
        "; it came with 0.5.6", "this release calls it SGLANG_CUTEDSL_MOE_NVFP4_DISPATCH"),
    ("0.5.23", "SGLANG_DISABLE_TP_MEMORY_INBALANCE_CHECK", "1"): (
        "; 0.5.20 was the last that did",
        "use SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK=0, which is the same the other way round"),
    ("0.5.23", "SGLANG_DISABLE_TP_MEMORY_INBALANCE_CHECK", "False"): (
        "; 0.5.20 was the last that did",
        "use SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK=1, which is the same the other way round"),
    ("0.5.23", "SGL_DISABLE_TP_MEMORY_INBALANCE_CHECK", "maybe"): (
        "; 0.5.17 was the last that did",
        "this release has SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK, which means the opposite"),
    ("0.5.23", "SGLANG_ENABLE_SPEC_V2", "1"): (
        "; 0.5.20 was the last that did", "leave it out: since 0.5.14 speculation always runs so"),
    ("0.5.23", "SGLANG_PER_TOKEN_GROUP_QUANT_8BIT_V2", "1"): (
        "; 0.5.20 was the last that did", "leave it out: it went without a replacement"),
    ("0.5.23", "SGLANG_DECODE_BOOTSTRAP_TIMEOUT", "1000"): (
        NEVER, "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT is how long a request waits for that"),
    ("0.5.23", "SGLANG_HACK_SEQ_BOOTSTRAP_ROOM", "1"): (NEVER, ""),
    ("0.5.23", "SGLANG_MOONCAKE_CUSTOM_MEMPOOL", "1"): (NEVER, "did you mean SGLANG_MOONCAKE_CUSTOM_MEM_POOL?"),
    ("0.5.23", "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOT", "9"): (
        NEVER, "did you mean SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT?"),
    ("0.5.8", "SGLANG_JIT_DEEPGEMM_FAST_WARMUP", "1"): ("; it came with 0.5.8.post1", ""),
}  # fmt: skip


@pytest.mark.parametrize(("version", "name", "value"), VARIABLES)
def test_variables_that_are_not_read(version: str, name: str, value: str) -> None:
    when, hint = VARIABLES[version, name, value]
    said = text({"backend.version": version, f"{ENV}.{name}": value}, "unread-variable").splitlines()
    assert said[0] == f"warning: {ENV}.{name}: SGLang {version} never reads this variable{when}"
    assert said[3:] == ([f"  hint: {hint}"] if hint else [])


# Names of today in an older release: the hint names what that release has.
OLDER = {
    ("0.5.8", "attn-dp-size", 16): "use --dp-size=16 and --enable-dp-attention, or let backend.flags=translate do it",
    ("0.5.13", "cuda-graph-max-bs-decode", 8): "use --cuda-graph-max-bs, or let backend.flags=translate do it",
    ("0.5.9", "disable-decode-cuda-graph", True): "use --disable-cuda-graph, or let backend.flags=translate do it",
    ("0.5.8", "cuda-graph-backend-prefill", "disabled"):
        "leave it out: no graphs of prefill before 0.5.10, unless enable-piecewise-cuda-graph asks for them",
    ("0.5.8", "flashinfer-allreduce-fusion-backend", "mnnvl"):
        "SGLang 0.5.8 has --enable-flashinfer-allreduce-fusion, which is --flashinfer-allreduce-fusion-backend=auto",
    ("0.5.15", "elastic-ep-join-mode", "scale"):
        "SGLang 0.5.15 has --elastic-ep-rejoin, which is --elastic-ep-join-mode=recover",
    ("0.5.17", "expert-balancedness-report-mode", "both"): "SGLang 0.5.17 has --enable-expert-distribution-metrics",
    ("0.5.7", "fp4-gemm-backend", "cutlass"): "SGLang 0.5.7 has the variable SGLANG_FLASHINFER_FP4_GEMM_BACKEND",
    ("0.5.10", "cp-strategy", "zigzag"):
        "SGLang 0.5.10 has --prefill-cp-mode or --nsa-prefill-cp-mode, by the model's kind of attention",
}  # fmt: skip


@pytest.mark.parametrize(("version", "name", "value"), OLDER)
def test_the_older_name_of_a_newer_flag_is_named(version: str, name: str, value: Any) -> None:
    changes = {"backend.version": version, f"{DECODE}.{name}": value, f"{DECODE}.dp-size": None}
    said = text(changes, "unknown-flag")
    assert f"SGLang {version} has no such flag; it came with " in said
    assert said.endswith(f"hint: {OLDER[version, name, value]}")
    translated = rows(findings(SGLANG, {**changes, "backend.flags": "translate"}))
    expected = "translated-flag" if "translate" in said or "leave it out" in said else "unknown-flag"
    assert expected in {rule for rule, _, key in translated if key == f"{DECODE}.{name}"}


def test_translated_flags_say_what_they_became() -> None:
    said = text({f"{DECODE}.nsa-prefill-cp-mode": "in-seq-split", **TRANSLATE}, "translated-flag")
    assert "translated for SGLang 0.5.23: --cp-strategy zigzag\n" in said
    said = text({f"{PREFILL}.prefill-round-robin-balance": True, **TRANSLATE}, "translated-flag")
    assert "translated for SGLang 0.5.23: nothing (ignored since 0.5.8" in said


SPECULATES = {"backend.flags": "translate", f"{DECODE}.speculative-algorithm": "EAGLE"}
OVERLAP = ("speculation-overlap", WARNING, f"{DECODE}.speculative-algorithm")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backend.version": "0.5.8"}, True),
        ({"backend.version": "0.5.13.post1"}, False),  # by default
        ({"backend.version": "0.5.8", f"{ENV}.SGLANG_ENABLE_SPEC_V2": "1"}, False),
        ({"backend.version": "0.5.8", "environment": {"SGLANG_ENABLE_SPEC_V2": "0"}}, False),  # as somebody wants it
        ({"backend.version": "0.5.8", "backend.flags": "strict"}, False),  # who writes for that release knows it
    ],
)
def test_what_flags_of_today_leave_unsaid_on_an_older_image(changes: dict[str, Any], said: bool) -> None:
    assert (OVERLAP in rows(findings(SGLANG, {**SPECULATES, **changes}))) is said
