"""The clusters of tests/slurm, for jobs that the orchestrator runs in."""

from __future__ import annotations

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
