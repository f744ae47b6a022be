"""Why a run should stop: it is asked to, or its time is nearly over."""

from __future__ import annotations

import signal
from pathlib import Path

from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.hooks import stopped_by
from srtctl.plan.surroundings import SLURM_EARLY_S, Budgets

STOP_POLL_S = 0.1
MARGIN_S = 5.0  # between what Slurm and we take for the end of the job


class StopWatch:
    """Knows the file `stop` and the end of the job.

    Args:
        stop: The file whose existence asks for a stop.
        budgets: Of the plan.
        clock: The run's.
        ends_at: Unix seconds at which Slurm ends the job; None where the plan's own limit counts.
    """

    def __init__(self, stop: Path, budgets: Budgets, clock: Clock, ends_at: float | None = None):
        self._stop, self._clock = stop, clock
        self._early_s = budgets.early_warning_s
        self._left_s = budgets.time_limit_s if ends_at is None else max(0.0, ends_at - clock.wall())
        self._limit: float | None = None
        self._warned_from = 0.0
        if self._left_s is not None:
            end, half = clock.now() + self._left_s, self._left_s / 2
            # A warning time longer than the job itself must not end it before it began.
            self._limit = end - min(self._early_s, half)
            self._warned_from = end - min(self._early_s + SLURM_EARLY_S + MARGIN_S, half)
        self._looked = 0.0
        self._asked = False

    def asked(self) -> tuple[str, str]:
        """(outcome, reason) of a run that should stop now, two empty texts while it should not."""
        now = self._clock.now()
        if now - self._looked >= STOP_POLL_S:
            self._looked = now
            self._asked = self._stop.exists()
        if self._asked:
            return "cancelled", "asked to stop"
        if self._limit is not None and now >= self._limit:
            return "failed", self._near()
        return "", ""

    def signalled(self, signum: int) -> tuple[str, str]:
        """(outcome, reason) of a run that got a signal: Slurm also warns by one before the time limit."""
        if self._stop.exists():  # `srtctl cancel` sends a signal, too
            return "cancelled", "asked to stop"
        near = self._limit is not None and self._clock.now() >= self._warned_from
        if signum == signal.SIGTERM and near:
            return "failed", self._near()
        return stopped_by(signum)

    def _near(self) -> str:
        assert self._left_s is not None
        return f"the time limit is near ({self._left_s:.0f} s were left when the run began)"
