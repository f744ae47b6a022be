"""`srtctl cancel` on real jobs."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from collections.abc import Callable

import pytest

from srtctl.cli import cancel, main
from srtctl.rundir import LOCK
from tests.slurm.testcluster import Cluster

from .conftest import Jobs


def queued_jobs(jobs: Jobs) -> list[str]:
    return jobs.slurm(["squeue", "--me", "-h", "-o", "%i"]).split()


def test_what_runs_stops_in_order_and_what_waits_never_begins(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation("--exclusive", "-N4", stop_s=1)
    jobs.allocation("-N4")
    jobs.allocation("--hold")
    jobs.until_measuring()
    assert main(["cancel"]) == 0
    said = capsys.readouterr().out
    assert said.count(": cancelled") == 3
    assert (jobs.sweep.allocation(0).path / "told-0").exists()
    assert jobs.look().allocations[0].status["outcome"] == "cancelled"  # its own last word: it had time for it
    assert not jobs.sweep.allocation(1).attempts()
    assert queued_jobs(jobs) == []
    assert main(["cancel"]) == 0
    assert "has ended already: cancelled" in capsys.readouterr().out


def test_one_that_does_not_listen_is_ended_all_the_same(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation(deaf=True)
    jobs.until_measuring()
    assert main(["cancel", "--timeout", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stopped"] == {"0": "cancelled"}
    assert document["active"] is False
    assert queued_jobs(jobs) == []
    jobs.cluster.wait_clean()


def test_what_another_command_submits_meanwhile_is_stopped_too(jobs: Jobs) -> None:
    jobs.allocation()
    jobs.until_measuring()

    def submit_one_more() -> None:
        with (jobs.sweep.path / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            holding.set()
            time.sleep(2)
            jobs.allocation()

    holding = threading.Event()
    other = threading.Thread(target=submit_one_more)
    other.start()
    holding.wait()
    assert main(["cancel"]) == 0
    other.join()
    assert [a.state for a in jobs.look().allocations] == ["cancelled", "cancelled"]
    assert queued_jobs(jobs) == []


def test_one_that_was_put_back_is_taken_out_of_the_queue(jobs: Jobs) -> None:
    job = jobs.allocation("--requeue")
    jobs.until_measuring()
    jobs.slurm(["scontrol", "requeuehold", job])
    jobs.until(lambda: jobs.state() == "queued", "it waits again")
    assert main(["cancel"]) == 0
    assert jobs.state() == "cancelled"
    assert queued_jobs(jobs) == []


def test_an_orchestrator_that_was_killed_needs_no_cancel(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation()
    jobs.until_measuring()
    (jobs.sweep.allocation(0).path / "crash").touch()
    jobs.until(lambda: jobs.state() == "lost", "it is lost")
    assert main(["cancel"]) == 0
    assert "has ended already: lost" in capsys.readouterr().out


def test_hundreds_are_cancelled_with_few_questions(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(40):
        jobs.allocation("--hold")
    begun = time.monotonic()
    assert main(["cancel"]) == 0
    assert time.monotonic() - begun < 10
    assert "40 allocations cancelled" in capsys.readouterr().out
    assert queued_jobs(jobs) == []


@pytest.mark.soak  # Slurm's clients take their time to give up
def test_without_an_answer_of_slurm_it_says_so(
    fresh_slurm: Cluster,
    use: Callable[[Cluster], Jobs],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancel, "LOST_S", 1.0)
    jobs = use(fresh_slurm)
    jobs.allocation("--hold")
    fresh_slurm.stop_controller()
    assert main(["cancel", "--timeout", "1"]) == 1
    assert "Slurm refused" in capsys.readouterr().out
    fresh_slurm.start_controller()
    assert main(["cancel"]) == 0
    assert jobs.state() == "cancelled"
