"""A run in a job: every process a step on its node, and nothing left when it has ended."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from srtctl.plan.model import PortRequest
from tests.slurm.testcluster import Cluster

from .conftest import Submit
from .plans import RESULT, nodes_plan, quick, witness


def test_steps_on_their_nodes(slurm: Cluster, submit: Submit) -> None:
    """Several on a node, each with its own GPUs, variables, directory and log; stopped in order; nothing left."""
    plan = nodes_plan(
        witness("decode0", 1, env={"CUDA_VISIBLE_DEVICES": "2,3", "PLAIN": "a b'c\"$(id)"}),
        witness("decode1", 1, env={"PLAIN": "@node:slot1@ has @host:slot1@"}),
        ports=(PortRequest("frontend0/http", 0, 0), PortRequest("decode0/http", 1, 8123)),
    )
    job = submit(slurm, plan, [quick(slot=1)])
    status = job.ended()
    assert status["outcome"] == "ok", job.log()
    hosts = {one["name"]: one["host"] for one in status["processes"]}
    assert hosts == {"frontend0": "n1", "decode0": "n2", "decode1": "n2", "client": "n2"}
    text = job.attempt.log("decode0").read_text()
    assert "host=n2" in text
    assert "CUDA_VISIBLE_DEVICES=2,3\n" in text
    assert "PLAIN=a b'c\"$(id)\n" in text
    assert f"cwd={job.attempt.path}\n" in text
    assert "ended in order" in text
    assert re.search(r"TMPDIR=/tmp/srtctl-\d+-\w+/tmp\n", text)
    assert "CUDA_VISIBLE_DEVICES=0,1,2,3\n" in job.attempt.log("decode1").read_text()
    assert "PLAIN=n2 has 10.99.0.12\n" in job.attempt.log("decode1").read_text()
    nodes = json.loads(job.attempt.environment.read_text())["nodes"]
    assert [nodes[f"slot{n}"]["host"] for n in range(2)] == ["n1", "n2"]
    assert [nodes[f"slot{n}"]["address"] for n in range(2)] == ["10.99.0.11", "10.99.0.12"]
    assert nodes["slot1"]["machine"]["host"] == "n2"
    assert abs(nodes["slot1"]["clock_ahead_s"]) < 0.25
    assert job.result()["rows"]
    slurm.wait_clean()


def test_the_wanted_interface_is_used(slurm: Cluster, submit: Submit) -> None:
    job = submit(slurm, nodes_plan(network_interface="fabric0"), [quick()])
    status = job.ended()
    assert status["outcome"] == "ok", job.log()
    assert status["endpoint"].startswith("10.98.0.11:")


def test_a_plan_for_slurm_runs_only_there(slurm: Cluster, submit: Submit, tmp_path: Path) -> None:
    job = submit(slurm, nodes_plan(nodes=3), [quick()], "--nodes=2")
    assert job.gone() == "FAILED"
    assert "job " in job.log()
    assert "has 2 nodes, which is fewer than the plan needs" in job.log()


@pytest.mark.parametrize("values", [{"PLAIN": "planted-9c31"}])
def test_values_are_in_no_command_line(slurm: Cluster, submit: Submit, values: dict[str, str]) -> None:
    look = (
        "import glob\n"
        "lines = [open(p, 'rb').read() for p in glob.glob('/proc/[0-9]*/cmdline')]\n"
        "assert lines and not any(b'planted-' + b'9c31' in line for line in lines)\n"
    )
    plan = nodes_plan(witness("decode0", 0, env=values))
    status = submit(slurm, plan, [quick(look + RESULT)]).ended()
    assert status["outcome"] == "ok", status
