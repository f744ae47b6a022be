"""What a backend is: its keys, and the command, environment and probe of each of its workers' ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from srtctl.errors import Problem
from srtctl.plan.model import PortRequest, Probe, RenderedFile, Worker
from srtctl.plan.programs import Programs
from srtctl.schema import BackendConfig, JobConfig


@dataclass(frozen=True)
class RankCommand:
    """How one rank of a worker is started (tokens allowed everywhere)."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortRequest, ...] = ()
    probe: Probe | None = None
    files: tuple[RenderedFile, ...] = ()
    flag_sources: Mapping[str, str] = field(default_factory=dict)


class Backend(Protocol):
    """One entry of the registry."""

    type: str
    params: type[BackendConfig]
    engines_use_gpus: bool

    def check(self, job: JobConfig) -> list[Problem]:
        """Everything wrong with this backend's part of the job."""

    def rank(self, job: JobConfig, worker: Worker, rank: int, programs: Programs, node_index: int) -> RankCommand:
        """The command of one rank; `node_index` counts the processes placed on its node before it."""

    def flags(self, job: JobConfig, role: str) -> Mapping[str, Any]:
        """The engine flags of a role after layering, canonical names (no dashes in front) -> value."""
