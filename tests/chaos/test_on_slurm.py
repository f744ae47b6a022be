"""A few rounds on a Slurm cluster of two nodes; `python -m tests.chaos --slurm` plays hundreds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.rounds import play
from tests.chaos.slurm import OnSlurm
from tests.slurm.conftest import shared_directories
from tests.slurm.testcluster import Cluster, why_unavailable
from tests.system.conftest import User, user  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnSlurm]:
    directory = tmp_path_factory.mktemp("chaos-slurm")
    with Cluster(directory, nodes=2, gpus=2, shared_dirs=shared_directories(tmp_path_factory)) as cluster:
        yield OnSlurm(cluster)


@pytest.mark.slurm
@pytest.mark.skipif(bool(why_unavailable()), reason=str(why_unavailable()))
@pytest.mark.parametrize("seed", [2, 13, 59])  # cancel, kill apply, end the job
def test_nothing_is_lost_or_left(user: User, place: OnSlurm, seed: int) -> None:  # noqa: F811 - the fixture above
    assert play(user, place, seed).wrong == []
