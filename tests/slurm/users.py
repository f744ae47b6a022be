"""Tests and users of a cluster: which tests need one, and somebody at a shell of its login host."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.system.conftest import User

from .testcluster import Cluster, why_unavailable


def mark_slurm(items: Iterable[pytest.Item], fixtures: set[str]) -> None:
    """Mark those tests `slurm` that use one of these fixtures; omit them, by name, where no cluster can be had."""
    mine = [item for item in items if fixtures & set(getattr(item, "fixturenames", ()))]
    reason = why_unavailable() if mine else None
    for item in mine:
        item.add_marker(pytest.mark.slurm)
        if reason:  # its text has "needs root", by which the main conftest counts omissions
            item.add_marker(pytest.mark.skip(reason=reason))


class ClusterUser(User):
    """Somebody at a shell of the cluster's login host."""

    def __init__(self, home: Path, mark: str, cluster: Cluster):
        super().__init__(home, mark)
        self.cluster = cluster

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PATH": self.cluster.environment()["PATH"]}
