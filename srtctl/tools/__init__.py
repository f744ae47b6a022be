"""Programs that are not part of srtctl: where they are, which release, how to get them."""

from __future__ import annotations

from srtctl.tools.find import check_programs, find_programs, missing, tools_directory

__all__ = ["check_programs", "find_programs", "missing", "tools_directory"]
