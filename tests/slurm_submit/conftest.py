"""A user who submits to a cluster of this test run's own, whose partition `closed` takes jobs and starts none."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.conftest import shared_directories
from tests.slurm.testcluster import Cluster, Partition
from tests.slurm.users import ClusterUser, mark_slurm
from tests.system.conftest import SRTCTL, visit

_FIXTURES = {"cluster", "slurm_user"}

# One mocker and a client that is a shell command; `on_closed` makes it wait for ever in the queue.
JOB = """
name: job
cluster: {{name: test, executor: slurm, gpus_per_node: 8{cluster}}}
model: {{path: "builtin:tiny"}}
resources: {{agg_nodes: 1, agg_workers: 1, gpus_per_agg: 1}}
backend: {{type: mocker, speedup_ratio: 100}}
frontend: {{type: dynamo, count: 1}}
benchmark: {{type: custom, command: "echo '{{\\"answer\\": 42}}' > result.json"}}
slurm: {{partition: {partition}}}
{more}
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_slurm(items, _FIXTURES)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    partitions = (
        Partition("batch", default=True),
        Partition("small", nodes="n[1-2]"),
        Partition("short", max_time="0:40:00"),
        Partition("closed"),
    )
    directory = tmp_path_factory.mktemp("slurm")
    with Cluster(directory, partitions=partitions, shared_dirs=shared_directories(tmp_path_factory)) as started:
        started.run(["scontrol", "update", "PartitionName=closed", "State=DOWN"])
        started.run(["scontrol", "update", "NodeName=n[1-2]", "AvailableFeatures=fast", "ActiveFeatures=fast"])
        yield started


class SlurmUser(ClusterUser):
    """The same, with jobs of this test."""

    def job(self, partition: str = "closed", more: str = "", cluster: str = "", name: str = "job.yaml") -> str:
        """A recipe's path."""
        return str(self.write(name, JOB.format(partition=partition, more=more, cluster=cluster)))

    def slurm(self, *argv: str) -> str:
        """What one of Slurm's programs prints."""
        return subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=True).stdout

    def shown(self, job_id: str) -> dict[str, str]:
        """`scontrol show job`, its fields."""
        lines = self.slurm("scontrol", "show", "job", job_id).splitlines()
        fields: dict[str, str] = {}
        for line in map(str.strip, lines):
            whole = line.startswith(("Command=", "WorkDir=", "StdOut=", "Comment="))
            for word in [line] if whole else line.split():
                key, _, value = word.partition("=")
                fields.setdefault(key, value)
        return fields

    def queued(self) -> dict[str, str]:
        """Job id -> working directory of all jobs of this test."""
        rows = (line.partition("|") for line in self.slurm("squeue", "-h", "-o", "%i|%Z").splitlines())
        return {job: where for job, _, where in rows if where.startswith(str(self.home))}

    def manifest(self) -> dict[str, Any]:
        """The newest sweep's."""
        return dict(json.loads((self.sweep() / "sweep.json").read_text()))

    def start(self, *argv: str, **variables: str) -> subprocess.Popen[str]:
        """Start one command and go on."""
        pipe, environment = subprocess.PIPE, self.environment | variables
        return subprocess.Popen(
            [str(SRTCTL), *argv], cwd=self.home, env=environment, stdout=pipe, stderr=pipe, text=True
        )


@pytest.fixture
def slurm_user(tmp_path: Path, cluster: Cluster) -> Iterator[SlurmUser]:
    for user in visit(tmp_path, lambda home, mark: SlurmUser(home, mark, cluster)):
        yield user
        jobs = list(user.queued())
        if jobs:
            user.slurm("scancel", *{job.partition("+")[0] for job in jobs})
