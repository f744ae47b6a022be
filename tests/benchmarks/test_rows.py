"""Rows: every field, every denominator, every verdict."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.rows import ROW_FIELDS, complete_rows, denominators
from srtctl.plan.model import Census, Plan, PointSteps, Rank, Step, Worker

ROOT = Path(__file__).parents[2]
MEASUREMENT = {
    "requests_expected": 1000, "requests_completed": 1000, "requests_failed": 0, "requests_missing": 0,
    "duration_s": 100.0, "input_tok_s": 600.0, "output_tok_s": 240.0, "total_tok_s": 840.0,
    "tpot_p50_ms": 20.0, "tpot_p99_ms": 40.0, "isl_mean": 921.6, "osl_mean": 115.0,
    "client": {"name": "aiperf", "version": "0.13.0"},
}  # fmt: skip
SETTINGS = {"concurrency": 8, "req_rate": "inf", "isl": 1024, "osl": 128, "random_range_ratio": 0.8, "requests": 1000}


def a_plan(**gpus: int) -> Plan:
    workers = (Worker("prefill", 0, (Rank(0, (0,)),)), Worker("decode", 0, (Rank(0, (1,)),)))
    counts = {"prefill": 0, "decode": 0, "aggregated": 0, **gpus}
    return Plan(
        name="job", deployment_id="dep", backend="mocker", frontend="dynamo", model="tiny", slots=(), workers=workers,
        processes=(), ports=(), census=Census("none", (), {}, "tiny"), endpoint="e", public_port="p",
        denominators={**counts, "all": sum(counts.values())}, provenance={"dynamo": "1.6.1"},
    )  # fmt: skip


def a_row(
    census: dict[str, bool] | None = None, settings: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    step = Step("c0008", "sa-bench", settings={**SETTINGS, **(settings or {})})
    point = PointSteps("cfg", "sa-bench", (step,))
    identity = {"sweep": "s1", "point": 3, "overrides": ["a=1"]}
    plan = a_plan(prefill=2, decode=4)
    (row,) = complete_rows(
        [{**MEASUREMENT, **changes}], plan=plan, point=point, step=step, identity=identity, census=census
    )
    return row


def verdict(row: dict[str, Any], number: str) -> bool | None:
    (found,) = [v for v in row["validity"] if v["id"] == number]
    assert found["evidence"]
    return found["ok"]


def test_every_row_has_every_field_and_no_other() -> None:
    row = a_row()
    assert set(row) == {field.name for field in ROW_FIELDS}
    json.dumps(row, allow_nan=False)


def test_numbers_of_a_custom_benchmark_stand_in_the_row_but_hide_no_field() -> None:
    row = a_row(custom={"accuracy": 0.9, "valid": 0, "gpus": 99})
    assert row["accuracy"] == 0.9
    assert (row["valid"], row["gpus"]) == (True, 6)


def test_field_names_are_unique_and_documented() -> None:
    names = [field.name for field in ROW_FIELDS]
    assert len(set(names)) == len(names)
    assert all(field.meaning for field in ROW_FIELDS)
    assert all(field.unit for field in ROW_FIELDS if field.name.endswith(("_ms", "_s", "_gpu")))


def test_identity_and_provenance() -> None:
    row = a_row()
    assert (row["sweep"], row["point"], row["config_id"], row["deployment_id"]) == ("s1", 3, "cfg", "dep")
    assert (row["benchmark"], row["measurement"], row["mode"]) == ("sa-bench", "c0008", "1P1D")
    assert row["provenance"] == {"model": "tiny", "backend": "mocker", "frontend": "dynamo", "dynamo": "1.6.1"}


@pytest.mark.parametrize(
    ("prefill", "decode", "aggregated", "expected"),
    [
        # 840 total, 240 output, 600 input tokens a second
        (2, 4, 0, (140.0, 40.0, 60.0, 300.0)),
        (0, 0, 8, (105.0, 30.0, 30.0, 75.0)),  # aggregated: every GPU does both
        (6, 0, 0, (140.0, 40.0, 40.0, 100.0)),  # no decode GPUs of their own
        (0, 0, 0, (None, None, None, None)),
    ],
)
def test_denominators(prefill: int, decode: int, aggregated: int, expected: tuple[float | None, ...]) -> None:
    total = prefill + decode + aggregated
    counts = {"prefill_gpus": prefill, "decode_gpus": decode, "aggregated_gpus": aggregated, "gpus": total}
    found = denominators(MEASUREMENT, **counts)
    names = (
        "total_tok_s_per_gpu", "output_tok_s_per_gpu_all", "output_tok_s_per_decode_gpu", "input_tok_s_per_prefill_gpu",
    )  # fmt: skip
    assert tuple(found[name] for name in names) == expected


def test_interactivity() -> None:
    row = a_row()
    assert (row["interactivity_p50"], row["interactivity_p99"]) == (50.0, 25.0)
    assert a_row(tpot_p50_ms=0.0)["interactivity_p50"] is None
    assert a_row(tpot_p50_ms=None)["interactivity_p50"] is None


@pytest.mark.parametrize(
    ("number", "changes", "ok"),
    [
        ("V1", {}, True),
        ("V1", {"requests_failed": 1}, True),  # 0.1 % of 1000
        ("V1", {"requests_failed": 2}, False),
        ("V1", {"requests_expected": 0}, None),
        ("V2", {}, True),
        ("V2", {"requests_missing": 1}, False),
        ("V3", {}, True),
        ("V3", {"osl_mean": 106.0}, False),  # 115 wanted, 0.7 by chance
        ("V3", {"osl_mean": None}, None),
        ("V4", {}, True),
        ("V4", {"isl_mean": 1024.0}, False),
        ("V5", {}, True),
        ("V5", {"requests_completed": 99}, False),
        ("V5.p99", {}, True),
        ("V5.p99", {"requests_completed": 999}, False),
        ("V6", {}, True),
        ("V6", {"duration_s": 59.9}, False),
        ("V10", {}, None),
    ],
)
def test_verdicts(number: str, changes: dict[str, Any], ok: bool | None) -> None:
    assert verdict(a_row(**changes), number) is ok


def test_requests_follow_the_concurrency() -> None:
    assert verdict(a_row(settings={"concurrency": 200}), "V5") is False


def test_lengths_that_the_model_chose_are_not_judged() -> None:
    assert verdict(a_row(settings={"ignore_eos": False}, osl_mean=3.0), "V3") is None


def test_a_score_is_not_judged_by_how_long_it_took() -> None:
    row = a_row(score_name="accuracy", score=0.5, duration_s=1.0, requests_completed=10, requests_expected=10)
    assert [verdict(row, number) for number in ("V5", "V5.p99", "V6")] == [None, None, None]
    assert verdict(row, "V1") is True


@pytest.mark.parametrize(
    ("census", "ok"), [({"start": True, "end": True}, True), ({"start": True, "end": False}, False)]
)
def test_census(census: dict[str, bool], ok: bool) -> None:
    row = a_row(census=census)
    assert verdict(row, "V10") is ok
    assert row["valid"] is ok


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"duration_s": 1.0}, True),  # short, and said so, but not wrong
        ({"requests_failed": 1}, False),  # one is enough, whatever V1 allows
        ({"requests_missing": 1}, False),
        ({"requests_completed": 0}, False),
    ],
)
def test_valid(changes: dict[str, Any], valid: bool) -> None:
    assert a_row(**changes)["valid"] is valid


def test_parsers_and_rows_need_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from srtctl.benchmarks import BENCHMARKS, rows\n"
        "bad = {'yaml', 'omegaconf', 'hydra', 'rich', 'jinja2', 'submitit'} & set(sys.modules)\n"
        "assert not bad, bad\n"
        "print(sorted(BENCHMARKS))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(sorted(BENCHMARKS))
