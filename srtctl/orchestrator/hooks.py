"""What the supervisor asks of the rest of a run, so that tests can answer instead."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from srtctl.orchestrator.starter import Spawn
from srtctl.plan.model import Probe, Process


def stopped_by(number: int) -> tuple[str, str]:
    """Outcome and reason of a run that a signal has stopped."""
    return "cancelled", f"stopped by {signal.Signals(number).name}"


class Probing(Protocol):
    """Probes processes (see `probes.Prober`)."""

    last_seen: dict[str, str]

    def start(self, name: str, generation: int, probe: Probe) -> None: ...

    def cancel(self, name: str) -> None: ...


@dataclass
class Hooks:
    """What the supervisor asks the rest of the run.

    Attributes:
        spawn: A process of the plan -> how to start it now, and its probe, tokens replaced.
        rebind: New ports for a process whose own were taken; returns all that must be started again.
        stop_asked: Why the run should stop, empty while it should not (the file `stop`, the time limit).
        signalled: A signal that asks us to stop -> outcome and reason.
    """

    spawn: Callable[[Process], tuple[Spawn, Probe | None]]
    rebind: Callable[[str], set[str]] = lambda name: {name}
    stop_asked: Callable[[], tuple[str, str]] = lambda: ("", "")
    signalled: Callable[[int], tuple[str, str]] = stopped_by
