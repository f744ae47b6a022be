"""`srtctl results`: tables, CSV, JSON, rebuilding."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.params import SaBenchConfig
from srtctl.cli import main
from srtctl.plan.codec import to_json
from srtctl.plan.model import Census, Plan, Rank, Worker

from .conftest import Writer

DATA = Path(__file__).parent.parent / "data" / "aiperf"


@pytest.fixture
def sweep(writer: Writer) -> Writer:
    writer.allocation({"phase": "done", "outcome": "failed", "reason": "decode0 died"})
    writer.point(
        overrides=("a=1",),
        state="ok",
        rows=[{"mode": "1P1D", "gpus": 2, "overrides": ["a=1"]}, {"mode": "1P1D", "gpus": 2, "overrides": ["a=1"]}],
    )
    writer.point(overrides=("a=2",), state="failed", reason="decode0 died")
    writer.point(overrides=("a=3",))
    return writer


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(["results", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_every_point_has_a_row(sweep: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--json")
    rows = json.loads(out)["rows"]
    assert [(r["point"], r.get("measurement"), r["state"]) for r in rows] == [
        (0, "c0004", "ok"), (0, "c0004", "ok"), (1, None, "failed"), (2, None, "not_run"),
    ]  # fmt: skip
    assert rows[2]["reason"] == "decode0 died"
    assert rows[3]["mode"] == "1P1D"
    assert code == 1


def test_table(sweep: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    lines = out.splitlines()
    assert lines[0].split() == (
        "point a= mode GPUs ISL OSL conc done failed missing TTFT p50 ms out tok/s state".split()
    )  # only columns that hold something
    assert lines[1].split() == ["0", "1", "1P1D", "2", "4", "40", "0", "0", "12.35", "2346", "ok"]
    assert lines[3].split()[0] == "1"
    assert lines[3].split()[-1] == "failed"
    assert "point 1: decode0 died" in out
    assert code == 1


def test_points_are_told_apart_by_what_was_swept(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"phase": "done", "outcome": "ok"})
    for speed, mode, isl in (("1", "agg", 64), ("2", "h200-agg-tp8", 128)):
        overrides = [f"sweep.speed={speed}", f"mode={mode}", f"benchmark.isl={isl}", "name=x"]
        writer.point(overrides=tuple(overrides), state="ok", rows=[{"overrides": overrides, "mode": "1A", "isl": isl}])
    lines = [line.split()[:5] for line in run(capsys)[1].splitlines()[:3]]
    assert lines == [
        ["point", "speed=", "mode=", "mode", "ISL"],
        ["0", "1", "agg", "1A", "64"],
        ["1", "2", "h200-agg-tp8", "1A", "128"],
    ]
    assert "speed=" not in run(capsys, "--csv")[1].splitlines()[0]


def test_good_sweeps_end_with_0(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"phase": "done", "outcome": "ok"})
    writer.point(state="ok", rows=[{}])
    assert run(capsys)[0] == 0


def test_invalid_measurements_are_marked_and_told(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"phase": "done", "outcome": "failed"})
    errors = [{"what": "503 busy", "count": 3}]
    bad = {"valid": False, "requests_failed": 3, "errors": errors, "concurrency": 8, "measurement": "c0008"}
    writer.point(state="invalid", rows=[{}, bad])
    code, out, _ = run(capsys)
    assert code == 1
    assert [line.split()[-1] for line in out.splitlines()[1:3]] == ["ok", "invalid"]
    assert "point 0 c0008: 3 x 503 busy" in out


def test_csv_has_every_field_and_full_precision(sweep: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 4
    assert (rows[0]["output_tok_s"], rows[0]["valid"], rows[0]["errors"]) == ("2345.6", "true", "[]")
    assert rows[3]["state"] == "not_run"
    assert json.loads(rows[2]["overrides"]) == ["a=2"]


def test_columns(sweep: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--columns", "point,ttft_p50_ms")[1].splitlines()[0].split() == "point TTFT p50 ms".split()
    assert "overrides" in run(capsys, "--columns", "+overrides")[1].splitlines()[0]
    assert run(capsys, "--csv", "--columns", "point,state")[1] == "point,state\n0,ok\n0,ok\n1,failed\n2,not_run\n"
    code, _, err = run(capsys, "--columns", "tftt_p50_ms")
    assert code == 2
    assert "did you mean ttft_p50_ms?" in err


def test_numbers_of_a_custom_benchmark_are_columns(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"phase": "done", "outcome": "ok"})
    writer.point(state="ok", rows=[{"answer": 42}])
    assert "answer" in run(capsys)[1].splitlines()[0]


def test_fields(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--fields")
    assert code == 0
    assert "interactivity_p50" in out
    assert {"name", "unit", "meaning", "group"} == set(json.loads(run(capsys, "--fields", "--json")[1])[0])


def with_raw_files(writer: Writer, **result: Any) -> None:
    """A point whose client's files are the recorded ones."""
    writer.allocation({"phase": "done", "outcome": "ok"})
    workers = (Worker("prefill", 0, (Rank(0, (0,)),)), Worker("decode", 0, (Rank(0, (1,)),)))
    plan = Plan(
        name="quick", deployment_id="dep", backend="mocker", frontend="dynamo", model="tiny", slots=(), workers=workers,
        processes=(), ports=(), census=Census("none", (), {}, "tiny"), endpoint="e", public_port="p",
        denominators={"prefill": 1, "decode": 1, "aggregated": 0, "all": 2},
    )  # fmt: skip
    writer.directory.allocation(0).plan.write_text(to_json(plan))
    index = writer.point(**result)
    params = SaBenchConfig(isl=64, osl=12, concurrencies=[2], num_prompts_mult=8)
    steps = BENCHMARKS["sa-bench"].steps(params, ClientContext("h:1", "tiny", "/t"))
    point = writer.directory.point(index)
    point.steps.write_text(to_json(steps))
    shutil.copytree(DATA / "good", point.attempt(0).measurement("c0002"))


def test_rebuild_makes_the_rows_from_the_raw_files(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    census = [{"id": "V10", "rule": "", "ok": True, "evidence": ""}]
    with_raw_files(writer, state="ok", rows=[{"measurement": "c0002", "output_tok_s": -1.0, "validity": census}])
    before = writer.directory.point(0).attempt(0).result.read_text()
    (row,) = json.loads(run(capsys, "--rebuild", "--json")[1])["rows"]
    assert row["requests_completed"] == 16
    assert row["output_tok_s"] > 100
    assert (row["sweep"], row["point"], row["attempt"], row["gpus"]) == ("20260101-120000-aaaaaa", 0, 0, 2)
    assert [v["ok"] for v in row["validity"] if v["id"] == "V10"] == [True]  # no raw file tells: kept
    assert writer.directory.point(0).attempt(0).result.read_text() == before


def test_rebuild_finds_what_a_lost_run_had_measured(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    with_raw_files(writer, state="failed", reason="lost", rows=[])
    writer.directory.point(0).attempt(0).result.unlink()
    code, out, _ = run(capsys, "--rebuild", "--json")
    (row,) = json.loads(out)["rows"]
    assert row["requests_completed"] == 16
    assert row["state"] == "not_run"
    assert code == 1


def test_rebuild_tells_what_it_can_not_read(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    with_raw_files(writer, state="ok", rows=[{"measurement": "c0002"}])
    (writer.directory.point(0).attempt(0).measurement("c0002") / "aiperf/profile_export.jsonl").write_text("{")
    assert "profile_export.jsonl:1" in run(capsys, "--rebuild")[2]
