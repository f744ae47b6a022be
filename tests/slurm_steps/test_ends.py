"""Every way in which a job can be ended from outside: results so far are kept, and nothing is left on any node."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.slurm.testcluster import Cluster
from tests.slurm.testcluster.processes import until

from .conftest import Submit
from .job import Job
from .plans import RESULT, WAIT, WITNESS, nodes_plan, quick, witness


def measuring(cluster: Cluster, submit: Submit, *options: str) -> Job:
    """A job with one point done and another being measured."""
    plan = nodes_plan(witness("decode0", 1), witness("decode1", 0))
    job = submit(cluster, plan, [quick(), quick(WAIT, slot=1), quick()], *options)
    job.event("measurement_started", point="points/0001")
    until(lambda: "measuring" in _text(job.measured(1) / "client.log"), 10, "the client runs")
    return job


def _text(path: os.PathLike[str]) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def check_kept(job: Job) -> None:
    status = job.status()
    assert [point["state"] for point in status["points"]] == ["ok", "cancelled", "not_run"], status
    assert job.result(0)["state"] == "ok"
    assert job.result(1)["state"] == "cancelled"


def test_an_ordered_stop(slurm: Cluster, submit: Submit) -> None:
    job = measuring(slurm, submit)
    job.allocation.stop.touch()
    status = job.ended()
    assert (status["outcome"], status["reason"]) == ("cancelled", "asked to stop")
    check_kept(job)
    for name in ("decode0", "decode1"):
        assert "ended in order" in job.attempt.log(name).read_text()
    slurm.wait_clean()


def test_plain_scancel(slurm: Cluster, submit: Submit) -> None:
    """All steps end at the same moment; none of them is the cause."""
    job = measuring(slurm, submit)
    slurm.run(["scancel", job.id])
    status = job.ended()
    assert (status["outcome"], status["reason"], status["root_cause"]) == ("cancelled", "stopped by SIGTERM", None)
    check_kept(job)
    slurm.wait_clean()


def test_a_stop_that_is_heard_after_the_first_end(slurm: Cluster, submit: Submit) -> None:
    """Slurm tells the steps and the batch process of a stop at their own times; who ended first is not the cause."""
    for _ in range(3):
        job = measuring(slurm, submit)
        orchestrator = job.orchestrator()
        (server,) = [one.pid for one in slurm.processes_on("n2") if WITNESS in one.argv and "srun" not in one.argv[0]]
        os.kill(server, signal.SIGKILL)
        failed = job.event("failure", process="decode0")["t"]
        os.kill(orchestrator, signal.SIGTERM)
        status = job.ended()
        if status["outcome"] == "cancelled":
            assert status["root_cause"] is None
            break
        told = job.event("stop_requested")["t"]
        assert told - failed > 0.9, "it was told in time"
    else:
        pytest.fail("this machine is too busy to tell anything within a second")
    slurm.wait_clean()


def test_scancel_while_it_begins(slurm: Cluster, submit: Submit) -> None:
    for pause_s in (0.0, 0.15, 0.4):
        job = submit(slurm, nodes_plan(witness("decode0", 1)), [quick(WAIT)])
        until(lambda job=job: (job.allocation.path / "job_id").exists(), 10, "it runs")  # type: ignore[misc]
        time.sleep(pause_s)
        slurm.run(["scancel", job.id])
        job.gone()
        assert job.status().get("outcome") in (None, "cancelled")
        slurm.wait_clean()


def test_the_warning_alone(slurm: Cluster, submit: Submit) -> None:
    """As `--signal=B:TERM@…` sends it: only to the batch process. Everything else is stopped by it, in order."""
    job = measuring(slurm, submit)
    slurm.run(["scancel", "-b", "-s", "TERM", job.id])
    assert job.ended()["outcome"] == "cancelled"
    check_kept(job)
    assert "ended in order" in job.attempt.log("decode0").read_text()
    slurm.wait_clean()


def test_the_orchestrator_is_killed(slurm: Cluster, submit: Submit) -> None:
    job = measuring(slurm, submit)
    os.kill(job.orchestrator(), signal.SIGKILL)
    assert job.gone() == "FAILED"
    assert job.result(0)["state"] == "ok"
    slurm.wait_clean(10)


def test_requeue_goes_on_where_it_was(slurm: Cluster, submit: Submit) -> None:
    """Finished points are not measured again."""
    script = f"import os, time\nwhile not os.path.exists('../../../go'): time.sleep(0.05)\n{RESULT}"
    job = submit(slurm, nodes_plan(witness("decode0", 1)), [quick(), quick(script, slot=1)])
    job.event("measurement_started", point="points/0001")
    first = job.attempt
    slurm.run(["scontrol", "requeue", job.id])
    until(lambda: job.attempt.path != first.path, 30, "the second attempt begins")
    (job.measured(1).parents[2] / "go").touch()
    status = job.ended()
    assert [point["state"] for point in status["points"]] == ["ok", "ok"], job.log()
    assert job.event("slurm_job")["restarts"] == 1
    points = job.allocation.path.parent.parent / "points"
    assert sorted(path.name for path in (points / "0000").glob("attempt-*")) == ["attempt-0"]
    assert sorted(path.name for path in (points / "0001").glob("attempt-*")) == ["attempt-0", "attempt-1"]
    slurm.wait_clean()


@pytest.mark.soak
def test_the_time_limit(slurm: Cluster, submit: Submit) -> None:
    """Told early: the measurement is marked, the servers end in order, long before Slurm ends the job."""
    job = measuring(slurm, submit, "--time=1")
    status = job.ended(90)
    assert status["outcome"] == "failed"
    assert "time limit" in status["reason"]
    assert [point["state"] for point in status["points"]] == ["ok", "failed", "not_run"]
    assert "ended in order" in job.attempt.log("decode0").read_text()
    slurm.wait_clean()
