"""The state of a sweep from its files: what runs, what has ended, what is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from srtctl.report.snapshot import status_lines
from srtctl.report.tables import remarks
from srtctl.results.state import as_json, read_state, time_left_s

from .conftest import Writer


def live(state: str, index: int = 0, **changes: Any) -> dict[str, Any]:
    return {"dir": f"points/{index:04d}", "state": state, "measurement": None, **changes}


def test_running(writer: Writer, somebody: Any) -> None:
    _, whose = somebody()
    writer.allocation({**whose, "points": [live("running", 0, measurement="c0004"), live("pending", 1)]})
    writer.point()
    writer.point()
    found = read_state(writer.directory)
    assert (found.state, found.active, found.good) == ("running", True, False)
    assert [point.state for point in found.points] == ["running", "pending"]


@pytest.mark.parametrize("key", ["pid_start", "boot_id"])
def test_a_pid_that_is_somebody_elses_now_is_lost(writer: Writer, somebody: Any, key: str) -> None:
    _, whose = somebody()
    writer.allocation({**whose, key: 1 if key == "pid_start" else "another boot", "points": [live("running")]})
    writer.point()
    found = read_state(writer.directory)
    assert (found.state, found.active) == ("lost", False)
    assert found.points[0].state == "lost"


def test_what_a_lost_run_had_measured_counts(writer: Writer) -> None:
    writer.allocation({"points": [live("ok", 0), live("running", 1), live("pending", 2)]})
    writer.point(state="ok", rows=[{}])
    writer.point()
    writer.point()
    found = read_state(writer.directory)
    assert [point.state for point in found.points] == ["ok", "lost", "not_run"]
    assert found.state == "lost"


def test_another_machine(writer: Writer) -> None:
    writer.allocation({"host": "elsewhere", "points": [live("running")]})
    writer.point()
    assert read_state(writer.directory).state == "running"


def test_another_machine_long_silent(writer: Writer) -> None:
    writer.allocation({"host": "elsewhere", "updated_at": time.time() - 3600, "points": [live("running")]})
    writer.point()
    assert read_state(writer.directory).state == "unknown"


@pytest.mark.parametrize(("outcome", "state"), [("ok", "ok"), ("failed", "failed"), ("cancelled", "cancelled")])
def test_ended(writer: Writer, outcome: str, state: str) -> None:
    writer.allocation({"phase": "done", "outcome": outcome, "points": [live(state)]})
    writer.point(state=state)
    found = read_state(writer.directory)
    assert (found.state, found.active, found.good) == (state, False, state == "ok")


def test_points_of_a_failed_run_without_result_were_not_run(writer: Writer) -> None:
    writer.allocation(
        {"phase": "done", "outcome": "failed", "reason": "etcd died", "points": [live("failed", 0), live("not_run", 1)]}
    )
    writer.point(state="failed", reason="etcd died")
    writer.point()
    found = read_state(writer.directory)
    assert [(p.state, p.reason) for p in found.points] == [("failed", "etcd died"), ("not_run", "etcd died")]


def test_before_it_begins(writer: Writer, somebody: Any) -> None:
    process, _ = somebody()
    writer.allocation(job_id=str(process.pid))
    writer.allocation(intent_at=None, submitted_at=None)
    writer.point(0)
    writer.point(1)
    found = read_state(writer.directory)
    assert [a.state for a in found.allocations] == ["queued", "not_submitted"]
    assert [p.state for p in found.points] == ["queued", "not_submitted"]
    assert found.active


def test_a_local_run_that_never_began_is_lost(writer: Writer) -> None:
    writer.allocation(job_id=str(2**22 + 1))
    writer.point()
    found = read_state(writer.directory)
    assert (found.state, found.active) == ("lost", False)


def test_a_submission_that_was_interrupted(writer: Writer) -> None:
    writer.allocation(intent_at=time.time() - 3600, submitted_at=None)
    writer.point()
    assert read_state(writer.directory).state == "not_submitted"


def test_the_last_good_attempt_is_the_result(writer: Writer) -> None:
    writer.allocation({"phase": "done", "outcome": "failed"})
    writer.point(state="failed")
    writer.result(0, 1, state="ok", rows=[{"concurrency": 1}])
    writer.result(0, 2, state="invalid", rows=[{"concurrency": 2}])
    writer.result(0, 10, state="failed", rows=[])
    found = read_state(writer.directory)
    assert found.points[0].state == "ok"
    assert found.points[0].rows[0]["concurrency"] == 1


def test_damaged_files_do_not_hide_the_rest(writer: Writer) -> None:
    writer.allocation({})
    writer.point(state="ok", rows=[{}])
    writer.point(state="ok", rows=[{}])
    writer.directory.allocation(0).attempt(0).status.write_text("{")
    writer.directory.point(1).attempt(0).result.write_text("{")
    found = read_state(writer.directory)
    assert found.points[0].state == "ok"
    assert found.points[1].state != "ok"


def test_what_distinguishes_points(writer: Writer) -> None:
    writer.allocation({})
    writer.point(overrides=("a=1", "launcher.wait=true"))
    writer.point(overrides=("a=2", "launcher.wait=true"))
    assert [p.differs_in for p in read_state(writer.directory).points] == [("a=1",), ("a=2",)]


@pytest.mark.parametrize(
    ("done", "expected", "rate", "left"),
    [(10, 50, 4.0, 10.0), (60, 50, 4.0, 0.0), (None, 50, 4.0, None), (10, None, 4.0, None), (10, 50, 0.0, None)],
)
def test_time_left(done: int | None, expected: int | None, rate: float, left: float | None) -> None:
    assert time_left_s({"done_requests": done, "expected_requests": expected, "rate_per_s": rate}) == left


def test_json(writer: Writer, somebody: Any) -> None:
    _, whose = somebody()
    progress = {"measurement": "c0004", "done_requests": 10, "expected_requests": 50, "rate_per_s": 4.0}
    writer.allocation({**whose, "points": [live("running", **progress)]})
    writer.point()
    found = as_json(read_state(writer.directory))
    assert found["state"] == "running"
    assert found["points"][0]["progress"]["time_left_s"] == 10.0
    assert found["allocations"][0]["status"]["phase"] == "measuring"


def test_what_a_resumed_sweep_does_not_ask_for_any_more_is_no_failure(writer: Writer) -> None:
    writer.allocation({"phase": "done", "outcome": "ok"})
    writer.point(state="ok")
    writer.point()
    writer.manifest["points"][1]["withdrawn"] = True
    writer.save()
    found = read_state(writer.directory)
    assert [point.state for point in found.points] == ["ok", "withdrawn"]
    assert found.good
    assert found.state == "ok"


def test_a_refused_submission_says_why(writer: Writer) -> None:
    writer.allocation(refused="invalid partition", job_id=None)
    writer.point()
    found = read_state(writer.directory)
    assert found.allocations[0].state == "not_submitted"
    assert "invalid partition" in found.points[0].reason
    assert not found.active


def test_after_a_resume_the_former_allocation_is_past(writer: Writer) -> None:
    """Neither its state nor its points' reasons are shown any more; rows that it left stay."""
    writer.allocation({"phase": "done", "outcome": "failed", "reason": "etcd died", "points": [live("failed")]})
    writer.allocation({"phase": "done", "outcome": "failed", "reason": "nats died", "points": [live("not_run")]})
    writer.result(writer.point(1), 0, state="failed", reason="etcd died", allocation=0, rows=[{}])
    found = read_state(writer.directory)
    assert [(p.state, p.reason, len(p.rows)) for p in found.points] == [("not_run", "nats died", 1)]
    text = "\n".join([*status_lines(found), *remarks(found, found.points[0].rows)])
    assert "etcd died" not in text and "nats died" in text
    assert "allocation 0: failed; its points were handed over again since" in text


def test_a_former_allocation_does_not_make_a_sweep_lost(writer: Writer) -> None:
    writer.allocation({"points": [live("running")]})  # its process is gone
    writer.allocation({"phase": "done", "outcome": "failed", "points": [live("failed")]})
    writer.result(writer.point(1), 0, state="failed", reason="the client failed", allocation=1)
    found = read_state(writer.directory)
    assert ([a.state for a in found.allocations], found.state) == (["lost", "failed"], "failed")


def test_a_run_that_slurm_has_begun_again_counts_in_place_of_the_first(writer: Writer) -> None:
    """The same allocation: its first run was cut, its second one came to nothing."""
    writer.allocation({"phase": "done", "outcome": "failed", "reason": "nats died", "points": [live("not_run")]})
    writer.result(writer.point(0), 0, state="cancelled", reason="stopped by SIGTERM", allocation=0)
    assert [(p.state, p.reason) for p in read_state(writer.directory).points] == [("not_run", "nats died")]
