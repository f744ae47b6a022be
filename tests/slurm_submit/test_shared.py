"""Points that share a deployment share its job, and its servers."""

from __future__ import annotations

import json

from benchmarks.shared import jobs_so_far, spent
from srtctl.rundir import SweepDir, read_events

from .conftest import SlurmUser

POINTS = """
sweep: {number: [1, 2, 3]}
"""


def test_nine_points_on_three_deployments_are_three_jobs(slurm_user: SlurmUser) -> None:
    """Not more, and not fewer; one after another where it was asked for, each deployment brought up once."""
    recipe = slurm_user.job("batch", POINTS)
    text = (slurm_user.home / "job.yaml").read_text()
    slurm_user.write("job.yaml", text.replace("42", "{number}"))
    swept = ["backend.speedup_ratio=100,200,300", "launcher.max_in_flight=1", "-m"]
    before = jobs_so_far(slurm_user.cluster)
    done = slurm_user.srtctl("apply", "-f", recipe, *swept, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = jobs_so_far(slurm_user.cluster) - before
    assert jobs == 3
    sweep = SweepDir(slurm_user.sweep())
    assert len({record["job_id"] for record in sweep.read_manifest()["allocations"]}) == 3
    for number in range(3):
        attempt = sweep.allocation(number).attempt(0)
        kinds = [(event["event"], event.get("process")) for event in read_events(attempt.events)]
        assert kinds.count(("process_started", "etcd")) == 1, kinds
        assert [kind for kind, _ in kinds].count("measurement_done") == 3
    rows = json.loads(slurm_user.srtctl("results", "--json").stdout)["rows"]
    assert sorted(row["answer"] for row in rows) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert spent(sweep, jobs).handover_s > 0, "they ran at the same time"
