"""The parameters of sa-bench and the commands it makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.ladder import concurrencies_of, rates_of
from srtctl.benchmarks.params import SaBenchConfig
from srtctl.plan.codec import from_json, to_json
from srtctl.plan.model import PointSteps, Step
from srtctl.plan.programs import Programs

SA_BENCH = BENCHMARKS["sa-bench"]
CONTEXT = ClientContext(
    endpoint="@host:slot0@:@port:nginx/http@",
    model="tiny",
    tokenizer="/models/tiny",
    slot=2,
    programs=Programs({"aiperf": "/opt/aiperf/bin/aiperf", "sglang_python": "/opt/sgl/bin/python"}),
    config_id="abc",
)


def steps(**changes: Any) -> tuple[Step, ...]:
    params = SaBenchConfig(**{"isl": 1024, "osl": 512, "concurrencies": [4], **changes})
    assert SA_BENCH.check(params) == []
    return SA_BENCH.steps(params, CONTEXT).steps


def flag(step: Step, name: str) -> str:
    return step.argv[step.argv.index(name) + 1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [([1, 4, 8], [1, 4, 8]), ((2,), [2]), (8, [8]), ("1x4x8", [1, 4, 8]), ("16", [16]), (["4", 8], [4, 8])],
)
def test_accepted_concurrencies(value: object, expected: list[int]) -> None:
    assert concurrencies_of(value) == expected


@pytest.mark.parametrize(
    "value", ["4,8", "", [], [0], [-1], [1.5], [True], True, "1x", [4, 4], {"a": 1}, [None], "4xx8"]
)
def test_refused_concurrencies(value: object) -> None:
    params = SaBenchConfig(isl=1, osl=1, concurrencies=value)
    (problem,) = SA_BENCH.check(params)
    assert problem.key == "benchmark.concurrencies"
    assert problem.value == value
    assert problem.allowed


def test_a_comma_text_gets_the_list_as_hint() -> None:
    (problem,) = SA_BENCH.check(SaBenchConfig(isl=1, osl=1, concurrencies="4,8"))
    assert "[4,8]" in problem.hint


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("inf", ["inf"]),
        (300, [300]),
        ([2.5, "inf"], [2.5, "inf"]),
        (float("inf"), ["inf"]),
        ("700", [700]),
        ([5.0], [5]),
    ],
)
def test_accepted_rates(value: object, expected: list[object]) -> None:
    assert rates_of(value) == expected


@pytest.mark.parametrize("value", ["fast", 0, -1, [], None, [None], True, "nan", [1, 1.0]])
def test_refused_rates(value: object) -> None:
    (problem,) = SA_BENCH.check(SaBenchConfig(isl=1, osl=1, concurrencies=[1], req_rate=value))
    assert problem.key == "benchmark.req_rate"


def test_everything_missing_is_told_at_once() -> None:
    keys = {p.key for p in SA_BENCH.check(SaBenchConfig(random_range_ratio=1.5))}
    assert keys == {"benchmark.isl", "benchmark.osl", "benchmark.concurrencies", "benchmark.random_range_ratio"}


def test_one_step_for_each_concurrency_and_rate() -> None:
    assert [s.name for s in steps(concurrencies=[4, 128])] == ["c0004", "c0128"]
    names = [s.name for s in steps(concurrencies="1x2", req_rate=[2.5, "inf"])]
    assert names == ["c0001-r2.5", "c0001-rinf", "c0002-r2.5", "c0002-rinf"]
    assert [s.name for s in steps(req_rate=300)] == ["c0004-r300"]


def test_the_client_command() -> None:
    (step,) = steps(random_range_ratio=0.8)
    assert step.argv[:2] == ("/opt/aiperf/bin/aiperf", "profile")
    assert flag(step, "--url") == "http://@host:slot0@:@port:nginx/http@"
    assert (flag(step, "--isl"), flag(step, "--osl")) == ("1024", "512")
    assert (flag(step, "--random-range-ratio"), flag(step, "--random-corpus-style")) == ("0.8", "sglang")
    assert (flag(step, "--request-count"), flag(step, "--warmup-request-count")) == ("40", "8")
    assert flag(step, "--num-dataset-entries") == "48"  # no prompt twice, warm-up included
    assert flag(step, "--extra-inputs") == "ignore_eos:true"
    assert flag(step, "--endpoint-type") == "chat"
    assert not flag(step, "--artifact-dir").startswith("/")
    assert "--request-rate" not in step.argv
    assert step.expected_requests == 40
    assert step.slot == 2
    assert step.env["TMPDIR"] == "@scratch:slot2@"


def test_choices_reach_the_command() -> None:
    changes = {"use_chat_template": False, "ignore_eos": False, "num_warmup_mult": 0, "req_rate": 2.5}
    (step,) = steps(reuse_http_connections=False, custom_tokenizer="/t", extra_args=["--log-level", "debug"], **changes)
    assert flag(step, "--endpoint-type") == "completions"
    assert flag(step, "--request-rate") == "2.5"
    assert flag(step, "--connection-reuse-strategy") == "never"
    assert flag(step, "--tokenizer") == "/t"
    assert step.argv[-2:] == ("--log-level", "debug")
    assert not {"--apply-chat-template", "--extra-inputs", "--warmup-request-count"} & set(step.argv)


@pytest.mark.parametrize("client", ["aiperf", "sglang-bench"])
@pytest.mark.parametrize("named", ["hf:org/name", "org/name"])
def test_clients_hear_of_models_of_the_hub_without_our_mark(client: str, named: str) -> None:
    (step,) = steps(client=client, custom_tokenizer=named)
    assert flag(step, "--tokenizer") == "org/name"


def test_offline_mode_is_lifted_for_the_client() -> None:
    found = SA_BENCH.steps(SaBenchConfig(isl=1, osl=1, concurrencies=[1]), CONTEXT)
    assert "HF_HUB_OFFLINE" in found.unset_env


def test_a_floor_under_the_number_of_requests() -> None:
    assert [s.expected_requests for s in steps(concurrencies=[1, 64], num_prompts=100)] == [100, 640]


def test_no_two_measurements_send_the_same_prompts() -> None:
    ladder = steps(concurrencies=[1, 2, 4], req_rate=["inf", 5]) + steps(isl=1025, concurrencies=[1])
    seeds = [flag(s, "--random-seed") for s in ladder]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [flag(s, "--random-seed") for s in steps(concurrencies=[1, 2, 4], req_rate=["inf", 5])] + seeds[-1:]
    assert flag(steps(seed=2)[0], "--random-seed") != flag(steps(seed=1)[0], "--random-seed")


def test_workers_follow_the_concurrency() -> None:
    caps = [s.env["AIPERF_WORKER_MAX_WORKERS_CAP"] for s in steps(concurrencies=[1, 8, 9, 4096])]
    assert caps == ["1", "1", "2", "32"]
    assert steps(concurrencies=[4096])[0].env["AIPERF_HTTP_CONNECTION_LIMIT"] == "4096"


def test_sglang_client() -> None:
    (step,) = steps(client="sglang-bench", req_rate=7)
    assert step.argv[:3] == ("/opt/sgl/bin/python", "-m", "sglang.bench_serving")
    assert (flag(step, "--num-prompts"), flag(step, "--max-concurrency")) == ("40", "4")
    assert flag(step, "--request-rate") == "7"
    assert step.container
    assert step.outputs == ("bench_serving.jsonl",)


def test_steps_survive_json() -> None:
    found = SA_BENCH.steps(SaBenchConfig(isl=1, osl=1, concurrencies=[1, 2], slo_ttft_ms=5), CONTEXT)
    assert from_json(PointSteps, to_json(found)) == found


def test_prompts_of_a_file() -> None:
    own = {"dataset_name": "custom", "dataset_path": "/data/p.jsonl", "isl": None}
    (step,) = steps(**own)
    assert (flag(step, "--input-file"), flag(step, "--custom-dataset-type")) == ("/data/p.jsonl", "single_turn")
    assert (flag(step, "--osl"), flag(step, "--request-count")) == ("512", "40")
    assert not {"--isl", "--random-range-ratio", "--prompt-corpus", "--num-dataset-entries"} & set(step.argv)
    assert not {"isl", "random_range_ratio"} & set(step.settings)
    assert step.settings["dataset_path"] == "/data/p.jsonl"
    (step,) = steps(**own, client="sglang-bench")
    assert (flag(step, "--dataset-name"), flag(step, "--dataset-path")) == ("custom", "/data/p.jsonl")
    assert flag(step, "--sharegpt-output-len") == "512"


@pytest.mark.parametrize(
    ("changes", "rule", "key"),
    [
        ({"dataset_name": "custom"}, "benchmark-key", "benchmark.dataset_path"),
        ({"dataset_path": "/data/p.jsonl"}, "unused-file", "benchmark.dataset_path"),
        ({"dataset_name": "custom", "dataset_path": "/p", "osl": None}, "benchmark-key", "benchmark.osl"),
    ],
)
def test_files_that_are_wanting_or_not_read(changes: dict[str, Any], rule: str, key: str) -> None:
    found = SA_BENCH.check(SaBenchConfig(**{"isl": 8, "osl": 8, "concurrencies": [1], **changes}))
    assert [(p.rule, p.key) for p in found] == [(rule, key)]


TURNS = '{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}'


@pytest.mark.parametrize(
    ("client", "text", "fault"),
    [
        ("aiperf", '{"text": "q"}\n\n{"text": "r"}\n', ""),
        ("aiperf", "", "holds no prompts"),
        ("aiperf", '{"text": "q"}\n{', "line 2 is not JSON"),
        ("aiperf", '{"prompt": "q"}', "line 1 has its text as `prompt`"),
        ("aiperf", TURNS, "line 1 is no prompt as aiperf reads it"),
        ("sglang-bench", TURNS, ""),
        ("sglang-bench", '{"text": "q"}', "line 1 is no conversation of two turns"),
    ],
)
def test_what_is_wrong_with_a_file_of_prompts(tmp_path: Path, client: str, text: str, fault: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    params = SaBenchConfig(dataset_name="custom", dataset_path=str(path), client=client)
    (file,) = SA_BENCH.data_files(params)  # type: ignore[attr-defined]
    found = file.fault(path)
    assert found.startswith(fault) if fault else not found
