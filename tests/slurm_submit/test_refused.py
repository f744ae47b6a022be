"""What Slurm would refuse is said before anything is written; what it refuses half-way leaves no unknown job."""

from __future__ import annotations

import pytest

from .conftest import SlurmUser

BEFORE = {
    "an unknown partition": (
        ["slurm.partition=batsh"],
        ["slurm.partition: there is no such partition", "did you mean batch?"],
    ),
    "too much time": (
        ["slurm.partition=short", "slurm.time_limit=01:00:00"],
        ["slurm.time_limit", "partition short gives", "at most 00:40:00"],
    ),
    "too many nodes": (
        ["slurm.partition=small", "resources.agg_nodes=3", "resources.agg_workers=3"],
        ["needs 3 nodes; partition small has 2"],
    ),
    "too many GPUs": (
        ["slurm.partition=batch", "cluster.gpus_per_node=9", "resources.gpus_per_agg=1"],
        ["cluster.gpus_per_node: the job asks for 9 GPUs", "have 8"],
    ),
    "an option of later releases": (["slurm.segment=2"], ["slurm.segment", "22.05", "has no --segment"]),
    "an option that no release has": (["sbatch_directives.nicee=2"], ["sbatch_directives.nicee", "did you mean nice?"]),
    "an option of steps that there is not": (
        ["srun_options.mpii=none", "srun_options.verbose=null"],
        ["srun_options.mpii: Slurm", "'s srun has no --mpii", "did you mean mpi?"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "said"), BEFORE.values(), ids=BEFORE)
def test_nothing_is_written_when_slurm_would_refuse(
    slurm_user: SlurmUser, settings: list[str], said: list[str]
) -> None:
    if "slurm.segment=2" in settings and "22.05" not in slurm_user.slurm("sbatch", "--version"):
        pytest.skip("a later release may have it, although its help does not say so")
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), *settings)
    assert done.returncode == 2
    assert all(text in done.stderr for text in said), done.stderr
    assert not (slurm_user.home / "outputs").exists()
    assert not slurm_user.queued()


def test_all_points_that_slurm_would_refuse_are_named(slurm_user: SlurmUser) -> None:
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), "slurm.partition=closed,no1,no2", "-m")
    assert done.returncode == 2
    assert "'no1'" in done.stderr and "'no2'" in done.stderr and "points:  1" in done.stderr
    assert not (slurm_user.home / "outputs").exists()


def test_a_refusal_half_way(slurm_user: SlurmUser) -> None:
    """Only sbatch itself knows of reservations, so the third job is refused when two are submitted."""
    table = "{backend.speedup_ratio: [1, 2, 3, 4], slurm.reservation: [null, null, nope, null]}"
    recipe = slurm_user.job(more=f"sweep: {{mode: zip, parameters: {table}}}")
    done = slurm_user.srtctl("apply", "-f", recipe)
    assert done.returncode == 3
    assert "slurm.reservation: allocation" in done.stderr
    assert "Requested reservation is invalid" in done.stderr
    assert "scontrol show reservation" in done.stderr
    assert "srtctl apply --resume" in done.stderr
    records = slurm_user.manifest()["allocations"]
    known = [record["job_id"] for record in records if record["job_id"] is not None]
    assert sorted(known) == sorted(slurm_user.queued())
    refused = [record for record in records if record.get("refused")]
    assert len(known) == 2 and len(refused) == 1 and "reservation" in refused[0]["refused"]
    again = slurm_user.srtctl("apply", "--resume", "job", "slurm.reservation=null")
    assert again.returncode == 0, again.stderr
    records = slurm_user.manifest()["allocations"]
    jobs = {record["job_id"] for record in records if record["job_id"] is not None}
    assert jobs == set(slurm_user.queued()) and len(jobs) == 4


def test_without_slurm_it_says_where_to_go(slurm_user: SlurmUser) -> None:
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), env={"PATH": "/nowhere"})
    assert done.returncode == 3
    assert "`sinfo` was not found" in done.stderr or "`sbatch` was not found" in done.stderr
    assert "login node" in done.stderr
    assert not (slurm_user.home / "outputs").exists()


def test_check_cluster_asks_slurm_about_each_deployment(slurm_user: SlurmUser) -> None:
    recipe = slurm_user.job("batch")
    done = slurm_user.srtctl("dry-run", "-f", recipe, "--check-cluster")
    assert done.returncode == 0, done.stderr
    assert "takes it; as things stand it would start at 20" in done.stdout
    done = slurm_user.srtctl("dry-run", "-f", recipe, "slurm.reservation=none,nope", "-m", "--check-cluster")
    assert done.returncode == 2
    assert "slurm.reservation: Slurm would refuse it" in done.stderr
    for setting, value in {
        "slurm.nodelist=n9": "'--nodelist=n9'",
        "slurm.exclude=n9": "'--exclude=n9'",
        "slurm.gres=tpu:1": "'--gres=tpu:1'",
        "slurm.mem=900G": "'--mem=900G'",
        "slurm.constraint=nope": "'--constraint=nope'",
        "sbatch_directives.begin=tomorow": "'--begin=tomorow'",
        "sbatch_directives.distribution=wild": "'--distribution=wild'",
    }.items():
        done = slurm_user.srtctl("dry-run", "-f", recipe, setting, "--check-cluster")
        assert done.returncode == 2 and f"{setting.partition('=')[0]}: Slurm would refuse it" in done.stderr
        assert f"  value:   {value}\n" in done.stderr, done.stderr
    assert not slurm_user.queued()
    done = slurm_user.srtctl("dry-run", "--check-cluster")
    assert done.returncode == 2 and "only a Slurm cluster can be asked" in done.stderr


def test_a_dry_run_needs_no_slurm(slurm_user: SlurmUser) -> None:
    done = slurm_user.srtctl("dry-run", "-f", slurm_user.job("anything"), env={"PATH": "/nowhere"})
    assert done.returncode == 0, done.stderr


def test_settings_of_sbatch_in_the_environment_are_not_used_and_said(slurm_user: SlurmUser) -> None:
    env = {"SBATCH_PARTITION": "small", "SBATCH_QOS": "high", "SLURM_JOB_ID": "77", "SBATCH_EXPORT": "NONE"}
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), env=env)
    assert done.returncode == 0
    assert "SBATCH_QOS is set in your environment, and not used" in done.stderr
    assert slurm_user.shown(slurm_user.manifest()["allocations"][0]["job_id"])["Partition"] == "closed"
