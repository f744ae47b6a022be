"""Is every program the one that was planned for? Asked in the run's first moments, all at once, beside the start."""

from __future__ import annotations

import re
from pathlib import Path

from srtctl.orchestrator.events import Event, Exited, NotStarted
from srtctl.orchestrator.failures import Failure, how_to_get
from srtctl.orchestrator.srun import without_noise
from srtctl.orchestrator.starter import Spawn
from srtctl.orchestrator.state import describe_exit
from srtctl.orchestrator.supervisor import Supervisor
from srtctl.plan.model import Process

PREFIX = "version-of-"


class VersionChecks:
    """Runs each distinct `version_argv` once and compares what it prints with `version_want`.

    Attributes:
        found: Process name -> first line of the program's answer.
    """

    def __init__(self, supervisor: Supervisor):
        self._supervisor = supervisor
        self._open: dict[str, Process] = {}
        self._outputs: dict[str, Path] = {}
        self.found: dict[str, str] = {}
        supervisor.listeners.append(self.handle)

    @property
    def done(self) -> bool:
        return not self._open

    def start(self, process: Process, spawn: Spawn) -> None:
        """Ask the program behind `process` (its tokens replaced) for its version."""
        self._open[spawn.name] = process
        self._outputs[spawn.name] = spawn.log
        self._supervisor.starter.start(spawn)

    def handle(self, event: Event) -> None:
        """Take the answer, if the event is one."""
        if not isinstance(event, Exited | NotStarted) or event.name not in self._open:
            return
        process = self._open.pop(event.name)
        if isinstance(event, NotStarted):
            self._fail(process, event.at, f"the program is missing: {event.text}")
            return
        text = without_noise(self._outputs[event.name].read_text(encoding="utf-8", errors="replace")).strip()
        self.found[process.name] = text.splitlines()[0] if text else ""
        want = process.version_want
        if event.code != 0 and (not want or not re.search(want, text)):
            answer = f" ({text.splitlines()[-1]})" if text else ""
            self._fail(process, event.at, f"its version could not be read: {describe_exit(event.code)}{answer}")
        elif want and not re.search(want, text):
            needed = process.version_needed or f"what matches {want!r}"
            self._fail(process, event.at, f"wrong version: it says {self.found[process.name]!r}, {needed} is needed")

    def _fail(self, process: Process, at: float, what: str) -> None:
        program = process.version_argv[0]
        source = how_to_get(process.role) or " (it is named in cluster.tools)"
        text = f"{what}; program {program}{source}"
        self._supervisor.fail(Failure(process.name, at, text, explains=True))


def distinct(processes: tuple[Process, ...]) -> list[Process]:
    """One process for each program whose version is to be checked."""
    found = {(p.version_argv, p.version_want): p for p in reversed(processes) if p.version_argv}
    return list(reversed(found.values()))
