"""What a backend is: its keys, and the command, environment and probe of each of its workers' ranks."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from srtctl.errors import Problem
from srtctl.plan.model import Probe, RenderedFile, Worker
from srtctl.plan.ports import PortBook
from srtctl.plan.programs import Programs
from srtctl.schema import BackendConfig, JobConfig


@dataclass(frozen=True)
class RankCommand:
    """How one rank of a worker is started (tokens allowed everywhere)."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    probe: Probe | None = None
    flag_sources: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    flush: str = ""  # `host:port/path` where a POST empties its cache


def process_name(worker: Worker, rank: int) -> str:
    """`prefill0` for a worker's leader, `prefill0-rank1` for the others."""
    return worker.name if rank == 0 else f"{worker.name}-rank{rank}"


class Backend(Protocol):
    """One entry of the registry."""

    @property
    def type(self) -> str:
        """Its name in recipes."""

    @property
    def params(self) -> builtins.type[BackendConfig]:
        """The dataclass of its config node."""

    @property
    def engines_use_gpus(self) -> bool:
        """False for what only pretends."""

    @property
    def frontends(self) -> tuple[str, ...]:
        """Frontends that can stand before it."""

    def check(self, job: JobConfig) -> list[Problem]:
        """Everything wrong with this backend's part of the job."""

    def rank(
        self, job: JobConfig, worker: Worker, rank: int, programs: Programs, ports: PortBook, number: int
    ) -> RankCommand | None:
        """The command of one rank, None where this rank has nothing to run.

        Args:
            job: With `model.path` and `model.served_name` resolved.
            ports: Where to ask for ports; they are added to the plan.
            number: Ranks of all workers before this one.
        """

    def files(self, job: JobConfig, workers: Sequence[Worker]) -> tuple[RenderedFile, ...]:
        """Texts that belong to the deployment, written where its processes run."""

    def flags(self, job: JobConfig, role: str) -> Mapping[str, Any]:
        """The engine flags of a role after layering, canonical names (no dashes in front) -> value."""

    def instances(self, job: JobConfig) -> int:
        """How many engine instances one worker registers."""

    def provenance(self, job: JobConfig) -> Mapping[str, str | None]:
        """What to keep with the results: `engine_version`, and what it was taken to mean."""
