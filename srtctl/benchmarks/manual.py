"""The `manual` benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.params import ManualConfig
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step


class Manual:
    """Registry entry."""

    type = "manual"
    params = ManualConfig

    def check(self, params: Any) -> list[Problem]:
        return []

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        return PointSteps(context.config_id, self.type, ())

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        return []
