"""What Slurm gets is what the dry run showed, and every queue setting reaches it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import SlurmUser


def test_slurm_has_the_script_that_the_dry_run_showed(slurm_user: SlurmUser) -> None:
    recipe = slurm_user.job(more="tags: [a]\nsbatch_directives: {nice: 7}")
    odd = "slurm.comment='für n[1-2]; <a&b> #3 (50 %)'"
    shown = slurm_user.json("dry-run", "-f", recipe, odd)["allocations"][0]["batch"]
    done = slurm_user.srtctl("apply", "-f", recipe, odd)
    assert done.returncode == 0, done.stderr
    job = slurm_user.manifest()["allocations"][0]["job_id"]
    read_back = slurm_user.home / "read-back.sh"
    slurm_user.slurm("scontrol", "write", "batch_script", job, str(read_back))
    assert read_back.read_bytes() == shown.encode()
    assert read_back.read_bytes() == (slurm_user.sweep() / "allocations/0000/batch.sh").read_bytes()
    seen = slurm_user.shown(job)
    assert seen["WorkDir"] == str(slurm_user.sweep() / "allocations/0000")
    assert seen["StdOut"] == str(slurm_user.sweep() / "allocations/0000/orchestrator.log")
    assert seen["Comment"] == "für n[1-2]; <a&b> #3 (50 %)"


def test_a_json_comment_reaches_slurm(slurm_user: SlurmUser) -> None:
    """As sites ask for it whose idle jobs are reaped."""
    comment = '{"OccupiedIdleGPUsJobReaper":{"exemptIdleTimeMins":"60","reason":"benchmarking"}}'
    recipe = slurm_user.job(more=f"sbatch_directives: {{comment: '{comment}'}}")
    done = slurm_user.srtctl("apply", "-f", recipe)
    assert done.returncode == 0, done.stderr
    assert slurm_user.shown(slurm_user.manifest()["allocations"][0]["job_id"])["Comment"] == comment


def test_every_queue_setting_reaches_slurm(slurm_user: SlurmUser) -> None:
    slurm_user.slurm(
        "scontrol", "create", "reservation", "ReservationName=mine", "StartTime=now", "Duration=10", "Users=root",
        "Nodes=n2", "Flags=IGNORE_JOBS",
    )  # fmt: skip
    try:
        first = slurm_user.srtctl("apply", "-f", slurm_user.job())
        blocker = slurm_user.manifest()["allocations"][0]["job_id"]
        assert first.returncode == 0, first.stderr
        settings = [
            "slurm.account=acc_1", "slurm.partition=batch", "slurm.qos=normal", "slurm.time_limit=00:20:00",
            "slurm.reservation=mine", "slurm.constraint=fast", "slurm.nodelist=n2", "slurm.exclude=n4",
            f"slurm.dependency=afterok:{blocker}", "slurm.mem=1G", "slurm.gres=gpu:3", "slurm.exclusive=true",
            "slurm.comment=hello", "slurm.mail_user=me@example.org", "slurm.mail_type=[END,FAIL]",
            "sbatch_directives.nice=11", "sbatch_directives.requeue=false", "health_check.max_attempts=6",
        ]  # fmt: skip
        done = slurm_user.srtctl("apply", "-f", slurm_user.job(name="second.yaml"), *settings)
        assert done.returncode == 0, done.stderr
        seen = slurm_user.shown(slurm_user.manifest()["allocations"][0]["job_id"])
    finally:
        slurm_user.slurm("scancel", *slurm_user.queued())
        slurm_user.slurm("scontrol", "delete", "ReservationName=mine")
    wanted = {
        "Account": "acc_1", "Partition": "batch", "TimeLimit": "00:21:00", "Reservation": "mine",
        "Features": "fast", "ReqNodeList": "n2", "ExcNodeList": "n4", "MinMemoryNode": "1G", "Comment": "hello",
        "MailUser": "me@example.org", "MailType": "END,FAIL", "Nice": "11", "NumNodes": "1-1", "JobName": "job",
        "Dependency": f"afterok:{blocker}(unfulfilled)", "OverSubscribe": "NO", "TresPerNode": "gres:gpu:3",
    }  # fmt: skip
    seen["TresPerNode"] = seen.get("TresPerNode", "").replace("gres/", "gres:")  # newer releases write it so
    assert {key: seen.get(key) for key in wanted} == wanted


def test_cluster_defaults_stand_under_the_job_s_own(slurm_user: SlurmUser) -> None:
    defaults = ", partition: batch, account: theirs, sbatch_directives: {comment: site, nice: 3}"
    recipe = slurm_user.write("job.yaml", Path(slurm_user.job(cluster=defaults)).read_text())
    own = ["slurm.partition=closed", "slurm.comment=own"]
    assert slurm_user.srtctl("apply", "-f", str(recipe), *own).returncode == 0
    seen = slurm_user.shown(slurm_user.manifest()["allocations"][0]["job_id"])
    assert [seen[key] for key in ("Partition", "Account", "Comment", "Nice")] == ["closed", "theirs", "own", "3"]


def test_gpus_are_asked_for_per_node_or_not_at_all(slurm_user: SlurmUser) -> None:
    assert slurm_user.srtctl("apply", "-f", slurm_user.job()).returncode == 0
    job = slurm_user.manifest()["allocations"][0]["job_id"]
    assert slurm_user.shown(job)["TresPerNode"] in ("gres:gpu:8", "gres/gpu:8")  # of 22.05, of 24.11
    none = slurm_user.job(cluster=", use_gpus_per_node_directive: false")
    assert slurm_user.srtctl("apply", "-f", none).returncode == 0
    assert "TresPerNode" not in slurm_user.shown(slurm_user.manifest()["allocations"][0]["job_id"])


def test_prefill_and_decode_are_components_of_one_job(slurm_user: SlurmUser) -> None:
    shape = ["mode=disagg", "resources.het_jobs=true", "resources.decode_nodes=2"]
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), *shape)
    assert done.returncode == 0, done.stderr
    job = slurm_user.manifest()["allocations"][0]["job_id"]
    parts = slurm_user.slurm("squeue", "-h", "-j", job, "-o", "%i %D %Z").splitlines()
    parts.sort()  # the order is not the same in all releases
    where = slurm_user.sweep() / "allocations/0000"
    assert parts == [f"{job}+0 1 {where}", f"{job}+1 2 {where}"]


def test_prefill_and_decode_on_different_partitions(slurm_user: SlurmUser) -> None:
    argv = ["apply", "-f", slurm_user.job(), "mode=disagg", "resources.decode_nodes=1", "slurm.decode.partition=small"]
    done = slurm_user.srtctl(*argv)
    assert done.returncode == 2 and "slurm.decode.partition: decode nodes are not asked for" in done.stderr
    done = slurm_user.srtctl(*argv, "resources.het_jobs=true", "slurm.decode.partition=smal")
    assert done.returncode == 2 and "slurm.decode.partition: there is no such partition" in done.stderr
    done = slurm_user.srtctl(*argv, "resources.het_jobs=true")
    assert done.returncode == 0, done.stderr
    job = slurm_user.manifest()["allocations"][0]["job_id"]
    parts = slurm_user.slurm("squeue", "-h", "-j", job, "-o", "%i %P").splitlines()
    assert sorted(parts) == [f"{job}+0 closed", f"{job}+1 small"]


def test_one_job_per_deployment_and_one_per_set_of_queue_settings(slurm_user: SlurmUser) -> None:
    argv = ["backend.speedup_ratio=1,2", "benchmark.env.N=1,2", "-m"]
    assert slurm_user.srtctl("apply", "-f", slurm_user.job(), *argv).returncode == 0
    assert [record["points"] for record in slurm_user.manifest()["allocations"]] == [[0, 1], [2, 3]]
    assert slurm_user.srtctl("apply", "-f", slurm_user.job(), "slurm.account=a,b", "-m").returncode == 0
    jobs = [record["job_id"] for record in slurm_user.manifest()["allocations"]]
    assert [slurm_user.shown(job)["Account"] for job in jobs] == ["a", "b"]


def test_an_allocation_is_cut_to_what_its_partition_gives(slurm_user: SlurmUser) -> None:
    # bring-up 10 min and points of 10 min in a partition of 40 min: three points each
    argv = ["slurm.time_limit=00:10:00", "health_check.max_attempts=60", "benchmark.env.N=range(7)", "-m"]
    shown = slurm_user.json("dry-run", "-f", slurm_user.job("short"), *argv)
    assert [a["points"] for a in shown["allocations"]] == [[0, 1, 2], [3, 4, 5], [6]]
    assert "#SBATCH --time=00:40:00" in shown["allocations"][0]["batch"]
    assert "#SBATCH --time=00:20:00" in shown["allocations"][2]["batch"]


@pytest.mark.parametrize("wanted", [1, 2])
def test_in_flight_jobs_are_counted_by_slurm(slurm_user: SlurmUser, wanted: int) -> None:
    argv = ["backend.speedup_ratio=range(1,6)", f"launcher.max_in_flight={wanted}", "-m"]
    assert slurm_user.srtctl("apply", "-f", slurm_user.job(), *argv).returncode == 0
    jobs = [record["job_id"] for record in slurm_user.manifest()["allocations"]]
    waits = [slurm_user.shown(job)["Dependency"] for job in jobs]
    assert waits[:wanted] == ["(null)"] * wanted
    assert waits[wanted:] == [f"afterany:{job}(unfulfilled)" for job in jobs[: 5 - wanted]]


def test_waiting_for_a_turn_adds_to_the_jobs_own_dependency(slurm_user: SlurmUser) -> None:
    assert slurm_user.srtctl("apply", "-f", slurm_user.job()).returncode == 0
    before = slurm_user.manifest()["allocations"][0]["job_id"]
    argv = ["backend.speedup_ratio=1,2", "launcher.max_in_flight=1", "-m"]
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), f"slurm.dependency=afterok:{before}", *argv)
    assert done.returncode == 0, done.stderr
    first, second = (record["job_id"] for record in slurm_user.manifest()["allocations"])
    assert slurm_user.shown(second)["Dependency"] == f"afterok:{before}(unfulfilled),afterany:{first}(unfulfilled)"
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), "slurm.dependency=afterok:1?afterok:2", *argv)
    assert done.returncode != 0 and "launcher.max_in_flight" in done.stderr


def test_json_says_what_was_submitted(slurm_user: SlurmUser) -> None:
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), "--json")
    said = json.loads(done.stdout)
    assert [record["job_id"] for record in said["allocations"]] == list(slurm_user.queued())
