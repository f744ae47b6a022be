"""Nodes whose GPUs stand beside another processor get programs for that one, or the job is refused."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from srtctl import compose
from srtctl.composed import ComposedPoint
from srtctl.errors import Severity, SrtctlError
from srtctl.prepare import prepare
from srtctl.site import completed
from srtctl.validate.gpus import compute_capability, host_architecture

SLURM = ["cluster=slurm", "cluster.gpus_per_node=4"]


@pytest.fixture(autouse=True)
def _login_node(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SRTCTL_CLUSTER", "SRTCTL_CONF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64", sysname="Linux", nodename="login"))


def point(*words: str) -> ComposedPoint:
    (found,) = compose.points([*words, "benchmark=manual"])
    return completed(found)


# NVIDIA's Grace superchips: GH200, GB200 and GB300 have Arm cores; the other boards go into x86 servers.
NODES = {
    "gb200-nvl72": (["cluster=gb200-nvl72"], "aarch64"),
    "gb300-nvl72": (["cluster=gb300-nvl72"], "aarch64"),
    "the cluster's GPUs": ([*SLURM, "cluster.gpu_type=NVIDIA_GB200"], "aarch64"),
    "the job's GPUs": ([*SLURM, "resources.gpu_type=gb300"], "aarch64"),
    "the cluster's before the job's": ([*SLURM, "cluster.gpu_type=h100", "resources.gpu_type=gb300"], None),
    "h200x8": (["cluster=h200x8"], None),
    "b200x8": (["cluster=b200x8"], None),
    "no GPUs at all": ([*SLURM, "cluster.gpu_type=gb200", "cluster.simulated_gpus=true"], None),
    "here": (["cluster=local", "cluster.gpu_type=gb200", "cluster.simulated_gpus=false"], None),
    "said otherwise": ([*SLURM, "cluster.gpu_type=gb200", "cluster.architecture=x86_64"], "x86_64"),
}


@pytest.mark.parametrize("name", NODES)
def test_which_processor_the_nodes_have(name: str) -> None:
    words, expected = NODES[name]
    assert point(*words).config["cluster"]["architecture"] == expected


def test_the_job_shows_where_it_came_from_and_says_that_it_is_another() -> None:
    found = point(*SLURM, "resources.gpu_type=gb200")
    assert found.sources.table["cluster.architecture"] == "follows from resources.gpu_type=gb200"
    (note,) = found.problems
    assert (note.key, note.severity) == ("resources.gpu_type", Severity.NOTE)
    assert note.message == "nodes with gb200 GPUs are aarch64, and this machine is x86_64"


def test_no_program_of_this_machine_is_planned_for_them(tmp_path: os.PathLike[str]) -> None:
    words = [*SLURM, "resources.gpu_type=gb200", f"cluster.tools.directory={tmp_path}", "model=tiny", "mode=disagg"]
    with pytest.raises(SrtctlError) as refused:
        prepare(compose.points([*words, "backend=mocker", "benchmark=manual"]))
    errors = {problem.key: problem for problem in refused.value.problems if problem.severity is Severity.ERROR}
    assert {"cluster.python", "cluster.tools.etcd", "cluster.tools.nats_server"} <= set(errors)
    assert "for nodes of aarch64" in errors["cluster.tools.etcd"].message
    assert "srtctl tools fetch --arch aarch64 services" in errors["cluster.tools.etcd"].hint


def test_names_of_gpus() -> None:
    said = ("gb200-nvl72", "NVIDIA_H100_80GB_HBM3", "B300", "l40s", "rtx-pro-6000", "", None)
    assert [compute_capability(name) for name in said] == [(10, 0), (9, 0), (10, 3), (8, 9), None, None, None]
    assert [host_architecture(name) for name in said] == ["aarch64", *([None] * 6)]
