"""The parser on recorded output of the real client (tests/data/aiperf/README.md), and on damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.plan.model import Step

DATA = Path(__file__).parent.parent / "data" / "aiperf"


def parse(directory: Path, **settings: Any) -> dict[str, Any]:
    step = Step("c0002", "sa-bench", settings={"client": "aiperf", **settings})
    (found,) = BENCHMARKS["sa-bench"].parse(directory, step)
    return found


# Our key -> (aiperf's metric, its statistic): the same figure, computed by them from the same requests.
SAME = {
    "ttft_mean_ms": ("time_to_first_token", "avg"),
    "ttft_p50_ms": ("time_to_first_token", "p50"),
    "ttft_p90_ms": ("time_to_first_token", "p90"),
    "ttft_p95_ms": ("time_to_first_token", "p95"),
    "ttft_p99_ms": ("time_to_first_token", "p99"),
    "ttft_std_ms": ("time_to_first_token", "std"),
    "tpot_mean_ms": ("inter_token_latency", "avg"),
    "tpot_p99_ms": ("inter_token_latency", "p99"),
    "tpot_min_ms": ("inter_token_latency", "min"),
    "chunk_gap_mean_ms": ("inter_chunk_latency", "avg"),
    "chunk_gap_p99_ms": ("inter_chunk_latency", "p99"),
    "chunk_gap_max_ms": ("inter_chunk_latency", "max"),
    "e2el_mean_ms": ("request_latency", "avg"),
    "e2el_p50_ms": ("request_latency", "p50"),
    "e2el_p99_ms": ("request_latency", "p99"),
    "e2el_std_ms": ("request_latency", "std"),
    "isl_mean": ("usage_prompt_tokens", "avg"),
    "isl_p50": ("usage_prompt_tokens", "p50"),
    "osl_mean": ("usage_completion_tokens", "avg"),
    "osl_p50": ("usage_completion_tokens", "p50"),
    "input_tokens": ("total_usage_prompt_tokens", "avg"),
    "output_tokens": ("total_usage_completion_tokens", "avg"),
    "requests_completed": ("request_count", "avg"),
    "user_tok_s_e2e_mean": ("e2e_output_token_throughput", "avg"),
    "client_lag_p99_ms": ("credit_to_start_latency", "p99"),
}


@pytest.mark.parametrize("key", SAME)
def test_figures_agree_with_the_clients_own(key: str) -> None:
    metric, statistic = SAME[key]
    theirs = json.loads((DATA / "good/aiperf/profile_export_aiperf.json").read_text())[metric][statistic]
    assert parse(DATA / "good", requests=16)[key] == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize(
    ("key", "metric"),
    [("output_tok_s", "output_token_throughput"), ("total_tok_s", "total_token_throughput")],
)
def test_rates_agree_with_the_clients_own(key: str, metric: str) -> None:
    # its duration begins when the phase does, ours at the first send: some milliseconds of 0.8 s
    theirs = json.loads((DATA / "good/aiperf/profile_export_aiperf.json").read_text())[metric]["avg"]
    assert parse(DATA / "good", requests=16)[key] == pytest.approx(theirs, rel=0.05)


def test_warm_up_is_kept_apart() -> None:
    found = parse(DATA / "good", requests=16)
    assert (found["warmup_requests"], found["warmup_failed"]) == (4, 0)
    assert 0.1 < found["warmup_s"] < 1
    assert (found["requests_completed"], found["requests_failed"], found["requests_missing"]) == (16, 0, 0)


def test_start_up_is_from_the_clients_start_to_the_first_request() -> None:
    assert 3 < parse(DATA / "good", requests=16)["client_startup_s"] < 8


def test_who_measured() -> None:
    assert parse(DATA / "good", requests=16)["client"] == {"name": "aiperf", "version": "0.13.0"}


def test_broken_streams_are_failed_requests() -> None:
    # 14 requests, seven behaviours in turn. Good: 2 whole answers and 2 that lack only [DONE]. aiperf itself calls
    # those good whose stream just ends (2 cut off, 2 with the error in place of the usage).
    found = parse(DATA / "broken", requests=14)
    assert (found["requests_completed"], found["requests_failed"], found["requests_missing"]) == (4, 10, 0)
    errors = {e["what"].split(":")[0]: e["count"] for e in found["errors"]}
    assert errors == {
        "the stream ended before the server's token counts came": 4,
        "ClientPayloadError": 2,
        "502 SSEResponseError": 2,
        "503 Service Unavailable": 2,
    }


def test_requests_that_were_never_reported_are_missing(tmp_path: Path) -> None:
    shutil.copytree(DATA / "good", tmp_path / "m")
    records = tmp_path / "m/aiperf/profile_export.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:-3]))
    found = parse(tmp_path / "m", requests=16)
    assert (found["requests_completed"], found["requests_missing"]) == (13, 3)


def test_no_records_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"profile_export\.jsonl is missing"):
        parse(tmp_path)


@pytest.mark.parametrize("line", ["{", "[]", '{"metadata": {}}', "null"])
def test_a_line_that_is_no_record(tmp_path: Path, line: str) -> None:
    (tmp_path / "aiperf").mkdir()
    (tmp_path / "aiperf/profile_export.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"profile_export\.jsonl:1"):
        parse(tmp_path)


def test_no_summary_is_no_obstacle(tmp_path: Path) -> None:
    shutil.copytree(DATA / "good", tmp_path / "m")
    (tmp_path / "m/aiperf/profile_export_aiperf.json").unlink()
    assert parse(tmp_path / "m", requests=16)["client"]["version"] is None


def test_progress_counts_measured_requests_once(tmp_path: Path) -> None:
    whole = (DATA / "good/aiperf/profile_export.jsonl").read_bytes()
    step, state = Step("c", "sa-bench"), {}
    benchmark = BENCHMARKS["sa-bench"]
    assert benchmark.progress(tmp_path, step, state) is None
    (tmp_path / "aiperf").mkdir()
    records = tmp_path / "aiperf/profile_export.jsonl"
    lines = whole.splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:6]) + lines[6][:100])  # a line that is still being written
    assert benchmark.progress(tmp_path, step, state) == 2
    assert benchmark.progress(tmp_path, step, state) == 2
    records.write_bytes(whole)
    assert benchmark.progress(tmp_path, step, state) == 16
