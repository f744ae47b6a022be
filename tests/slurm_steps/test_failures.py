"""What can go wrong in a job ends it soon, under its own name."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import replace

import pytest

from srtctl.plan.model import Rank, Worker
from tests.orchestrator.small import IGNORES_TERM
from tests.slurm.conftest import MakeCluster
from tests.slurm.testcluster import Cluster
from tests.slurm.testcluster.processes import until

from .conftest import Submit
from .plans import RESULT, WAIT, nodes_plan, quick, sleeper, witness


def test_all_that_is_missing_is_said_at_once(slurm: Cluster, submit: Submit) -> None:
    """Before anything is started: programs on two nodes, the model on one, by name."""
    absent = [replace(sleeper(f"decode{n}", n), argv=("/opt/absent/engine", "serve")) for n in range(2)]
    bare = replace(sleeper("etcd", 1), role="etcd", argv=("no-such-etcd",))
    worker = Worker("decode", 1, (Rank(1, (0,)),))
    plan = nodes_plan(*absent, bare, workers=(worker,), provenance={"model_path": "/models/absent"})
    job = submit(slurm, plan, [quick()])
    status = job.ended()
    assert status["outcome"] == "failed"
    assert status["ended_at"] - status["started_at"] < 5
    reason = status["reason"]
    assert "the program of decode0 is not there: /opt/absent/engine" in reason
    assert "n2: the model is not there: /models/absent" in reason
    assert "the program of etcd" in reason and "srtctl tools install" in reason
    assert [point["state"] for point in status["points"]] == ["not_run"]
    slurm.wait_clean()


def test_an_interface_that_is_not_there(slurm: Cluster, submit: Submit) -> None:
    status = submit(slurm, nodes_plan(network_interface="ib7"), [quick()]).ended()
    assert "n1, n2: no network interface 'ib7'" in status["reason"]
    assert "fabric0" in status["reason"]


def test_a_directory_that_the_nodes_do_not_share(slurm: Cluster, submit: Submit) -> None:
    job = submit(slurm, nodes_plan(), [quick()], "--hold")
    slurm.run(["mount", "-t", "tmpfs", "none", str(job.allocation.path)], on="n2")
    try:
        slurm.run(["scontrol", "release", job.id])
        status = job.ended()
    finally:
        slurm.run(["umount", str(job.allocation.path)], on="n2")
    assert status["outcome"] == "failed"
    assert "n2: " in status["reason"] and "orchestrator.pyz" in status["reason"]


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("import sys, time; time.sleep(0.5); print('no luck'); sys.exit(3)", "exit code 3"),
        ("import os, time; time.sleep(0.5); print('no luck', flush=True); os.kill(os.getpid(), 9)", "SIGKILL (9)"),
        ("import time; time.sleep(0.5); print('no luck')", "although nobody asked"),
    ],
)
def test_a_server_that_ends(slurm: Cluster, submit: Submit, script: str, what: str) -> None:
    job = submit(slurm, nodes_plan(sleeper("decode0", 1, script)), [quick(WAIT)])
    status = job.ended()
    cause = status["root_cause"]
    assert (status["outcome"], cause["process"]) == ("failed", "decode0"), job.log()
    assert what in cause["what"]
    assert "no luck" in cause["log_tail"]
    assert job.result()["state"] == "failed"
    slurm.wait_clean()


def test_a_program_that_does_not_run(slurm: Cluster, submit: Submit) -> None:
    """It is there and may be executed; its interpreter is not there."""
    job = submit(slurm, nodes_plan(sleeper("decode0", 1)), [quick()], "--hold")
    script = job.allocation.path / "engine"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    plan = job.allocation.plan
    text = json.loads(plan.read_text())
    decode = next(p for p in text["processes"] if p["name"] == "decode0")
    assert decode["argv"][0] == sys.executable
    decode["argv"] = [str(script)]
    plan.write_text(json.dumps(text))
    slurm.run(["scontrol", "release", job.id])
    cause = job.ended()["root_cause"]
    assert cause["process"] == "decode0"
    assert "could not be started: " in cause["what"] and "No such file" in cause["what"]


def test_a_deaf_server_is_killed_in_time(slurm: Cluster, submit: Submit) -> None:
    job = submit(slurm, nodes_plan(sleeper("decode0", 1, IGNORES_TERM, stop_wait_s=1.0)), [quick()])
    status = job.ended()
    assert status["outcome"] == "ok"
    assert 1.0 < status["timings"]["stop_s"] < 4.0
    assert job.process("decode0")["exit_code"] == -9
    said = job.attempt.log("decode0").read_text()
    assert "task 0: Killed" in said, "its srun lived to see it end, and was not killed itself 2 s later"
    slurm.wait_clean()


def test_a_client_that_takes_too_long(slurm: Cluster, submit: Submit) -> None:
    """It is ended where it runs, with what it has started; the next point finds the servers warm."""
    script = "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(600)"
    job = submit(slurm, nodes_plan(), [quick(script, slot=1, timeout_s=1.0), quick(slot=1)])
    status = job.ended()
    assert [point["state"] for point in status["points"]] == ["failed", "ok"], job.log()
    assert "still running after 1 s" in status["points"][0]["reason"]
    slurm.wait_clean()


def test_a_crashed_node_ends_the_run_by_name(fresh_slurm: Cluster, submit: Submit) -> None:
    """The points that were measured stay; the one that was being measured has failed."""
    plan = nodes_plan(witness("decode0", 2), witness("decode1", 1), nodes=3)
    job = submit(fresh_slurm, plan, [quick(), quick(WAIT)])
    job.event("measurement_started", point="points/0001")
    time.sleep(0.5)
    fresh_slurm.node("n3").crash()
    status = job.ended(90)
    assert status["outcome"] == "failed"
    assert status["root_cause"]["process"] == "node n3", status["root_cause"]
    assert "the node has failed, says Slurm" in status["reason"]
    assert [point["state"] for point in status["points"]] == ["ok", "failed"]
    assert job.result()["state"] == "ok"
    assert "ended in order" in job.attempt.log("decode1").read_text()
    fresh_slurm.wait_clean()


def test_a_node_that_hangs_ends_the_run(make_slurm: MakeCluster, submit: Submit) -> None:
    cluster = make_slurm()  # with Slurm's own patience: the run must notice first
    plan = nodes_plan(witness("decode0", 1))
    plan = replace(plan, budgets=replace(plan.budgets, node_silent_s=3.0))
    job = submit(cluster, plan, [quick(WAIT)])
    job.event("measurement_started")
    time.sleep(0.5)
    cluster.node("n2").pause()
    begun = time.monotonic()
    try:
        status = job.until(lambda status: status["phase"] == "done", 40)
        assert time.monotonic() - begun < 25
    finally:
        cluster.node("n2").resume()
    assert status["root_cause"]["process"] == "node n2"
    assert "has not answered for" in status["reason"]
    job.gone()
    cluster.wait_clean(15)


def test_the_controller_may_go_away_for_a_while(fresh_slurm: Cluster, submit: Submit) -> None:
    script = f"import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\n{RESULT}"
    job = submit(fresh_slurm, nodes_plan(witness("decode0", 1)), [quick(script)])
    job.event("measurement_started")
    fresh_slurm.stop_controller()
    time.sleep(1.0)
    fresh_slurm.start_controller()
    (job.measured() / "go").touch()
    status = job.ended()
    assert status["outcome"] == "ok", job.log()
    fresh_slurm.wait_clean()


def test_a_dead_slurmd_does_not_disturb_a_run(fresh_slurm: Cluster, submit: Submit) -> None:
    script = f"import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\n{RESULT}"
    job = submit(fresh_slurm, nodes_plan(witness("decode0", 1)), [quick(script)])
    job.event("measurement_started")
    fresh_slurm.node("n2").kill_slurmd()
    time.sleep(1.0)
    fresh_slurm.node("n2").start_slurmd()
    (job.measured() / "go").touch()
    assert job.ended()["outcome"] == "ok", job.log()
    until(lambda: not fresh_slurm.leftovers("n2"), 10, "n2 is clean")


def test_a_killed_agent_leaves_nothing_when_the_run_has_ended(slurm: Cluster, submit: Submit) -> None:
    """The run goes on without its watch there; at its end another agent removes what the first one left."""
    script = f"import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\n{RESULT}"
    job = submit(slurm, nodes_plan(witness("decode0", 1)), [quick(script)])
    job.event("measurement_started")
    (agent,) = [one.pid for one in slurm.processes_on("n2") if one.argv[-1] == "--node"]
    os.kill(agent, signal.SIGKILL)
    job.until(lambda status: any("node n2 is no longer watched" in text for text in status["warnings"]))
    (job.measured() / "go").touch()
    assert job.ended()["outcome"] == "ok", job.log()
    slurm.wait_clean()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a node of one CPU has none to keep from a job")
def test_a_job_that_is_held_to_one_cpu_is_told(fresh_slurm: Cluster, submit: Submit) -> None:
    """As task/cgroup holds those that share a node and did not ask for more; here all that slurmd starts is held."""
    fresh_slurm.node("n2").kill_slurmd()
    cpu = min(os.sched_getaffinity(0))
    fresh_slurm.run(["taskset", "--cpu-list", str(cpu), "slurmd", "-N", "n2"], on="n2")
    fresh_slurm.wait_idle()
    status = submit(fresh_slurm, nodes_plan(witness("decode0", 1), witness("decode1", 1)), [quick()]).ended()
    assert status["outcome"] == "ok", status
    (said,) = status["warnings"]
    assert re.fullmatch(r"n2: Slurm lets the job use 1 of \d+ CPUs for 2 servers; they will be slow .*", said)
