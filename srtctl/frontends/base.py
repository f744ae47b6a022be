"""What a frontend is: the process that takes requests and routes them to workers."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from srtctl.errors import Problem
from srtctl.plan.model import Probe, Worker
from srtctl.plan.ports import PortBook
from srtctl.plan.programs import Programs
from srtctl.schema import FrontendConfig, JobConfig


@dataclass(frozen=True)
class FrontendPlace:
    """Where one frontend runs.

    Attributes:
        name: Of its process; the port for requests is called `<name>/http`.
        slot: Its node.
        listen: Address to bind for requests.
    """

    name: str
    slot: int
    listen: str

    @property
    def port(self) -> str:
        """Name of the port for requests."""
        return f"{self.name}/http"


@dataclass(frozen=True)
class FrontendCommand:
    """How one frontend is started (tokens allowed everywhere), and the signal that ends it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    probe: Probe | None = None
    stop_signal: str = "TERM"


class Frontend(Protocol):
    """One entry of the registry."""

    @property
    def type(self) -> str:
        """Its name in recipes, and the kind of its census."""

    @property
    def params(self) -> builtins.type[FrontendConfig]:
        """The dataclass of its config node."""

    @property
    def discovery(self) -> bool:
        """True when it finds workers through etcd and NATS, false when it is told their addresses."""

    @property
    def flush_paths(self) -> tuple[str, ...]:
        """POST paths that empty the workers' caches."""

    def entries(self, job: JobConfig, flags: Mapping[str, Any]) -> int:
        """How often one engine with these flags stands in its list of workers."""

    def check(self, job: JobConfig) -> list[Problem]:
        """Everything wrong with this frontend's part of the job."""

    def command(
        self, job: JobConfig, place: FrontendPlace, workers: Sequence[Worker], programs: Programs, ports: PortBook
    ) -> FrontendCommand:
        """The command of one frontend; ports beside the one for requests are asked for in `ports`."""


def owned_args(job: JobConfig, owned: Sequence[str]) -> list[Problem]:
    """Flags under `frontend.args` that placement decides."""
    return [
        Problem("owned-flag", "placement decides this flag", f"frontend.args.{name}", value, hint="remove it")
        for name, value in job.frontend.args.items()
        if name.lstrip("-").replace("_", "-") in owned
    ]
