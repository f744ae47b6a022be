"""What can happen to nodes and to the controller does happen."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from .asking import job_state, on_every_node, state_of, submit
from .testcluster import Cluster
from .testcluster.processes import until


def test_a_crashed_node_is_noticed_and_comes_back(fresh_slurm: Cluster) -> None:
    job = submit(fresh_slurm, "--no-requeue", "-w", "n3", "-o", "/dev/null", "--wrap", "sleep 3218")
    until(lambda: len(fresh_slurm.processes_on("n3")) > 1, 10, "the job runs")
    fresh_slurm.node("n3").crash()
    assert fresh_slurm.processes_on("n3") == []
    until(lambda: state_of(fresh_slurm, "n3").startswith("down"), 30, "the crash is noticed", every_s=0.2)
    until(lambda: job_state(fresh_slurm, job) == "NODE_FAIL", 10, "the job has failed", every_s=0.2)
    fresh_slurm.node("n3").boot()
    fresh_slurm.wait_idle("n3")
    assert len(on_every_node(fresh_slurm, "hostname")) == 4


def test_a_node_that_hangs_goes_on(fresh_slurm: Cluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = "for i in $(seq 30); do echo $i; sleep 0.1; done"
    submit(fresh_slurm, "-w", "n2", "-o", out, "--wrap", script)
    until(lambda: out.exists() and bool(out.read_text()), 10, "the job runs")
    fresh_slurm.node("n2").pause()
    seen = out.read_text()
    time.sleep(0.5)
    assert out.read_text() == seen
    fresh_slurm.node("n2").resume()
    until(lambda: out.read_text().endswith("\n30\n"), 10, "the job goes on")


def test_cable_slurmd_and_power(fresh_slurm: Cluster) -> None:
    def reaches(name: str) -> bool:
        ask = f"import socket; socket.create_connection(('{name}', 6818), timeout=0.5)"
        return fresh_slurm.run([sys.executable, "-S", "-c", ask], check=False).returncode == 0

    node = fresh_slurm.node("n1")
    assert reaches("n1")
    node.unplug()
    assert not reaches("n1")
    node.plug()
    until(lambda: reaches("n1"), 10, "the cable is back")
    node.kill_slurmd()
    assert not reaches("n1")
    node.start_slurmd()
    until(lambda: reaches("n1"), 10, "slurmd is back")
    node.poweroff()
    assert node.init_pid() is None
    with pytest.raises(RuntimeError, match="n1 is down"):
        fresh_slurm.run(["true"], on="n1")
    node.boot()
    fresh_slurm.wait_idle()


def test_jobs_outlive_the_controller(fresh_slurm: Cluster, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = submit(fresh_slurm, "-o", out, "--wrap", "sleep 2; echo done")
    until(lambda: job_state(fresh_slurm, job) == "RUNNING", 10, "the job runs")
    fresh_slurm.restart_controller()  # first in order: what it has not saved, a killed one forgets
    fresh_slurm.kill_controller()
    assert fresh_slurm.run(["squeue"], check=False).returncode != 0
    fresh_slurm.start_controller()
    until(lambda: job_state(fresh_slurm, job) == "COMPLETED", 20, "the job ends", every_s=0.2)
    assert out.read_text() == "done\n"
