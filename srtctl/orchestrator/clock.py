"""The two clocks of a run, behind one small object so that tests can turn them by hand."""

from __future__ import annotations

import time


class Clock:
    """Real time."""

    def now(self) -> float:
        """Seconds of a clock that never jumps: for deadlines."""
        return time.monotonic()

    def wall(self) -> float:
        """Unix seconds: for what people and other machines read."""
        return time.time()
