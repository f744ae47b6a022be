"""Every benchmark against real servers: frontends and simulated engines of Dynamo, the real clients.

The engines answer at random, so that scores are about chance; what is seen here is the whole way of a request.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.test_lm_eval import a_task
from tests.system.conftest import User

# One server for all: points that differ only in the benchmark share it.
JOB = """
name: benchmarks
model: {path: "builtin:tiny"}
resources: {gpus_per_node: 1, agg_nodes: 1, agg_workers: 1, gpus_per_agg: 1}
backend: {type: mocker, speedup_ratio: 1}
"""
CHOICES = {"choice_A": "a", "choice_B": "b", "choice_C": "c", "choice_D": "d"}


def option(home: Path, name: str, **keys: Any) -> None:
    """An option of the user's own: a benchmark with keys."""
    directory = home / "conf" / "benchmark"
    directory.mkdir(parents=True, exist_ok=True)
    base = {"defaults": [f"/schema/benchmark/{keys.pop('type')}@_here_", "_self_"]}
    (directory / f"{name}.yaml").write_text(json.dumps(base | keys))


def lines(path: Path, *records: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def a_csv(path: Path, *rows: list[str]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return str(path)


def questions(home: Path) -> dict[str, tuple[int, int]]:
    """Options for each accuracy benchmark -> (questions, requests) that they stand for."""
    few: dict[str, Any] = {"max_tokens": 8, "num_threads": 4}
    sums = [{"question": f"{i} + {i}?", "answer": f"#### {2 * i}"} for i in range(8)]
    option(home, "q-gsm8k", type="gsm8k", dataset_path=lines(home / "gsm8k.jsonl", *sums), **few)
    mmlu = [["Question", "A", "B", "C", "D", "Answer", "Subject"], *([f"q{i}", *"abcd", "A", "law"] for i in range(6))]
    option(home, "q-mmlu", type="mmlu", dataset_path=a_csv(home / "mmlu.csv", *mmlu), **few, num_examples=4, repeat=2)
    gpqa = [
        ["Question", "Correct Answer", *(f"Incorrect Answer {i}" for i in (1, 2, 3))],
        ["q", *"abcd"],
        ["r", *"efgh"],
    ]
    option(home, "q-gpqa", type="gpqa", dataset_path=a_csv(home / "gpqa.csv", *gpqa), **few, repeat=1)
    long = [
        {"_id": str(i), "domain": "d", "context": "word " * 900, "question": "q", "answer": "B", **CHOICES}
        for i in (1, 2)
    ]
    (home / "data.json").write_text(json.dumps(long))
    limit = {"max_context_length": 1000, "num_examples": None}
    option(home, "q-longbenchv2", type="longbenchv2", dataset_path=str(home / "data.json"), **few, **limit)
    return {"q-gsm8k": (3, 3), "q-mmlu": (4, 8), "q-gpqa": (2, 2), "q-longbenchv2": (2, 2)}


def run(user: User, benchmarks: list[str]) -> list[dict[str, Any]]:
    job = user.write("job.yaml", JOB)
    words = ["-m", f"benchmark={','.join(benchmarks)}", "--wait"]
    done = user.srtctl("apply", "-f", str(job), *words, env={"SRTCTL_CONF": str(user.home / "conf")}, timeout_s=600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows: list[dict[str, Any]] = user.json("results")["rows"]
    assert len(list(user.sweep().glob("allocations/*"))) == 1
    assert all(row["valid"] for row in rows), [(row["benchmark"], row["errors"]) for row in rows]
    user.assert_nothing_left()
    return rows


def test_questions_are_asked_and_scored(user: User) -> None:
    wanted = questions(user.home)
    harness = {"tasks": ["sums"], "include_path": str(a_task(user.home / "tasks")), "limit": 5}
    option(user.home, "q-lm-eval", type="lm-eval", **harness)
    *rows, strict, flexible = run(user, [*wanted, "q-lm-eval"])
    assert [(row["score_n"], row["requests_completed"]) for row in rows] == list(wanted.values())
    for row in rows:
        assert 0 <= row["score"] <= 1
        assert row["requests_failed"] == row["requests_missing"] == 0
        assert row["answers_unreadable"] <= row["requests_completed"]
        assert row["answers_cut"] == row["requests_completed"]  # the engines never stop by themselves
        assert row["output_tokens"] == 8 * row["requests_completed"]
        assert row["ttft_p50_ms"] is None
    for row, name in ((strict, "strict"), (flexible, "flexible")):
        assert (row["measurement"], row["score_name"]) == ("sums", f"exact_match ({name})")
        assert (row["score"], row["score_n"], row["requests_completed"]) == (0, 5, 5)
    shown = user.srtctl("results").stdout
    assert "score" in shown
    assert "TTFT" not in shown
    assert user.srtctl("results", "--csv").stdout.splitlines()[0].count("score_stderr") == 1


def test_loads_are_sent_and_measured(user: User) -> None:
    few: dict[str, Any] = {"osl": 4, "num_requests": 8}
    prefixes = {"prefix_ratios": [0.9], "num_prefix_prompts": 1, "isl": 6000, "concurrency": 1}
    option(user.home, "l-router", type="router", **few, **prefixes)
    # Six requests within half a second, sent twice as fast as they were recorded.
    trace = [
        {"timestamp": 9000 + 100 * i, "input_length": 600, "output_length": 4, "hash_ids": [1, 2 + i]} for i in range(6)
    ]
    option(user.home, "l-trace", type="trace-replay", trace_file=lines(user.home / "t.jsonl", *trace), speedup=2)
    router, replay = run(user, ["l-router", "l-trace"])
    assert (router["benchmark"], router["measurement"], router["prefix_ratio"]) == ("router", "p0.9", 0.9)
    assert (router["requests_completed"], router["osl_mean"]) == (8, 4)
    assert router["isl_mean"] == pytest.approx(6000, rel=0.02)
    # All but the first find the prefix in the cache: the engine has a tenth of a prompt to read.
    assert router["ttft_min_ms"] < router["ttft_max_ms"] / 2
    assert (replay["benchmark"], replay["requests_expected"], replay["requests_completed"]) == ("trace-replay", 6, 6)
    assert (replay["isl_mean"], replay["osl_mean"]) == (pytest.approx(600, rel=0.05), 4)
    assert replay["duration_s"] >= 0.24  # between the first and the last send
    assert replay["slo_attainment"] is not None


@pytest.mark.soak
def test_the_other_clients_are_run(user: User) -> None:
    pace = {"concurrencies": [2], "isl": 64, "osl": 8}
    option(user.home, "o-aiperf", type="aiperf", **pace, num_requests=10, aiperf_args={"isl-stddev": 4})
    trace = [{"timestamp": 20 * i, "input_length": 700, "output_length": 4, "hash_ids": [i, 50 + i]} for i in range(24)]
    path = lines(user.home / "t.jsonl", *trace)  # so many that the client makes the texts in further processes
    option(user.home, "o-trace", type="mooncake-router", trace_file=path, mooncake_workload="conversation")
    own = lines(user.home / "prompts.jsonl", *({"text": f"What comes after {i}, and why?"} for i in range(20)))
    option(user.home, "o-own", type="sa-bench", dataset_name="custom", dataset_path=own, concurrencies=[2], osl=8)
    aiperf, trace_row, own_row = run(user, ["o-aiperf", "o-trace", "o-own"])
    assert (own_row["requests_completed"], own_row["osl_mean"], own_row["isl"]) == (20, 8, None)
    assert (aiperf["requests_completed"], aiperf["concurrency"], aiperf["osl_mean"]) == (10, 2, 8)
    assert (trace_row["requests_completed"], trace_row["requests_expected"]) == (24, 24)
    assert trace_row["isl_mean"] == pytest.approx(700, rel=0.05)


@pytest.mark.soak
def test_sglangs_own_client_is_run(user: User) -> None:
    if not list(Path(sys.prefix).glob("tools/sglang-*/bin/python")):
        pytest.skip("no environment with SGLang: make test-engine makes one")
    option(user.home, "s-bench", type="sglang-bench", isl=64, osl=8, concurrencies=[2], num_prompts=10)
    turns = [{"conversations": [{"value": f"What comes after {i}?"}, {"value": "The next one."}]} for i in range(9)]
    own = {"dataset_name": "custom", "dataset_path": lines(user.home / "turns.jsonl", *turns), "num_prompts_mult": 4}
    option(user.home, "s-own", type="sa-bench", client="sglang-bench", osl=8, concurrencies=[2], **own)
    row, own_row = run(user, ["s-bench", "s-own"])
    assert (own_row["requests_completed"], own_row["osl_mean"]) == (8, 8)
    assert (row["requests_completed"], row["isl_mean"], row["osl_mean"]) == (10, 64, 8)
    assert row["client"]["name"] == "sglang.bench_serving"


def test_what_can_be_seen_to_be_wrong_is_told_before_anything_starts(user: User) -> None:
    trace = lines(user.home / "t.jsonl", {"input_length": 5})
    words = ["benchmark=trace-replay", f"benchmark.trace_file={trace}"]
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", JOB)), *words)
    assert done.returncode == 2
    assert "benchmark.trace_file" in done.stderr
    assert "line 1 has no timestamp" in done.stderr
