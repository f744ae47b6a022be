"""One node of the fleet: its agent's step, and what has come from it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srtctl.orchestrator.report import log_tail
from srtctl.orchestrator.srun import Place, real_end


@dataclass
class Member:
    """A node and its agent."""

    slot: int
    place: Place
    log: Path
    process: subprocess.Popen[bytes]
    begun: float
    node: dict[str, Any] | None = None
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    heard: float = 0.0  # monotonic
    clock_ahead_s: float | None = None
    quickest_s: float = float("inf")
    ended: int | None = None
    reported: bool = False

    def send(self, order: Mapping[str, Any]) -> None:
        """Write an order; one for an agent that is gone is lost."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    def why_ended(self) -> str:
        """How the agent's step ended, in words."""
        text = " | ".join(log_tail(self.log, 4))
        end = real_end(self.ended or 0, text)
        return end.what or f"its agent ended with {self.ended}" + (f": {text}" if text else "")
