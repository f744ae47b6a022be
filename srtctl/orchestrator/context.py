"""What the parts of a run share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.orchestrator.bind import Bound
from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.environment import without
from srtctl.orchestrator.events import Inbox
from srtctl.orchestrator.probes import Look
from srtctl.orchestrator.report import Report
from srtctl.orchestrator.starter import Spawn
from srtctl.orchestrator.supervisor import Supervisor
from srtctl.plan.model import ROLES, Plan, Probe, Process, Step

CLIENT = "client"
SERVING = (*ROLES, "frontend")  # the roles of what takes part in serving, and comes with the image


@dataclass
class Context:
    """One run: its plan, its directories, and the parts that do the work.

    Attributes:
        environment: What every process starts from.
        last_ready_at: Unix seconds at which the last server became ready.
        client: How the current client is to be started.
    """

    plan: Plan
    allocation: rundir.AllocationDir
    sweep: rundir.SweepDir
    attempt: rundir.AttemptDir
    bound: Bound
    report: Report
    clock: Clock
    inbox: Inbox
    environment: Mapping[str, str]
    supervisor: Supervisor = field(init=False)
    last_ready_at: float | None = None
    client: Spawn | None = None

    def spawn(self, process: Process) -> tuple[Spawn, Probe | None]:
        """How to start a process now, and its probe."""
        if process.name == CLIENT and self.client is not None:
            return self.client, None
        bound = self.bound.process(process)
        spawn = Spawn(
            name=process.name,
            argv=bound.argv,
            env={**self._base(process.slot), **bound.env},
            cwd=self.attempt.path,
            log=self.attempt.log(process.name),
            setup=bound.setup,
            slot=process.slot,
            container=process.container,
            own=self._own(bound.env),
            image=process.image,
            workdir=self.plan.container.workdir if process.role in SERVING else "",
        )
        return spawn, bound.probe

    def _own(self, environment: Mapping[str, str]) -> frozenset[str]:
        """Names of what is set for a process beside what it inherits."""
        passed = [name for name in self.plan.pass_environment if name in self.environment]
        return frozenset({*environment, *passed, "TMPDIR"})

    def _base(self, slot: int) -> dict[str, str]:
        """What every process on a slot starts from."""
        return {**self.environment, "TMPDIR": self.bound.temporary(slot)}

    def version_spawn(self, process: Process, name: str) -> tuple[Process, Spawn]:
        """How to ask for the version of a process's program."""
        argv = tuple(self.bound.text(a) for a in process.version_argv)
        log = self.attempt.path / "versions" / f"{process.name}.txt"
        log.parent.mkdir(exist_ok=True)
        environment = {**self._base(process.slot), **self.bound.process(process).env}
        own = self._own(process.env)
        spawn = Spawn(
            name, argv, environment, self.attempt.path, log, slot=process.slot, container=process.container, own=own,
            image=process.image,
        )  # fmt: skip
        return process, spawn

    def client_spawn(self, step: Step, directory: Path, unset: tuple[str, ...]) -> Spawn:
        """How to start the client of a step whose tokens are replaced."""
        environment = {**without(self._base(step.slot), unset), **step.env}
        return Spawn(
            name=CLIENT,
            argv=step.argv,
            env=environment,
            cwd=directory,
            log=directory / "client.log",
            slot=step.slot,
            container=step.container,
            own=self._own(step.env),
            image=step.image,
        )

    def frontends(self) -> tuple[str, ...]:
        """`host:port` of every frontend."""
        return tuple(self.bound.text(address) for address in self.plan.census.frontends)

    def endpoint(self) -> str:
        """`host:port` of the public entrance."""
        return self.bound.text(self.plan.endpoint)

    def look(self, key: str, function: Callable[[], Any], interval_s: float | None = None) -> Look:
        """Run a function in a thread, once or again and again; the supervisor's `findings` get what it returns."""
        self.supervisor.findings.pop(key, None)
        return Look(self.inbox, self.clock, key, function, interval_s)

    def ask(self, key: str, function: Callable[[], Any], within_s: float) -> Any:
        """Run a function in a thread, once, while events are handled; None when it took too long."""
        look = self.look(key, function)
        findings = self.supervisor.findings
        self.supervisor.wait(lambda: key in findings, self.clock.now() + within_s)
        look.stop()
        return findings.pop(key, None)
