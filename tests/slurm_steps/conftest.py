"""The clusters of tests/slurm, for jobs that the orchestrator runs in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from srtctl.plan.model import Plan, PointSteps
from srtctl.pyz import write_pyz
from tests.orchestrator.stack import write_allocation
from tests.slurm.conftest import (
    container_plugin,
    container_slurm,
    fresh_slurm,
    images,
    make_slurm,
    pytest_collection_modifyitems,
    slurm,
)
from tests.slurm.testcluster import Cluster
from tests.slurm_submit.conftest import SlurmUser

from .job import Job

__all__ = [
    "container_plugin",
    "container_slurm",
    "fresh_slurm",
    "images",
    "make_slurm",
    "pytest_collection_modifyitems",
    "slurm",
]

Submit = Callable[..., Job]


@pytest.fixture
def submit(tmp_path: Path) -> Iterator[Submit]:
    """Submit a plan: `submit(cluster, plan, points, *options of sbatch)`; what still runs at the end is cancelled."""
    jobs: list[Job] = []

    def begin(cluster: Cluster, plan: Plan, points: list[PointSteps], *options: str) -> Job:
        root = tmp_path / f"job{len(jobs)}"
        root.mkdir()
        allocation = write_allocation(root, plan, points)
        write_pyz(allocation.pyz)
        jobs.append(Job(cluster, allocation, len(plan.slots), options))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.close()


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[Callable[[Cluster], SlurmUser]]:
    """Somebody at a shell of a cluster's login host."""
    (tmp_path / "tmp").mkdir()
    users: list[SlurmUser] = []

    def sit_down(cluster: Cluster) -> SlurmUser:
        users.append(SlurmUser(tmp_path, f"{os.getpid()}-{tmp_path.name}", cluster))
        return users[-1]

    yield sit_down
    for user in users:
        if jobs := list(user.queued()):
            user.slurm("scancel", *jobs)
        user.cluster.wait_clean(15)
