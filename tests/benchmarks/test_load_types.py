"""aiperf, sglang-bench, trace-replay, mooncake-router and router: their keys, and the commands made of them."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.router import ratios_of
from srtctl.errors import Severity
from srtctl.plan.codec import from_json, to_json
from srtctl.plan.model import PointSteps, Step
from srtctl.plan.programs import Programs

CONTEXT = ClientContext(
    endpoint="@host:slot0@:@port:nginx/http@",
    model="tiny",
    tokenizer="/models/tiny",
    slot=2,
    programs=Programs({"aiperf": "/opt/aiperf/bin/aiperf", "sglang_python": "/opt/sgl/bin/python"}),
    config_id="abc",
)
GOOD: dict[str, dict[str, Any]] = {
    "aiperf": {"isl": 1024, "osl": 128, "concurrencies": [4]},
    "sglang-bench": {"isl": 1024, "osl": 128, "concurrencies": [4]},
    "trace-replay": {"trace_file": "/data/t.jsonl"},
    "mooncake-router": {"trace_file": "/data/t.jsonl", "mooncake_workload": "toolagent"},
    "router": {"prefix_ratios": [0.5]},
}


def problems(name: str, **changes: Any) -> list[tuple[str, str]]:
    benchmark = BENCHMARKS[name]
    found = benchmark.check(benchmark.params(**{**GOOD[name], **changes}))
    return [(p.rule, p.key) for p in found if p.severity is Severity.ERROR]


def steps(name: str, **changes: Any) -> tuple[Step, ...]:
    assert problems(name, **changes) == []
    benchmark = BENCHMARKS[name]
    made = benchmark.steps(benchmark.params(**{**GOOD[name], **changes}), CONTEXT)
    assert from_json(PointSteps, to_json(made)) == made
    assert made.config_id == "abc"
    assert len({step.name for step in made.steps}) == len(made.steps)
    return made.steps


def flag(step: Step, name: str) -> str:
    assert step.argv.count(name) == 1, step.argv
    return step.argv[step.argv.index(name) + 1]


@pytest.mark.parametrize("name", GOOD)
def test_every_command_goes_to_the_jobs_entrance_and_knows_the_model(name: str) -> None:
    for step in steps(name):
        assert "http://@host:slot0@:@port:nginx/http@" in step.argv
        assert flag(step, "--model") == "tiny"
        assert step.slot == 2
        assert step.outputs


# aiperf


def test_aiperf_measures_each_concurrency_and_rate() -> None:
    made = steps("aiperf", concurrencies="1x8", req_rate=[5, "inf"])
    assert [s.name for s in made] == ["c0001-r5", "c0001-rinf", "c0008-r5", "c0008-rinf"]
    assert [s.expected_requests for s in made] == [10, 10, 80, 80]
    assert (flag(made[2], "--request-rate"), flag(made[2], "--warmup-request-count")) == ("5", "16")
    assert flag(made[2], "--num-dataset-entries") == "96"  # no prompt twice, warm-up included
    assert "--request-rate" not in made[3].argv


def test_aiperf_at_a_rate_alone() -> None:
    (step,) = steps("aiperf", concurrencies=None, req_rate=20, num_requests=50)
    assert step.name == "r20"
    assert (flag(step, "--request-rate"), flag(step, "--request-count")) == ("20", "50")
    assert not {"--concurrency", "--warmup-request-count"} & set(step.argv)


def test_own_options_take_the_place_of_ours_under_any_of_their_names() -> None:
    given = {"isl-stddev": 20, "output-tokens-mean": 64, "num_requests": 7, "--verbose": True, "header": ["A:1", "B:2"]}
    (step,) = steps("aiperf", aiperf_args={**given, "goodput": None, "extra-verbose": False})
    assert (flag(step, "--isl-stddev"), flag(step, "--osl"), flag(step, "--request-count")) == ("20", "64", "7")
    assert step.argv[step.argv.index("--header") + 1 :][:2] == ("A:1", "B:2")
    assert step.argv[-3:] == ("--header", "A:1", "B:2")
    assert "--verbose" in step.argv
    assert not {"--goodput", "--extra-verbose", "--output-tokens-mean", "--num-requests"} & set(step.argv)
    assert step.expected_requests == 7
    assert (step.settings["osl"], step.settings["requests"]) == (64, 7)


def test_a_data_set_of_aiperfs_needs_no_lengths() -> None:
    given = {"input-file": "/data/chats.jsonl", "custom-dataset-type": "single_turn"}
    (step,) = steps("aiperf", isl=None, osl=None, aiperf_args=given)
    assert not {"--isl", "--osl", "--num-dataset-entries", "--apply-chat-template"} & set(step.argv)


def test_a_duration_leaves_the_number_of_requests_open() -> None:
    (step,) = steps("aiperf", aiperf_args={"benchmark-duration": 60})
    assert step.expected_requests is None
    assert "--request-count" not in step.argv


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"isl": None, "osl": None}, [("benchmark-key", "benchmark.isl"), ("benchmark-key", "benchmark.osl")]),
        ({"concurrencies": None}, [("benchmark-key", "benchmark.concurrencies")]),
        ({"concurrencies": None, "req_rate": 5}, [("benchmark-key", "benchmark.num_requests")]),
        ({"concurrencies": "4,8"}, [("benchmark-list", "benchmark.concurrencies")]),
        ({"req_rate": 0}, [("benchmark-list", "benchmark.req_rate")]),
        ({"aiperf_args": {"url": "http://x"}}, [("owned-argument", "benchmark.aiperf_args.url")]),
        ({"aiperf_args": {"--ui_type": "none"}}, [("owned-argument", "benchmark.aiperf_args.--ui_type")]),
        ({"aiperf_args": {"concurrency": "1,2"}}, [("owned-argument", "benchmark.aiperf_args.concurrency")]),
        ({"aiperf_args": {"public-dataset": "sharegpt"}}, [("download", "benchmark.aiperf_args.public-dataset")]),
        ({"aiperf_args": {"public-dataset": "sharegpt"}, "download": True}, []),
    ],
)  # fmt: skip
def test_what_aiperf_refuses(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert problems("aiperf", **changes) == expected


def test_a_package_that_would_be_installed_at_run_time_is_told() -> None:
    benchmark = BENCHMARKS["trace-replay"]
    (problem,) = benchmark.check(benchmark.params(trace_file="/t", aiperf_package="aiperf==0.5"))
    assert (problem.severity, problem.key) == (Severity.WARNING, "benchmark.aiperf_package")


# sglang-bench


def test_sglang_bench() -> None:
    (step,) = steps("sglang-bench", req_rate=7, sglang_args={"header": ["a=b"], "flush_cache": True})
    assert step.argv[:3] == ("/opt/sgl/bin/python", "-m", "sglang.bench_serving")
    assert (flag(step, "--num-prompts"), flag(step, "--max-concurrency"), flag(step, "--request-rate")) == (
        "128",
        "4",
        "7",
    )
    assert (flag(step, "--random-range-ratio"), flag(step, "--dataset-name")) == ("1.0", "random-ids")
    assert step.argv[-3:] == ("--header", "a=b", "--flush-cache")
    assert step.container  # the image has the client
    assert step.name == "c0004-r7"


def test_sglang_bench_without_a_limit_of_requests_in_flight() -> None:
    (step,) = steps("sglang-bench", concurrencies=None)
    assert step.name == "all"
    assert "--max-concurrency" not in step.argv


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"isl": None}, [("benchmark-key", "benchmark.isl")]),
        ({"isl": None, "osl": None, "dataset_name": "custom", "dataset_path": "/d"}, []),
        ({"dataset_name": "custom"}, [("benchmark-key", "benchmark.dataset_path")]),
        ({"dataset_name": "sharegpt"}, [("download", "benchmark.dataset_name")]),
        ({"dataset_name": "sharegpt", "download": True}, []),
        ({"dataset_name": "random", "dataset_path": "/data/sharegpt.json"}, []),
        ({"random_range_ratio": 1.5}, [("range-ratio", "benchmark.random_range_ratio")]),
        ({"sglang_args": {"num_prompts": 5}}, [("owned-argument", "benchmark.sglang_args.num_prompts")]),
    ],
)
def test_what_sglang_bench_refuses(changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert problems("sglang-bench", **changes) == expected


# trace-replay and mooncake-router


def test_a_trace_is_sent_by_its_own_times() -> None:
    (step,) = steps("trace-replay")
    assert (flag(step, "--input-file"), flag(step, "--custom-dataset-type")) == ("/data/t.jsonl", "mooncake_trace")
    assert {"--fixed-schedule", "--fixed-schedule-auto-offset"} <= set(step.argv)
    assert not {"--synthesis-speedup-ratio", "--concurrency", "--request-count", "--isl-block-size"} & set(step.argv)
    assert (step.settings["slo_ttft_ms"], step.settings["slo_tpot_ms"]) == (2000, 25)
    assert step.expected_requests is None


def test_choices_of_a_trace() -> None:
    changes = {"speedup": 4, "block_size": 16, "concurrency": 64, "ttft_threshold_ms": 500, "itl_threshold_ms": None}
    (step,) = steps("trace-replay", **changes)
    assert (flag(step, "--synthesis-speedup-ratio"), flag(step, "--isl-block-size")) == ("4", "16")
    assert flag(step, "--concurrency") == "64"
    assert (step.settings["slo_ttft_ms"], "slo_tpot_ms" in step.settings) == (500, False)


def test_a_tokenizer_on_disk_is_put_where_an_offline_client_looks() -> None:
    (step,) = steps("trace-replay")
    assert step.argv[:2] == ("bash", "-c")
    assert step.argv[4:7] == ("/models/tiny", "/opt/aiperf/bin/aiperf", "profile")
    assert flag(step, "--tokenizer") == "srtctl/tokenizer"
    assert step.env["HF_HUB_CACHE"].startswith("@scratch:slot2@")
    (step,) = steps("trace-replay", custom_tokenizer="org/name")
    assert step.argv[0] == "/opt/aiperf/bin/aiperf"
    assert flag(step, "--tokenizer") == "org/name"


@pytest.mark.parametrize("name", ["trace-replay", "mooncake-router"])
def test_a_trace_is_needed(name: str) -> None:
    assert problems(name, trace_file=None) == [("benchmark-key", "benchmark.trace_file")]
    assert problems(name, speedup=0) == [("speedup", "benchmark.speedup")]


def test_the_row_says_which_of_the_published_traces_it_is_about() -> None:
    (step,) = steps("mooncake-router")
    assert step.settings["mooncake_workload"] == "toolagent"
    assert step.benchmark == "mooncake-router"


# router


def test_each_ratio_is_a_measurement_with_texts_of_its_own() -> None:
    made = steps("router", isl=1000, osl=20, prefix_ratios=[0, 0.25, 1], num_prefix_prompts=3)
    assert [s.name for s in made] == ["p0", "p0.25", "p1"]
    assert [flag(s, "--isl") for s in made] == ["1000", "750", "1"]
    assert [flag(s, "--prompt-prefix-length") for s in made[1:]] == ["250", "999"]
    assert flag(made[1], "--prompt-prefix-pool-size") == "3"
    assert "--prompt-prefix-length" not in made[0].argv
    assert len({flag(s, "--random-seed") for s in made}) == 3
    assert [s.settings["prefix_ratio"] for s in made] == [0, 0.25, 1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [([0.1, 0.5], [0.1, 0.5]), ("0.1x0.5", [0.1, 0.5]), ("0.1 0.5", [0.1, 0.5]), (0.3, [0.3]), (["1"], [1.0])],
)
def test_accepted_ratios(value: object, expected: list[float]) -> None:
    assert ratios_of(value) == expected


@pytest.mark.parametrize("value", [[], "", [1.1], [-0.1], ["x"], [True], [0.5, 0.5], [None], {"a": 1}, "nan"])
def test_refused_ratios(value: object) -> None:
    assert problems("router", prefix_ratios=value) == [("benchmark-list", "benchmark.prefix_ratios")]
