"""What the run tells the world: status.json, events.jsonl and plain lines on standard output."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.orchestrator import proctree
from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.state import Managed

SCHEMA_VERSION = 1
MIN_INTERVAL_S = 0.1  # between two writes of status.json
HEARTBEAT_S = 5.0  # it is written this often even if nothing has changed
TAIL_BYTES = 16384
TAIL_LINES = 20
TAIL_COLUMNS = 500


class Report:
    """Keeps the state of the run as the dictionary that status.json holds.

    A full disk must not keep us from stopping the servers: what can't be written is said once on standard error.
    """

    def __init__(self, attempt: rundir.AttemptDir, clock: Clock):
        self._attempt = attempt
        self._clock = clock
        self._written = 0.0
        self._dirty = True
        self._silent = False
        pid = os.getpid()
        now = clock.wall()
        self.data: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "phase": "starting",
            "outcome": None,
            "reason": None,
            "root_cause": None,
            "pid": pid,
            "pid_start": proctree.start_ticks(pid),
            "boot_id": proctree.boot_id(),
            "host": socket.gethostname(),
            "started_at": now,
            "updated_at": now,
            "ended_at": None,
            "endpoint": None,
            "endpoints": {},
            "processes": [],
            "ready": None,
            "points": [],
            "timings": {},
            "warnings": [],
        }

    @property
    def phase(self) -> str:
        return str(self.data["phase"])

    def now(self) -> float:
        """Unix seconds, of the run's own clock."""
        return self._clock.wall()

    def enter(self, phase: str) -> None:
        """Go to another phase; always written at once."""
        if self.data["phase"] != phase:
            self.data["phase"] = phase
            self.event("phase", phase=phase)
        self.flush(force=True)

    def event(self, event: str, **details: Any) -> None:
        """Add a line to events.jsonl."""
        try:
            rundir.append_event(self._attempt.events, {"t": self._clock.wall(), "event": event, **details})
        except OSError as error:
            self._complain(error)
        self._dirty = True

    def say(self, text: str) -> None:
        """A line for orchestrator.log."""
        seconds = self._clock.wall() - self.data["started_at"]
        try:
            print(f"[{seconds:8.2f} s] {text}", flush=True)
        except OSError as error:
            self._complain(error)

    def warn(self, text: str) -> None:
        """A warning: in status.json, once, and on standard output."""
        if text not in self.data["warnings"]:
            self.data["warnings"].append(text)
            self.event("warning", text=text)
            self.say(f"warning: {text}")

    def timing(self, name: str, seconds: float) -> None:
        self.data["timings"][name] = round(seconds, 4)
        self._dirty = True

    def changed(self) -> None:
        self._dirty = True

    def processes(self, managed: Iterable[Managed]) -> None:
        """Copy the states of the processes."""
        self.data["processes"] = [_process(one) for one in managed]
        self._dirty = True

    def flush(self, force: bool = False) -> None:
        """Write status.json if something has changed and the last write is not too fresh."""
        now = self._clock.now()
        due = now - self._written >= (MIN_INTERVAL_S if self._dirty else HEARTBEAT_S)
        if not (force or due):
            return
        self._written = now
        self._dirty = False
        self.data["updated_at"] = self._clock.wall()
        try:
            rundir.write_json(self._attempt.status, self.data)
        except OSError as error:
            self._dirty = True
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._silent:
            self._silent = True
            print(f"warning: can't write the state of this run: {error}", file=sys.stderr)


def _process(one: Managed) -> Mapping[str, Any]:
    return {
        "name": one.name,
        "role": one.process.role,
        "slot": one.process.slot,
        "host": one.host,
        "state": one.state.value,
        "pid": one.pid,
        "started_at": one.started_at,
        "ready_at": one.ready_at,
        "exit_code": one.exit_code,
        "exited_at": one.exited_at,
    }


def log_tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log, each cut to a sensible length; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.rstrip()[:TAIL_COLUMNS] for line in text.splitlines() if line.strip()][-lines:]
