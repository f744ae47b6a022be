"""The real engine: its environment, its model, and users who run it here or on a cluster of two nodes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import shared_directories
from tests.slurm.testcluster import Cluster, why_unavailable
from tests.slurm.testcluster.processes import until
from tests.slurm.users import ClusterUser
from tests.system.conftest import User, visit

from .model import make_model
from .stack import ENVIRONMENT

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.engine)


class EngineUser(User):
    """Somebody whose Python may keep what it compiles: engines import for minutes without that."""

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in super().environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


class EngineUserAtSlurm(EngineUser, ClusterUser):
    """The same at a shell of a cluster's login host."""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with random weights."""
    if not (ENVIRONMENT / "pins").exists() or (ENVIRONMENT / ".installing").exists():
        pytest.fail(f"there is no engine in {ENVIRONMENT}; `make test-engine` makes its environment", pytrace=False)
    return make_model(tmp_path_factory.mktemp("model") / "tiny")


def left_on(cluster: Cluster, node: str) -> list[str]:
    """What a job has left on a node, less what SGLang 0.5.23 leaves however it ends, which is 16 KiB.

    It never removes the table of its load, and it kills its children, Python's resource tracker among them, which
    would have removed a semaphore.
    """
    left = cluster.leftovers(node)
    files = [file for file in left.files if not file.startswith(("/dev/shm/sglang_loads_", "/dev/shm/sem.mp-"))]
    return [*map(str, left.processes), *files]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[EngineUser]:
    yield from visit(tmp_path, EngineUser)


@pytest.fixture
def at_slurm(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineUser]:
    reason = why_unavailable()
    if reason:
        pytest.skip(reason)
    with Cluster(tmp_path / "cluster", nodes=2, shared_dirs=shared_directories(tmp_path_factory)) as cluster:
        yield from visit(tmp_path, lambda home, mark: EngineUserAtSlurm(home, mark, cluster))
        with contextlib.suppress(TimeoutError):
            until(lambda: not any(left_on(cluster, name) for name in cluster.names), 15, "nothing is left")
        assert {name: left_on(cluster, name) for name in cluster.names} == {"n1": [], "n2": []}
