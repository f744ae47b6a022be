"""The `custom` benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.params import CustomConfig
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step


class Custom:
    """Registry entry."""

    type = "custom"
    params = CustomConfig

    def check(self, params: Any) -> list[Problem]:
        return []

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        return PointSteps(context.config_id, self.type, ())

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        return []
