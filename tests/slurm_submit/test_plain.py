"""`cluster=slurm` with no further setting, on clusters with GPUs and without; and what the terminal shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.slurm.conftest import shared_directories
from tests.slurm.testcluster import Cluster, why_unavailable
from tests.system.conftest import SRTCTL

from .conftest import SlurmUser

JOB = ["cluster=slurm", "mode=agg", "benchmark.isl=64", "benchmark.osl=16", "benchmark.concurrencies=[2]"]


def test_it_runs_on_a_cluster_with_gpus(slurm_user: SlurmUser) -> None:
    done = slurm_user.srtctl("apply", *JOB, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    batch = (slurm_user.sweep() / "allocations/0000/batch.sh").read_text()
    assert "#SBATCH --gpus-per-node=8" in batch
    assert "--partition" not in batch
    job_id = slurm_user.manifest()["allocations"][0]["job_id"]
    assert slurm_user.shown(job_id)["NumCPUs"] == "64"  # all that the node has, not one
    shown = slurm_user.srtctl("dry-run", *JOB, "--sources").stdout
    assert "cluster.gpus_per_node: 8" in shown and "asked of Slurm (sinfo)" in shown


@pytest.mark.slurm
@pytest.mark.skipif(bool(why_unavailable()), reason=str(why_unavailable()))
def test_it_runs_on_a_cluster_without_gpus(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (tmp_path / "tmp").mkdir()
    with Cluster(tmp_path / "cluster", nodes=1, gpus=0, shared_dirs=shared_directories(tmp_path_factory)) as cluster:
        user = SlurmUser(tmp_path, tmp_path.name, cluster)
        done = user.srtctl("apply", *JOB, "--wait")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gpus" not in (user.sweep() / "allocations/0000/batch.sh").read_text()


@pytest.mark.parametrize("verb", ["apply", "dry-run"])
def test_a_reader_that_leaves_is_no_error(slurm_user: SlurmUser, verb: str) -> None:
    for command, unbuffered in (("head -1", "1"), ("true", "1"), ("true", "")):
        line = f"{SRTCTL} {verb} -f {slurm_user.job()} | {command}"
        done = subprocess.run(
            ["bash", "-c", line + "; echo ${PIPESTATUS[0]} >&2"],
            env=slurm_user.environment | {"PYTHONUNBUFFERED": unbuffered},
            cwd=slurm_user.home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr.splitlines()[-1] == "0", done.stderr
        assert "pipe" not in done.stderr.lower()
    if verb == "apply":
        assert len(slurm_user.queued()) == 3
