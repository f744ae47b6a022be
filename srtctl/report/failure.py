"""The first cause of a failure, in one screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def failure_lines(status: Mapping[str, Any], directory: Path, tail: int = 10) -> list[str]:
    """Who failed first, what happened, its last words, and where to read on; empty when nothing failed.

    Args:
        status: The allocation's status.json.
        directory: The attempt's directory.
        tail: At most this many lines of the log.
    """
    cause = status.get("root_cause")
    if not cause:
        reason = status.get("reason")
        return [f"reason: {reason}"] if reason and status.get("outcome") not in (None, "ok") else []
    after = (cause.get("time") or 0) - (status.get("started_at") or 0)
    lines = [f"first cause: {cause.get('process')}: {cause.get('what')} ({after:.1f} s after the start)"]
    lines += [f"  | {line}" for line in (cause.get("log_tail") or ())[-tail:]]
    return [*lines, f"  log: {directory / 'logs' / _log_name(str(cause.get('process')))}"]


def _log_name(process: str) -> str:
    """A node is blamed as `node HOST`: its agent has a log beside those of the processes."""
    what, _, host = process.partition(" ")
    return f"nodes/{host}.log" if what == "node" and host else f"{process}.log"
