"""Workers that span nodes: each rank on its node, all of them at the leader's address, none of them to be missed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from srtctl.rundir import SweepDir

from .conftest import SlurmUser

# Nodes have two networks: Slurm's own is 10.99.0.x, and fabric0 is 10.98.0.x.
JOB = """
name: spanning
cluster:
  {{name: test, executor: slurm, gpus_per_node: 8, network_interface: fabric0, tools: {{sglang_python: {python}}}}}
model: {{path: "builtin:tiny"}}
resources: {{prefill_nodes: 2, prefill_workers: 1, decode_nodes: 2, decode_workers: 1}}
backend: {{type: sglang, sglang_config: {{common: {{tensor-parallel-size: 16}}}}}}
frontend: {{type: sglang-router, count: 1}}
benchmark: {{type: custom, command: "test ! -e {wait} || sleep 600; echo '{{\\"answer\\": 42}}' > result.json"}}
"""


@pytest.fixture
def recipe(slurm_user: SlurmUser) -> str:
    python = slurm_user.home / "sglang-python"
    text = Path(__file__).with_name("stand_in_sglang.py").read_text()
    python.write_text(f"#!{sys.executable} -ISu\n{text}")
    python.chmod(0o755)
    return str(slurm_user.write("spanning.yaml", JOB.format(python=python, wait=slurm_user.home / "wait")))


def told(user: SlurmUser) -> dict[str, dict[str, Any]]:
    """Process -> what its stand-in said first."""
    logs = SweepDir(user.sweep()).allocation(0).attempt(0).logs
    found = {}
    for path in logs.glob("*.log"):
        lines = [line for line in path.read_text().splitlines() if line.startswith('{"argv"')]
        if lines:
            found[path.stem] = json.loads(lines[0])
    return found


def after(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_each_rank_on_its_node(slurm_user: SlurmUser, recipe: str) -> None:
    done = slurm_user.srtctl("apply", "-f", recipe, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    status = slurm_user.status()
    hosts = {one["name"]: one["host"] for one in status["processes"]}
    seen = told(slurm_user)
    servers = {name: said for name, said in seen.items() if not name.startswith("frontend")}
    assert sorted(said["node"] for said in servers.values()) == ["n1", "n2", "n3", "n4"]
    assert {name: said["node"] for name, said in seen.items()} == {name: hosts[name] for name in seen}
    for role in ("prefill", "decode"):
        ranks = sorted((said for name, said in servers.items() if name.startswith(role)),
                       key=lambda said: int(after(said["argv"], "--node-rank")))  # fmt: skip
        assert [after(said["argv"], "--node-rank") for said in ranks] == ["0", "1"]
        assert {after(said["argv"], "--nnodes") for said in ranks} == {"2"}
        (meeting,) = {after(said["argv"], "--dist-init-addr") for said in ranks}
        assert meeting.partition(":")[0] == f"10.98.0.{10 + int(ranks[0]['node'][1:])}"
        for said in ranks:
            own = f"10.98.0.{10 + int(said['node'][1:])}"
            environment = said["environment"]
            assert environment["CUDA_VISIBLE_DEVICES"] == "0,1,2,3,4,5,6,7"
            assert (environment["GLOO_SOCKET_IFNAME"], environment["SGLANG_HOST_IP"]) == ("fabric0", own)
            assert environment["TMPDIR"].startswith("/tmp/srtctl-")
            assert after(said["argv"], "--host") == own
            assert after(said["argv"], "--tp-size") == "16"
    assert status["ready"]["seen"] == {"prefill": 1, "decode": 1}
    slurm_user.cluster.wait_clean()


def test_the_death_of_any_rank_is_the_cause(slurm_user: SlurmUser, recipe: str) -> None:
    """Its leader ends a moment later, and is a consequence."""
    slurm_user.write("wait", "")
    done = slurm_user.srtctl("apply", "-f", recipe)
    assert done.returncode == 0, done.stdout + done.stderr
    status = slurm_user.wait_for("the client runs", lambda status: status["phase"] == "measuring")
    node = next(one["host"] for one in status["processes"] if one["name"] == "decode0-rank1")
    found = slurm_user.cluster.processes_on(node)
    (pid,) = [one.pid for one in found if "--node-rank" in one.argv and one.argv[0] == sys.executable]
    os.kill(pid, signal.SIGKILL)
    status = slurm_user.wait_for("its end", lambda status: status["phase"] == "done")
    assert status["outcome"] == "failed"
    assert status["root_cause"]["process"] == "decode0-rank1", status["root_cause"]
    assert "SIGKILL" in status["root_cause"]["what"]
    assert "joined" in status["root_cause"]["log_tail"]
    slurm_user.cluster.wait_clean()
