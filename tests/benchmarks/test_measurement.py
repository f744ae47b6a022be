"""One measurement from requests written by hand; every expected value is worked out in the comment beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from srtctl.benchmarks.measurement import Request, measure, step_started_at, summarise_errors

REQUESTS = [
    # 0 s to 2 s: first chunk after 100 ms, last after 1100 ms, 11 tokens: TPOT = 1000 / 10 = 100 ms
    Request(100.0, 102.0, 100.0, 1100.0, 50, 11, (400.0, 600.0), 1.0),
    # 1 s to 3 s: TPOT = (2000 - 200) / 9 = 200 ms
    Request(101.0, 103.0, 200.0, 2000.0, 70, 10, (1800.0,), 3.0),
    # one token: no TPOT
    Request(102.0, 104.0, 300.0, 300.0, 60, 1, (), 5.0),
]


def test_figures_by_hand() -> None:
    found = measure("c0002", REQUESTS, {"requests": 3})
    assert found["duration_s"] == 4.0  # 104 - 100
    assert (found["started_at"], found["ended_at"]) == (100.0, 104.0)
    assert found["ttft_mean_ms"] == 200.0
    assert found["ttft_p50_ms"] == 200.0
    assert found["tpot_mean_ms"] == 150.0  # of 100 and 200; the request of one token has none
    assert found["tpot_max_ms"] == 200.0
    assert found["chunk_gap_mean_ms"] == pytest.approx(2800 / 3)  # 400, 600, 1800 pooled
    assert found["e2el_max_ms"] == 2000.0
    assert found["requests_s"] == 0.75
    assert found["input_tok_s"] == 45.0  # 180 / 4
    assert found["output_tok_s"] == 5.5  # 22 / 4
    assert found["total_tok_s"] == 50.5
    assert found["concurrency_mean"] == pytest.approx(0.85)  # (1.1 + 2.0 + 0.3) / 4
    assert (found["isl_mean"], found["isl_p50"]) == (60.0, 60.0)
    assert (found["osl_mean"], found["osl_p50"]) == (pytest.approx(22 / 3), 10.0)
    assert found["user_tok_s_e2e_p50"] == 5.0  # 10, 5, 3.33
    assert found["client_lag_p99_ms"] == pytest.approx(4.96)
    assert (found["requests_completed"], found["requests_failed"], found["requests_missing"]) == (3, 0, 0)


def test_failed_requests_count_for_nothing_but_time() -> None:
    failed = Request(100.0, 108.0, error="503 Service Unavailable: busy")
    found = measure("m", [*REQUESTS, failed], {"requests": 6})
    assert (found["requests_completed"], found["requests_failed"], found["requests_missing"]) == (3, 1, 2)
    assert found["duration_s"] == 8.0
    assert found["ttft_mean_ms"] == 200.0
    assert found["output_tok_s"] == 2.75
    assert found["errors"] == [{"what": "503 Service Unavailable: busy", "count": 1}]


@pytest.mark.parametrize(
    ("limits", "within"),
    [
        ({"slo_ttft_ms": 200}, 2),
        ({"slo_ttft_ms": 199.9}, 1),
        ({"slo_tpot_ms": 100}, 2),  # the one-token request counts as 0
        ({"slo_e2el_ms": 1100}, 2),
        ({"slo_ttft_ms": 250, "slo_tpot_ms": 150}, 1),
        ({"slo_ttft_ms": 50}, 0),
    ],
)
def test_goodput(limits: dict[str, float], within: int) -> None:
    found = measure("m", REQUESTS, {"requests": 4, **limits})
    assert found["requests_in_slo"] == within
    assert found["goodput_requests_s"] == within / 4.0
    assert found["slo_attainment"] == within / 4  # of those expected, the missing one included


def test_no_limits_no_goodput() -> None:
    assert measure("m", REQUESTS, {})["goodput_requests_s"] is None


def test_nothing_completed() -> None:
    found = measure("m", [], {"requests": 5})
    assert found["requests_missing"] == 5
    assert found["ttft_p50_ms"] is None
    assert found["output_tok_s"] is None


def test_errors_that_differ_by_a_clock_are_one() -> None:
    assert summarise_errors(["at 1188938477463: dead", "at 1189178188229: dead", "other"]) == [
        {"what": "at …: dead", "count": 2},
        {"what": "other", "count": 1},
    ]


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"started_at": null}'])
def test_no_step_record_no_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "step.json").write_text(content)
    assert step_started_at(tmp_path) is None
