"""A job that a more important one drives out: put back in the queue by Slurm, it goes on where it was."""

from __future__ import annotations

from tests.slurm.conftest import MakeCluster
from tests.slurm.testcluster import Partition
from tests.slurm.testcluster.processes import until

from .conftest import Submit
from .plans import RESULT, nodes_plan, quick, witness

PARTITIONS = (
    Partition("low", default=True, options="PriorityTier=1 PreemptMode=REQUEUE"),
    Partition("high", options="PriorityTier=10 PreemptMode=OFF"),
)
PREEMPTION = ("PreemptType=preempt/partition_prio", "PreemptMode=REQUEUE")


def test_preemption(make_slurm: MakeCluster, submit: Submit) -> None:
    """The finished point is not measured again; while the other job runs, nothing of ours is on any node."""
    cluster = make_slurm(nodes=2, partitions=PARTITIONS, slurm_conf_lines=PREEMPTION)
    script = f"import os, time\nwhile not os.path.exists('../../../go'): time.sleep(0.05)\n{RESULT}"
    plan = nodes_plan(witness("decode0", 1))
    job = submit(cluster, plan, [quick(), quick(script, slot=1)], "--exclusive")
    job.event("measurement_started", point="points/0001")
    first = job.attempt
    argv = ["sbatch", "--parsable", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null"]
    other = cluster.run([*argv, "--wrap=exec sleep 600"]).stdout.strip()
    until(lambda: cluster.run(["squeue", "-h", "-j", other, "-o", "%T"]).stdout.strip() == "RUNNING", 40, "it has ours")
    assert job.state() == "PENDING"
    status = job.status()
    assert (status["phase"], status["outcome"]) == ("done", "cancelled"), job.log()
    assert [point["state"] for point in status["points"]] == ["ok", "cancelled"]
    assert "ended in order" in first.log("decode0").read_text()
    until(
        lambda: not any("orchestrator" in str(one) for n in cluster.names for one in cluster.processes_on(n)), 5, "no"
    )
    assert not [path for name in cluster.names for path in cluster.leftovers(name).files]
    cluster.run(["scancel", other])
    until(lambda: job.attempt.path != first.path, 60, "the second attempt begins")
    (job.measured(1).parents[2] / "go").touch()
    status = job.ended()
    assert [point["state"] for point in status["points"]] == ["ok", "ok"], job.log()
    assert job.event("slurm_job")["restarts"] == 1
    points = job.allocation.path.parent.parent / "points"
    assert [path.name for path in (points / "0000").glob("attempt-*")] == ["attempt-0"]
    cluster.wait_clean()
