"""What srtctl says of real jobs: waiting, running, cancelled, put back, killed, forgotten."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from srtctl.cli import main
from tests.slurm.conftest import MakeCluster
from tests.slurm.testcluster import Cluster

from .conftest import Jobs


def test_a_job_that_runs(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    job = jobs.allocation(seconds=3)
    jobs.until_measuring()
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert f"job {job} on n" in said
    assert "measuring c0004, 1 of 2" in said
    jobs.until(lambda: jobs.state() == "ok", "the job ends")


def test_a_job_that_waits_says_why(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation("-N4", "--exclusive", "-t", "10", seconds=60)
    jobs.until_measuring()
    jobs.allocation("-N2", "-t", "5")
    jobs.allocation("--hold")
    jobs.allocation("--dependency=afternotok:1")
    jobs.until(lambda: "as soon as enough nodes are free" in jobs.look().allocations[1].detail, "the reason is known")
    found = jobs.look()
    assert [a.state for a in found.allocations] == ["running", "queued", "queued", "queued"]
    jobs.until(lambda: "expected to start in 9 min" in jobs.look().allocations[1].detail, "there is an estimate")
    assert "scontrol release" in found.allocations[2].detail
    assert "will not start by itself" in found.allocations[2].detail
    assert [p.state for p in found.points][1:] == ["queued"] * 3
    assert main(["status", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["allocations"][1]["slurm"]["state"] == "PENDING"
    assert document["allocations"][2]["slurm"]["reason"] == "JobHeldUser"


def test_plain_scancel_of_one_that_ends_in_order(jobs: Jobs) -> None:
    job = jobs.allocation()
    jobs.until_measuring()
    jobs.slurm(["scancel", job])
    jobs.until(lambda: jobs.state() == "cancelled", "it is cancelled")


def test_plain_scancel_of_one_that_waits(jobs: Jobs) -> None:
    job = jobs.allocation("--hold")
    jobs.slurm(["scancel", job])
    found = jobs.look()
    assert found.allocations[0].state == "cancelled"
    assert "cancelled through Slurm" in found.allocations[0].detail
    assert found.points[0].state == "cancelled"
    assert not found.active


def test_scancel_of_one_that_does_not_end_in_order(jobs: Jobs) -> None:
    job = jobs.allocation(deaf=True)
    jobs.until_measuring()
    jobs.slurm(["scancel", "--signal=KILL", "--batch", job])
    jobs.until(lambda: not jobs.look().active, "it is over", 20)
    found = jobs.look()
    assert found.allocations[0].status["phase"] == "measuring"  # its own last word
    assert found.allocations[0].state in ("cancelled", "lost")
    assert found.points[0].state == found.allocations[0].state


def test_an_orchestrator_that_is_killed_is_lost_at_once(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation()
    jobs.until_measuring()
    (jobs.sweep.allocation(0).path / "crash").touch()
    jobs.until(lambda: jobs.state() == "lost", "it is lost", 10)
    assert main(["status"]) == 1
    said = capsys.readouterr().out
    assert "running" not in said
    assert "Slurm: FAILED" in said
    assert jobs.look().points[0].state == "lost"


def test_a_job_that_is_put_back_waits_and_runs_again(jobs: Jobs) -> None:
    job = jobs.allocation("--requeue")
    jobs.until_measuring()
    jobs.slurm(["scontrol", "requeue", job])
    jobs.until(lambda: jobs.state() == "queued", "it waits again")
    found = jobs.look()
    assert "put back into the queue" in found.allocations[0].detail
    assert found.points[0].state == "queued"
    jobs.until_measuring()
    assert len(jobs.sweep.allocation(0).attempts()) == 2


def test_a_job_that_failed_before_the_run_began(jobs: Jobs) -> None:
    job = jobs.allocation("--hold")
    (jobs.sweep.allocation(0).path / "stand_in.py").write_text("import sys; sys.exit('no such thing')")
    jobs.slurm(["scontrol", "release", job])
    jobs.until(lambda: jobs.state() == "failed", "it failed")
    detail = jobs.look().allocations[0].detail
    assert "ended before the run began" in detail
    assert "orchestrator.log" in detail


def test_a_submission_that_was_cut_off_is_found(jobs: Jobs) -> None:
    job = jobs.allocation("--hold", known=False)
    found = jobs.look().allocations[0]
    assert (found.state, found.job_id) == ("queued", job)
    jobs.allocation(submit=False)
    jobs.manifest["allocations"][1]["intent_at"] -= 60
    jobs.sweep.manifest.write_text(json.dumps(jobs.manifest))
    assert jobs.look().allocations[1].state == "not_submitted"


def test_an_id_of_somebody_elses_job_is_not_believed(jobs: Jobs, tmp_path: Path) -> None:
    other = jobs.slurm(["sbatch", "--parsable", "--hold", f"--chdir={tmp_path}", "-o", "x", "--wrap", "true"]).strip()
    jobs.allocation(submit=False)
    jobs.manifest["allocations"][0] |= {"job_id": other, "submitted_at": time.time() - 100}
    jobs.sweep.manifest.write_text(json.dumps(jobs.manifest))
    assert jobs.look().allocations[0].state == "lost"


def test_slurm_that_does_not_answer(fresh_slurm: Cluster, use: Callable[[Cluster], Jobs]) -> None:
    jobs = use(fresh_slurm)
    jobs.allocation()
    jobs.allocation("--hold")
    jobs.until_measuring()
    fresh_slurm.stop_controller()
    found = jobs.look()
    assert [a.state for a in found.allocations] == ["running", "unknown"]
    assert "Slurm does not answer" in found.allocations[1].detail
    fresh_slurm.start_controller()
    assert [a.state for a in jobs.look().allocations] == ["running", "queued"]


def test_a_node_that_dies(fresh_slurm: Cluster, use: Callable[[Cluster], Jobs]) -> None:
    jobs = use(fresh_slurm)
    jobs.allocation("--no-requeue", "-w", "n3")
    jobs.until_measuring()
    fresh_slurm.node("n3").crash()
    jobs.until(lambda: jobs.state() == "failed", "Slurm notices", 60)
    found = jobs.look()
    assert "a node of it failed on n3" in found.allocations[0].detail
    assert f"--resume {jobs.sweep.sweep_id}" in found.allocations[0].detail
    assert found.points[0].state == "failed"


def test_a_job_that_slurm_has_forgotten(make_slurm: MakeCluster, use: Callable[[Cluster], Jobs]) -> None:
    """Without accounting, after MinJobAge: only the heartbeat is left."""
    jobs = use(make_slurm(nodes=1, slurm_conf_lines=["MinJobAge=2"]))
    job = jobs.allocation()
    jobs.until_measuring()
    (jobs.sweep.allocation(0).path / "crash").touch()
    jobs.until(lambda: job not in jobs.slurm(["squeue", "--me", "-h", "-t", "all", "-o", "%i"]), "it is forgotten", 90)
    assert jobs.state() in ("unknown", "lost")
    path = jobs.sweep.allocation(0).attempt(0).status
    path.write_text(json.dumps(json.loads(path.read_text()) | {"updated_at": time.time() - 61}))
    found = jobs.look()
    assert found.allocations[0].state == "lost"
    assert "does not know job" in found.allocations[0].detail
    assert not found.active


@pytest.mark.parametrize("how", [{"dbd": True}, {"completion": True}])
def test_a_job_that_accounting_remembers(
    how: dict[str, bool], make_slurm: MakeCluster, use: Callable[[Cluster], Jobs], tmp_path: Path
) -> None:
    log = tmp_path / "completions"
    log.touch(mode=0o644)
    kept = [f"JobCompType=jobcomp/filetxt\nJobCompLoc={log}"] if "completion" in how else []
    lines = ["MinJobAge=2", *(line for text in kept for line in text.splitlines())]
    jobs = use(make_slurm(nodes=1, dbd="dbd" in how, slurm_conf_lines=lines))
    job = jobs.allocation(deaf=True)
    jobs.until_measuring()
    (jobs.sweep.allocation(0).path / "crash").touch()
    jobs.until(lambda: job not in jobs.slurm(["squeue", "--me", "-h", "-t", "all", "-o", "%i"]), "it is forgotten", 90)
    found = jobs.look().allocations[0]
    assert found.state == "lost"
    assert "Slurm: FAILED" in found.detail
