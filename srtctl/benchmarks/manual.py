"""`manual`: nothing is sent; the servers stay up until they are told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Type

from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.params import ManualConfig
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig


class Manual:
    """Registry entry."""

    type = "manual"
    params: Type[BenchmarkConfig] = ManualConfig

    def check(self, params: Any) -> list[Problem]:
        """Nothing can be wrong: nothing is used."""
        return []

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step that holds the servers."""
        step = Step("hold", self.type, slot=context.slot, timeout_s=params.timeout_s, hold=True)
        return PointSteps(context.config_id, self.type, (step,))

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """Nothing was measured."""
        return []

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """There is nothing to count."""
        return None
