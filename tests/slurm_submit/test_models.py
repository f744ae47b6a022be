"""Staging on nodes whose disks are their own."""

from __future__ import annotations

import shutil
from pathlib import Path

import srtctl
from tests.slurm_submit.conftest import SlurmUser

TINY = Path(srtctl.__file__).parent / "assets" / "tiny-model"
SHAPE = (
    "resources={agg_nodes: null, agg_workers: null, gpus_per_agg: null, prefill_nodes: 1, prefill_workers: 2, "
    "decode_nodes: 1, decode_workers: 1}"
)


def test_each_node_gets_a_copy_of_its_own_once(slurm_user: SlurmUser) -> None:
    """/tmp is each node's own on this cluster; the model lies on the shared file system."""
    source = slurm_user.home / "shared" / "tiny"
    shutil.copytree(TINY, source)
    stage = f"/tmp/raid-{slurm_user.home.name}"
    argv = ("apply", "-f", slurm_user.job("batch"), SHAPE, f"model.path={source}", f"model.stage_dir={stage}", "--wait")
    said = []
    for _ in range(2):
        done = slurm_user.srtctl(*argv, timeout_s=180)
        assert done.returncode == 0, done.stdout + done.stderr
        logs = slurm_user.sweep() / "allocations/0000/attempt-0/logs"
        names = sorted(path.name for path in logs.glob("weights*.log"))
        assert names == ["weights0.log", "weights1.log"]  # once for the two workers of the first node
        said.append([(logs / name).read_text() for name in names])
    files = len([path for path in TINY.rglob("*") if path.is_file()])
    assert all(f"copied {files} of {files} files" in text for text in said[0])
    assert all("is complete: nothing to copy" in text for text in said[1])
    slurm_user.slurm("srun", "--nodes=4", "--ntasks=4", "rm", "-rf", stage)
