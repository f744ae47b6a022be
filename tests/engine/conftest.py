"""The real engine: its environment, its model, and users who run it here or on a cluster of two nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import shared_directories
from tests.slurm.testcluster import Cluster, why_unavailable
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
        cluster.wait_clean(15)
