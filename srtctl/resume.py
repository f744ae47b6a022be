"""What a sweep lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from srtctl.rundir import SweepDir


@dataclass(frozen=True)
class Resumption:
    """A sweep that is run again, as far as it lacks results."""

    directory: SweepDir
    manifest: dict[str, Any]
    withdrawn: frozenset[int] = frozenset()
    active_jobs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def next_allocation(self) -> int:
        return 1 + max((int(record["index"]) for record in self.manifest["allocations"]), default=-1)
