"""Clusters for tests. Each test process has its own; without root these tests are omitted, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .spank import build_plugin, host_image, squash
from .testcluster import Cluster
from .users import mark_slurm

MakeCluster = Callable[..., Cluster]
_FIXTURES = {"slurm", "container_slurm", "fresh_slurm", "make_slurm"}

# A dead node is noticed after 7 to 12 s instead of a minute.
QUICK_TO_NOTICE = ("SlurmdTimeout=3", "MessageTimeout=3")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_slurm(items, _FIXTURES)


def shared_directories(factory: pytest.TempPathFactory) -> list[Path]:
    """What nodes share although it is in /tmp: the directories of all tests of this run."""
    base = factory.getbasetemp()
    return [base.parent if base.name.startswith("popen-") else base]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A plain cluster, 4 nodes of 8 GPUs, shared by the tests of this process: leave it as you found it."""
    directory = tmp_path_factory.mktemp("slurm")
    with Cluster(directory, shared_dirs=shared_directories(tmp_path_factory)) as cluster:
        yield cluster


@pytest.fixture
def make_slurm(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeCluster]:
    """Start clusters of any shape (arguments of `Cluster` after the directory); they end with the test."""
    started: list[Cluster] = []

    def make(**shape: Any) -> Cluster:
        shared = [*shared_directories(tmp_path_factory), *shape.pop("shared_dirs", ())]
        cluster = Cluster(tmp_path / f"cluster{len(started)}", shared_dirs=shared, **shape)
        started.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in started:
        cluster.stop()


@pytest.fixture
def fresh_slurm(make_slurm: MakeCluster) -> Cluster:
    """A cluster for one test that harms it; 4 nodes of 8 GPUs, quick to notice that one is gone."""
    return make_slurm(slurm_conf_lines=QUICK_TO_NOTICE)


@pytest.fixture(scope="session")
def container_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in that stands in for pyxis, compiled."""
    return build_plugin(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of images; it is the plug-in's registry too (`docker://registry.test/team/engine:1`).

    `engine` (directory) and `engine.sqsh` hold this machine's programs and this checkout's Python environment.
    """
    place = tmp_path_factory.mktemp("images")
    engine = host_image(place / "engine", "engine", environment={"FROM_IMAGE": "yes", "CONTESTED": "image"})
    squash(engine, place / "engine.sqsh")
    (place / "docker+++registry.test+team+engine+1").symlink_to("engine")
    return place


@pytest.fixture(scope="session")
def container_slurm(
    tmp_path_factory: pytest.TempPathFactory, container_plugin: Path, images: Path
) -> Iterator[Cluster]:
    """As `slurm`, with the stand-in for pyxis."""
    with Cluster(
        tmp_path_factory.mktemp("container-slurm"),
        plugstack=[f"required {container_plugin} registry={images}"],
        shared_dirs=shared_directories(tmp_path_factory),
    ) as cluster:
        yield cluster
