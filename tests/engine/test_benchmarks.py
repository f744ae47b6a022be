"""Every benchmark against the real SGLang: one worker, which all points share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.system.test_benchmarks import lines, option, questions

from .conftest import EngineUser
from .stack import READY_S, job

pytestmark = pytest.mark.timeout(READY_S + 600)

ANSWER = 4
PACE: dict[str, Any] = {"concurrencies": [2], "isl": 64, "osl": ANSWER}
PROMPT, REQUESTS = 900, 6


def run(user: EngineUser, recipe: str, benchmarks: list[str]) -> list[dict[str, Any]]:
    words = ["-m", f"benchmark={','.join(benchmarks)}", "--wait"]
    conf = {"SRTCTL_CONF": str(user.home / "conf")}
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", recipe)), *words, env=conf, timeout_s=READY_S + 500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows: list[dict[str, Any]] = user.json("results")["rows"]
    assert len(list(user.sweep().glob("allocations/*"))) == 1
    assert all(row["valid"] for row in rows), [(row["benchmark"], row["errors"]) for row in rows]
    assert all(row["requests_failed"] == row["requests_missing"] == 0 for row in rows)
    user.assert_nothing_left()
    return rows


def router(home: Path, *ratios: float) -> str:
    """Prompts one after the other, which begin alike."""
    keys = {"prefix_ratios": list(ratios), "num_prefix_prompts": 1, "concurrency": 1, "num_requests": REQUESTS}
    option(home, "l-router", type="router", isl=PROMPT, osl=ANSWER, **keys)
    return "l-router"


def check_hits(row: dict[str, Any]) -> None:
    """All prompts but the first find their common part in the cache; what the chat template puts before each is found,
    too, and is a few tokens."""
    part = row["prefix_ratio"] * (REQUESTS - 1) / REQUESTS
    assert row["cache_hit_ratio"] == pytest.approx(part, abs=0.01), row
    assert row["cached_tokens"] >= (REQUESTS - 1) * row["prefix_ratio"] * PROMPT
    assert row["isl_mean"] == pytest.approx(PROMPT, rel=0.01)


def test_questions_and_loads_behind_dynamo(here: EngineUser, model: Path) -> None:
    asked = questions(here.home)
    option(here.home, "l-sa", type="sa-bench", **PACE, num_prompts_mult=2, num_warmup_mult=0, random_range_ratio=1)
    recipe = job(model, "dynamo", "agg", flags="enable-cache-report: true")
    *scored, load, shared = run(here, recipe, [*asked, "l-sa", router(here.home, 0.8)])
    assert [(row["score_n"], row["requests_completed"]) for row in scored] == list(asked.values())
    for row in scored:
        assert 0 <= row["score"] <= 1  # a model of random weights
        assert row["answers_cut"] == row["requests_completed"]  # which hardly ever ends by itself
    assert (load["requests_completed"], load["osl_mean"]) == (4, ANSWER)
    check_hits(shared)


def test_other_clients_behind_sglangs_router(here: EngineUser, model: Path) -> None:
    option(here.home, "l-sglang", type="sglang-bench", **PACE, num_prompts=4)
    option(here.home, "l-aiperf", type="aiperf", **PACE, num_requests=4)
    trace = [
        {"timestamp": 50 * i, "input_length": 600, "output_length": ANSWER, "hash_ids": [1, 2 + i]} for i in range(4)
    ]
    option(here.home, "l-trace", type="trace-replay", trace_file=lines(here.home / "t.jsonl", *trace))
    recipe = job(model, "sglang-router", "agg", flags="enable-cache-report: true")
    benchmarks = ["l-sglang", "l-aiperf", "l-trace", router(here.home, 0, 0.8)]
    plain, aiperf, replay, apart, shared = run(here, recipe, benchmarks)
    assert plain["client"]["name"] == "sglang.bench_serving"
    for row in (plain, aiperf, replay):
        assert (row["requests_completed"], row["osl_mean"]) == (4, ANSWER)
    assert (plain["isl_mean"], aiperf["isl_mean"]) == (64, pytest.approx(64, abs=2))
    # The first block, of 512 tokens, is one text in all four; they may overlap, but the last finds it cached.
    assert 512 <= replay["cached_tokens"] <= 3 * 530, replay
    check_hits(apart)
    check_hits(shared)
