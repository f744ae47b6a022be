"""What the tests of the orchestrator share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import srtctl
from srtctl import rundir
from srtctl.plan.programs import Programs
from srtctl.pyz import write_pyz
from srtctl.schema import ToolsConfig
from srtctl.tools.find import find_programs

from .stack import Running


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The real programs; their absence is a failure, not a skip."""
    found, problems = find_programs(ToolsConfig())
    assert not problems
    assert {"etcd", "nats_server", "nginx", "dynamo_python"} <= set(found.paths)
    return found


@pytest.fixture(scope="session")
def model_dir() -> Path:
    return Path(srtctl.__file__).parent / "assets" / "tiny-model"


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyz") / "orchestrator.pyz"
    write_pyz(path)
    return path


@pytest.fixture
def start(pyz: Path) -> Iterator[Callable[..., Running]]:
    """Starts the orchestrator on an allocation directory; nothing outlives the test."""
    running: list[Running] = []

    def begin(allocation: rundir.AllocationDir, **more: object) -> Running:
        running.append(Running(pyz, allocation, **more))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for one in running:
        one.close()
