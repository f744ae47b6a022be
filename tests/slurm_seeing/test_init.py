"""`srtctl init` on clusters of different shapes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from srtctl.cli import main
from srtctl.compose import points
from srtctl.slurm import partitions as asked_partitions
from srtctl.slurm.describe import describe, main_partition
from srtctl.slurm.discover import NodeFacts, SlurmFacts, parse_node, parse_settings
from srtctl.slurm.partitions import Partition
from tests.slurm.conftest import MakeCluster
from tests.slurm.testcluster import Cluster
from tests.slurm.testcluster import Partition as ClusterPartition
from tests.slurm.testcluster.processes import until

Run = tuple[int, str, str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    for name in ("SRTCTL_CONF", "SRTSLURM_CONFIG", "SRTCTL_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    asked_partitions.partitions.cache_clear()
    return tmp_path / "home/srtctl/conf/cluster"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    def run_it(*words: str) -> Run:
        code = main(["init", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run_it


# ---- on a real cluster


def test_a_plain_cluster(slurm: Cluster, run: Callable[..., Run], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", slurm.environment()["PATH"])
    code, out, err = run("--yes")
    assert code == 0
    assert "wrote" in err
    file = home / "default.yaml"
    assert file.read_text() == out
    assert yaml.safe_load(out) == {
        "name": "testcluster", "executor": "slurm", "gpus_per_node": 8, "container_runtime": "none",
    }  # fmt: skip
    assert "interface eth0: 10.99.0.1" in out
    assert "interface fabric0: 10.98.0.1" in out
    assert "partition batch, the default: 4 nodes, 8 GPUs each, no time limit" in out
    assert "not kept" in out
    (point,) = points(["cluster=default"])
    assert point.config["cluster"]["name"] == "testcluster"
    assert slurm.run(["squeue", "-h"]).stdout == ""


def test_it_never_overwrites_without_saying_so(
    slurm: Cluster, run: Callable[..., Run], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", slurm.environment()["PATH"])
    assert run("--no-node")[0] == 2  # nobody was there to agree
    assert not home.exists()
    assert run("--no-node", "--dry-run")[0] == 0
    assert not home.exists()
    home.mkdir(parents=True)
    (home / "default.yaml").write_text("name: mine\n")
    code, out, err = run("--no-node")
    assert code == 2
    assert "-name: mine" in out
    assert "agrees to replace" in err
    assert (home / "default.yaml").read_text() == "name: mine\n"
    assert run("--no-node", "--yes")[0] == 0
    assert (home / "default.yaml.before").read_text() == "name: mine\n"
    assert "says this already" in run("--no-node", "--yes")[2]


def test_accounts_and_a_cluster_without_a_default_partition(
    make_slurm: MakeCluster, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = [ClusterPartition("small", "n1"), ClusterPartition("large", "n[1-2]", max_time="2:00:00")]
    cluster = make_slurm(nodes=2, gpus=0, partitions=shape, dbd=True)
    for words in (["add", "account", "team"], ["add", "user", "root", "account=team", "defaultaccount=team"]):
        cluster.run(["sacctmgr", "-i", *words], check=False)
    monkeypatch.setenv("PATH", cluster.environment()["PATH"])
    code, out, _ = run("--dry-run", "--partition", "large")
    found = yaml.safe_load(out)
    assert code == 0
    assert found["partition"] == "large"
    assert found["use_gpus_per_node_directive"] is False
    assert "02:00:00" in out
    assert "accounting: kept (slurmdbd)" in out
    assert "team" in out
    code, _, err = run("--dry-run", "--partition", "larg")
    assert code == 2
    assert "did you mean large?" in err


def test_a_busy_cluster_is_described_without_a_node(
    slurm: Cluster, run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", slurm.environment()["PATH"])
    monkeypatch.setattr("srtctl.slurm.discover.PROBE_WAIT_S", 1)
    job = slurm.run(["sbatch", "--parsable", "-N4", "--exclusive", "-o/dev/null", "--wrap", "sleep 60"]).stdout.strip()
    try:
        until(lambda: slurm.run(["squeue", "-h", "-o", "%T"]).stdout.strip() == "RUNNING", 20, "the nodes are taken")
        code, out, _ = run("--dry-run")
    finally:
        slurm.run(["scancel", job])
        slurm.wait_idle()
    assert code == 0
    assert "No node could be asked" in out


# ---- anywhere


def test_without_slurm_it_says_what_is_missing(run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    code, _, err = run()
    assert code == 3
    assert "`scontrol` was not found" in err


def test_from_a_file_of_srt_slurm(run: Callable[..., Run], home: Path) -> None:
    Path("srtslurm.yaml").write_text("default_account: a\ndefault_sbatch_directives: {comment: '${X}'}\n")
    assert run("--from", "srtslurm.yaml", "--yes", "--name", "ours")[0] == 0
    (point,) = points(["cluster=ours"])
    assert point.config["cluster"]["account"] == "a"
    assert point.config["cluster"]["sbatch_directives"] == {"comment": "${X}"}
    Path("srtslurm.yaml").write_text("default_acount: a\n")
    code, _, err = run("--from", "srtslurm.yaml", "--yes")
    assert code == 2
    assert "did you mean default_account?" in err


def test_a_name_that_is_none(run: Callable[..., Run]) -> None:
    assert run("--name", "../x")[0] == 2


NODE = """\
host gpu01
architecture aarch64
python 3.9 /usr/bin/python3
python 3.12 /usr/bin/python3.12
interface enP6p9s0np0 10.1.2.3/16
interface ib0 10.2.2.3/16
route enP6p9s0np0
gpu NVIDIA GB200, 189471
gpu NVIDIA GB200, 189471
"""
FACTS = SlurmFacts(
    "nvl", "24.11.5", (Partition("batch", True, True, 14400.0, 18, 4), Partition("old", False, False, None, 2, 8)),
    ("team", "other"), "", "slurmdbd", True, True,
)  # fmt: skip


def test_a_cluster_with_containers_and_another_architecture() -> None:
    partition = main_partition(FACTS, None)
    assert partition is not None
    text = describe(FACTS, partition, parse_node(NODE), "", None)
    other = {} if os.uname().machine == "aarch64" else {"architecture": "aarch64"}
    assert yaml.safe_load(text) == other | {
        "name": "nvl", "executor": "slurm", "account": "team", "gpus_per_node": 4, "gpu_type": "gb200",
        "gpu_memory_gib": 185.0, "python": "/usr/bin/python3.12", "container_runtime": "pyxis",
    }  # fmt: skip
    assert "your accounts: team, other" in text
    assert "takes no jobs at present" in text


def test_nodes_without_a_python_that_is_new_enough() -> None:
    node = NodeFacts("n1", "x86_64", (("3.6", "/usr/bin/python3"),), (("eno1", "10.0.0.1/8"),))
    text = describe(FACTS, FACTS.partitions[0], node, "", "mine")
    assert "NEEDED" in text
    assert "found: 3.6" in text
    assert yaml.safe_load(text)["network_interface"] == "eno1"
    assert yaml.safe_load(text)["account"] == "mine"


def test_the_nodes_have_the_same_interpreter() -> None:
    node = NodeFacts("n1", "x86_64", (("3.11", sys.executable),), (), "eth0")
    assert "python" not in yaml.safe_load(describe(FACTS, FACTS.partitions[0], node, "", None))


def test_settings_as_slurm_prints_them() -> None:
    text = "Configuration data as of now\nClusterName             = a = b\nJobCompLoc  = /x\n"
    assert parse_settings(text) == {"ClusterName": "a = b", "JobCompLoc": "/x"}
