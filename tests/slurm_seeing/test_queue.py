"""squeue's and sacct's texts as recorded, how often they are asked for, and what is said about them."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srtctl.cli import main
from srtctl.report.groups import process_text
from srtctl.results.slurmjob import Evidence, judge
from srtctl.results.state import read_state
from srtctl.rundir import SweepDir
from srtctl.slurm import queue
from srtctl.slurm.history import parse_history
from srtctl.slurm.queue import Job, duration_s, ended_text, moment, parse_queue, span_text, waiting_text
from srtctl.slurm.reasons import ENDS, REASONS, end_of, reason_of
from srtctl.slurm.view import JobView

S = "\x1f"
# As Slurm 22.05.8 says it with the fields that are asked for.
RECORDED = "\n".join(
    S.join(parts)
    for parts in (
        ("12", "COMPLETED", "None", "2026-11-23T19:15:09", "364-23:59:57", "n3", "2026-11-23T19:15:08", "batch",
         "/data/out/weird |,x/20260101-120000-aaaaaa/allocations/0000"),
        ("6", "PENDING", "BeginTime", "2026-11-23T19:15:19", "10:00", "", "2026-11-23T19:15:08", "batch,long", "/w"),
        ("9", "PENDING", "DependencyNeverSatisfied", "N/A", "UNLIMITED", "", "2026-11-23T19:15:08", "batch", "/w"),
        ("10+0", "RUNNING", "None", "2026-11-23T19:15:09", "59:01", "n1", "2026-11-23T19:15:08", "batch", "/w"),
        ("10+1", "RUNNING", "None", "2026-11-23T19:15:09", "59:01", "n2", "2026-11-23T19:15:08", "batch", "/w"),
    )
)  # fmt: skip


def test_the_queue_as_recorded() -> None:
    jobs = parse_queue(f"CLUSTER: testcluster\n{RECORDED}\n")
    assert list(jobs) == ["12", "6", "9", "10"]
    assert jobs["12"].ended
    assert jobs["12"].is_for(Path("/other/mount/20260101-120000-aaaaaa/allocations/0000"))
    assert not jobs["12"].is_for(Path("/data/out/x/20260101-120000-aaaaaa/allocations/0001"))
    assert jobs["10"].nodes == "n1,n2"  # of both components
    assert jobs["6"].waits
    assert jobs["6"].nodes == ""
    assert jobs["9"].start is None
    assert jobs["10"].time_left_s == 59 * 60 + 1
    local = datetime.datetime(2026, 11, 23, 19, 15, 9).astimezone()
    assert jobs["10"].start == local.timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1-02:03:04", 93784), ("02:03", 123), ("5", 5), ("-00:30", 0), ("UNLIMITED", None), ("N/A", None), ("x", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert duration_s(text) == seconds


def test_moments_that_are_none() -> None:
    assert moment("N/A") is moment("soon") is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(50, "50 s"), (240, "4 min"), (7500, "2 h 5 min"), (2 * 86400 + 10900, "2 d 3 h")]
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_accounting_as_recorded() -> None:
    # JobID,State,ExitCode,NodeList,Start,Submit,Partition,WorkDir; the second run of a job that was put back counts
    text = (
        "7|REQUEUED|0:0|n1|2026-11-23T19:00:00|2026-11-23T18:00:00|batch|/w\n"
        "7|CANCELLED by 1000|0:15|n[1-2]|2026-11-23T19:15:09|2026-11-23T18:00:00|batch|/w|with bar\n"
        "8+0|FAILED|0:9|n1|2026-11-23T19:15:09|2026-11-23T18:00:00|batch|/w\n"
        "8+1|COMPLETED|0:0|n2|2026-11-23T19:15:09|2026-11-23T18:00:00|batch|/w\n"
        "9|NODE_FAIL|1:0|n4|2026-11-23T19:15:09\n"
    )
    jobs = parse_history(text)
    assert (jobs["7"].state, jobs["7"].work_dir) == ("CANCELLED", "/w|with bar")
    assert "signal 9" in ended_text(jobs["8"])
    assert "a node of it failed on n4" in ended_text(jobs["9"])


# ---- words


def test_every_reason_is_found_by_its_own_word() -> None:
    for reason in REASONS:
        word = reason.pattern.partition("|")[0].replace("(Max|Grp).*", "MaxJobsPerUserLimit").replace(".*", "X")
        if word.isalnum():
            assert reason_of(word).words == reason.words or reason_of(word).pattern == word


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("QOSMaxJobsPerUserLimit", "quality of service is reached"),
        ("QOSGrpGRES", "quality of service is reached"),
        ("QOSMinGRES", "asks for less"),
        ("AssocGrpGRES", "limit of its account"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "down, drained or reserved"),
        ("(Resources)", "enough nodes are free"),
        ("SomethingNew", "Slurm says 'SomethingNew'"),
    ],
)
def test_reasons_in_words(word: str, said: str) -> None:
    assert said in waiting_text(Job("5", "PENDING", word), 0.0)


def test_one_that_never_starts_has_no_estimate() -> None:
    assert "expected" not in waiting_text(Job("5", "PENDING", "JobHeldUser", start=100.0), 0.0)
    assert "expected to start in 1 min" in waiting_text(Job("5", "PENDING", "Priority", start=100.0), 0.0)


def known(job: Job | None, status: dict[str, Any] | None = None, **more: Any) -> Evidence:
    usual: dict[str, Any] = {
        "now": 1000.0, "job_id": "5", "answered_at": 999.5, "silent": "", "stop_asked": False,
        "submitted_at": 0.0, "log": "x.log",
        "sweep_id": "S1",
    }  # fmt: skip
    return Evidence(job=job, status=status or {}, **(usual | more))


MEASURING = {"phase": "measuring", "updated_at": 999.0}
DONE = {"phase": "done", "outcome": "failed", "updated_at": 900.0}


@pytest.mark.parametrize(
    ("state", "status", "expected", "said"),
    [
        ("TIMEOUT", MEASURING, "failed", "time limit was over"),
        ("OUT_OF_MEMORY", MEASURING, "failed", "more memory"),
        ("PREEMPTED", MEASURING, "failed", "a job with more rights"),
        ("NODE_FAIL", {}, "failed", "a node of it failed"),
        ("DEADLINE", {}, "failed", "deadline"),
        ("CANCELLED", {}, "cancelled", "through Slurm"),
        ("FAILED", MEASURING, "lost", "FAILED"),
        ("COMPLETED", MEASURING, "lost", "without a word"),
        ("FAILED", {}, "failed", "before the run began"),
        ("SOMETHING_NEW", MEASURING, "lost", "SOMETHING_NEW"),
        ("COMPLETED", DONE, "failed", ""),
        ("RUNNING", MEASURING, "running", "on n1"),
        ("COMPLETING", MEASURING, "running", "on n1"),
        ("CONFIGURING", {}, "running", "configuring"),
        ("RUNNING", {"phase": "measuring", "updated_at": 900.0}, "unknown", "no sign of life for 1 min"),
        ("PENDING", DONE, "queued", "put back"),
        ("PENDING", {}, "queued", "enough nodes"),
    ],
)
def test_a_job_of_that_state_is(state: str, status: dict[str, Any], expected: str, said: str) -> None:
    verdict = judge(known(Job("5", state, "Resources", nodes="n1", start=10.0), status))
    assert verdict.state == expected
    assert said in verdict.detail


def test_the_status_of_an_earlier_run_does_not_count() -> None:
    verdict = judge(known(Job("5", "RUNNING", start=990.0, nodes="n1"), DONE))
    assert verdict.state == "running"
    assert verdict.earlier


def test_a_job_that_began_since_slurm_was_asked_runs() -> None:
    waiting = Job("5", "PENDING", "Priority")
    assert judge(known(waiting, {**MEASURING, "host": "n1"}, answered_at=990.0)).state == "running"
    assert judge(known(waiting, DONE, answered_at=890.0)).state == "failed"
    assert judge(known(waiting, MEASURING, answered_at=999.5)).state == "queued"


def test_a_finished_run_whose_job_is_still_being_cleared_away_has_finished() -> None:
    assert judge(known(Job("5", "COMPLETING", start=10.0), DONE)).state == "failed"


@pytest.mark.parametrize(
    ("status", "more", "expected"),
    [
        (MEASURING, {}, "unknown"),
        ({"phase": "measuring", "updated_at": 900.0}, {}, "lost"),
        ({}, {"submitted_at": 990.0}, "queued"),
        ({}, {}, "lost"),
        ({}, {"stop_asked": True}, "cancelled"),
        (DONE, {}, "failed"),
        (MEASURING, {"silent": "no answer"}, "running"),
        ({"phase": "measuring", "updated_at": 900.0}, {"silent": "no answer"}, "unknown"),
        ({}, {"silent": "no answer"}, "unknown"),
    ],
)
def test_a_job_that_slurm_does_not_show_is(status: dict[str, Any], more: dict[str, Any], expected: str) -> None:
    assert judge(known(None, status, **more)).state == expected


def test_every_end_has_an_outcome_that_is_known() -> None:
    assert {end.outcome for end in ENDS} == {"lost", "failed", "cancelled"}
    assert end_of("CANCELLED by 0").outcome == "cancelled"


# ---- how often Slurm is asked


def a_sweep(directory: Path, count: int, jobs_from: int = 1000) -> tuple[SweepDir, str]:
    """A sweep of `count` allocations, one job each, of which the first three run; and what squeue says."""
    sweep = SweepDir(directory / "many" / "20260101-120000-bbbbbb")
    sweep.path.mkdir(parents=True)
    now = time.time()
    points, allocations, lines = [], [], []
    for i in range(count):
        here = sweep.allocation(i)
        here.path.mkdir(parents=True)
        points.append({"index": i, "dir": f"points/{i:04d}", "overrides": [f"a={i}"], "allocation": i})
        allocations.append({"index": i, "dir": f"allocations/{i:04d}", "executor": "slurm", "intent_at": now,
                            "submitted_at": now, "job_id": str(jobs_from + i), "refused": None})  # fmt: skip
        start = (
            datetime.datetime.fromtimestamp(now + 7260 + 60 * i, datetime.timezone.utc)
            .astimezone()
            .strftime("%Y-%m-%dT%H:%M:%S")
        )
        runs = i < 3
        if runs:
            attempt = here.attempt(0)
            attempt.path.mkdir()
            status = {"phase": "measuring", "updated_at": now + 10**6, "processes": [], "points": []}
            attempt.status.write_text(json.dumps(status))
        lines.append(S.join((str(jobs_from + i), "RUNNING" if runs else "PENDING", "None" if runs else "Priority",
                             "2026-01-01T12:00:00" if runs else start, "1:00:00", "n1" if runs else "",
                             "2026-01-01T12:00:00", "batch", str(here.path))))  # fmt: skip
    sweep.manifest.write_text(json.dumps({"name": "many", "points": points, "allocations": allocations}))
    return sweep, "\n".join(lines) + "\n"


def test_watching_500_jobs_asks_at_most_6_times_a_minute(tmp_path: Path, fake_squeue: Callable[..., Path]) -> None:
    sweep, text = a_sweep(tmp_path, 500)
    forgotten = "\n".join(text.splitlines()[:400]) + "\n"
    calls = fake_squeue(forgotten, "")  # a hundred jobs are unknown to the queue and to accounting
    clock = [0.0]
    view = JobView(clock=lambda: clock[0])
    per_minute = []
    for _ in range(3):
        before = len(calls.read_text().splitlines()) if calls.exists() else 0
        for _ in range(24):  # the live view looks more often; what counts is the clock
            read_state(sweep, view)
            clock[0] += 2.5
        per_minute.append(len(calls.read_text().splitlines()) - before)
    assert max(per_minute) <= 6
    assert min(per_minute) >= 3


def test_status_asks_squeue_once_whatever_there_is(
    tmp_path: Path,
    fake_squeue: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, text = a_sweep(tmp_path / "outputs", 300)
    calls = fake_squeue(text)
    monkeypatch.chdir(tmp_path)
    for words in (["status"], ["status", "--all"], ["status", "--json"]):
        calls.unlink(missing_ok=True)
        assert main(words) == 0
        asked = calls.read_text().splitlines()
        assert [line.split()[0] for line in asked] == ["squeue"]
        assert "--me" in asked[0]


def test_hundreds_are_grouped(
    tmp_path: Path,
    fake_squeue: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, text = a_sweep(tmp_path / "outputs", 300)
    fake_squeue(text)
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 20
    assert "297 allocations queued (jobs 1003-1299): jobs with a higher priority are before it" in said
    assert "the first is expected to start in 2 h" in said
    assert "3 allocations running (jobs 1000-1002)" in said
    assert "allocation 2: running, measuring, job 1002 on n1" in said


def test_many_processes_are_counted_by_role() -> None:
    few = [
        {"name": "etcd", "role": "etcd", "state": "STARTING"},
        {"name": "decode0", "role": "decode", "state": "READY"},
    ]
    assert process_text({"processes": few}) == "etcd starting"
    many = [{"name": f"decode{i}", "role": "decode", "state": "READY" if i < 3 else "STARTING"} for i in range(32)]
    assert process_text({"processes": [*many, *few[:1]]}) == "decode 3 of 32 ready, etcd 0 of 1 ready"


def test_without_slurm_here_a_finished_sweep_reads_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results that were copied to a laptop."""
    sweep, _ = a_sweep(tmp_path / "outputs", 3)
    for i in range(3):
        path = sweep.allocation(i).attempt(0).status
        path.write_text(json.dumps({"phase": "done", "outcome": "ok", "updated_at": 1.0}))
        result = sweep.point(i).attempt(0)
        result.path.mkdir(parents=True)
        result.result.write_text(json.dumps({"state": "ok", "rows": []}))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert ": ok (3 points: 3 ok)" in said
    assert "squeue" not in said


def test_the_fields_asked_for_are_the_fields_read() -> None:
    assert len(queue._FIELDS) == len(RECORDED.splitlines()[0].split(S))
