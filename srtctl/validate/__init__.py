"""Everything that can be known to be wrong before anything starts."""

from __future__ import annotations

from srtctl.validate.types import build_job

__all__ = ["build_job"]
