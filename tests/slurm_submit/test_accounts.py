"""Clusters that keep account of users: accounts and QOSs that Slurm refuses, and a cluster that is named."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import shared_directories
from tests.slurm.testcluster import Cluster, Partition, why_unavailable

from .conftest import SlurmUser

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(why_unavailable()), reason=str(why_unavailable()))]

ENFORCED = ("AccountingStorageEnforce=associations,qos",)
ACCOUNTS = (
    ["add", "account", "team", "cluster=testcluster"],
    ["add", "qos", "long"],
    ["add", "account", "other", "cluster=testcluster"],
    ["add", "user", "root", "account=team", "defaultaccount=team", "qos=normal,long"],
    ["add", "user", "root", "account=other", "qos=normal"],
)


@pytest.fixture(scope="module")
def accounting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("accounting")
    shared = shared_directories(tmp_path_factory)
    partitions = (Partition("batch", default=True), Partition("closed"))
    with Cluster(directory, 1, partitions=partitions, slurm_conf_lines=ENFORCED, dbd=True, shared_dirs=shared) as made:
        for words in ACCOUNTS:
            made.run(["sacctmgr", "-i", *words])
        made.run(["scontrol", "update", "PartitionName=closed", "State=DOWN"])
        yield made


@pytest.fixture
def member(tmp_path: Path, accounting: Cluster) -> Iterator[SlurmUser]:
    (tmp_path / "tmp").mkdir()
    user = SlurmUser(tmp_path, f"{os.getpid()}-{tmp_path.name}", accounting)
    yield user
    if jobs := list(user.queued()):
        user.slurm("scancel", *jobs)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["slurm.account=teem"], ["slurm.account: is no account of yours", "other", "did you mean team?"]),
        (["slurm.qos=lnog"], ["slurm.qos: is no QOS of yours", "long, normal", "did you mean long?"]),
        (["slurm.account=other", "slurm.qos=long"], ["slurm.qos: is no QOS of account other", "normal"]),
    ],
)
def test_what_slurm_refuses_comes_with_what_there_is(member: SlurmUser, settings: list[str], said: list[str]) -> None:
    """Before anything is written."""
    for verb in (["dry-run", "--check-cluster"], ["apply"]):
        done = member.srtctl(*verb, "-f", member.job(), *settings)
        assert done.returncode == 2, done.stdout + done.stderr
        assert all(text in done.stderr for text in said), done.stderr
    assert not (member.home / "outputs").exists()
    assert not member.queued()


def test_the_named_account_is_charged(member: SlurmUser) -> None:
    done = member.srtctl("apply", "-f", member.job(), "slurm.account=other")
    assert done.returncode == 0, done.stderr
    (job,) = member.queued()
    assert member.shown(job)["Account"] == "other"
    assert member.srtctl("cancel").returncode == 0
    assert not member.queued()


def test_a_cluster_that_is_named(member: SlurmUser) -> None:
    """sbatch answers with `number;cluster`, squeue with a heading for each cluster, outside and inside of the job."""
    more = {"SLURM_CLUSTERS": "testcluster"}
    words = ["slurm.time_limit=00:10:00", "--wait"]
    done = member.srtctl("apply", "-f", member.job("batch"), *words, env=more)
    assert done.returncode == 0, done.stdout + done.stderr
    events = (member.sweep() / "allocations/0000/attempt-0/events.jsonl").read_text().splitlines()
    (begun,) = (event for event in map(json.loads, events) if event["event"] == "slurm_job")
    assert begun["ends_at"] is not None
    done = member.srtctl("apply", "-f", member.job(), env=more)
    (record,) = member.manifest()["allocations"]
    assert record["job_id"] in member.queued()
    found = member.srtctl("status", env=more)
    assert "queued" in found.stdout, found.stdout + found.stderr
    done = member.srtctl("cancel", env=more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not member.queued()
    done = member.srtctl("dry-run", "-f", member.job(), "sbatch_directives.clusters=elsewhere")
    assert done.returncode == 2 and "SLURM_CLUSTERS=NAME" in done.stderr
