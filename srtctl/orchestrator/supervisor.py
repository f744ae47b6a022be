"""The one thread that owns all state: it takes events from the inbox, moves processes, and notices what went wrong."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from srtctl.orchestrator import events as ev
from srtctl.orchestrator import report as reporting
from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.failures import Failure, RunOver, how_to_get, is_port_taken
from srtctl.orchestrator.hooks import Hooks as Hooks
from srtctl.orchestrator.hooks import Probing
from srtctl.orchestrator.report import Report
from srtctl.orchestrator.starter import Spawn, Starter
from srtctl.orchestrator.state import Managed, State, describe_exit
from srtctl.plan.model import Process

HOLD_S = 0.5  # an unasked exit waits this long for a stop signal or an earlier failure before it is classified
TICK_S = 0.1
RESTART_STOP_S = 3.0
STUCK_S = 5.0  # not ready for so long: its log is looked at, for some servers go on without their port


@dataclass
class Supervisor:
    """Owns the processes of a run.

    Every wait goes through `wait`, which handles events meanwhile and raises `RunOver` as soon as the run is decided.
    """

    starter: Starter
    inbox: ev.Inbox
    report: Report
    clock: Clock
    prober: Probing
    hooks: Hooks
    hold_s: float = HOLD_S
    managed: dict[str, Managed] = field(default_factory=dict)
    spawns: dict[str, Spawn] = field(default_factory=dict)
    listeners: list[Callable[[ev.Event], None]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    findings: dict[str, Any] = field(default_factory=dict)
    stopping: bool = False
    keeper_lost: bool = False
    rebound: bool = False
    signals: list[int] = field(default_factory=list)
    _first_failure: float = 0.0

    def add(self, processes: Iterable[Process], hosts: Callable[[int], str] = lambda slot: "") -> None:
        """Take on processes; they start, each when what it needs is ready, from the next `wait` on."""
        for process in processes:
            self.managed[process.name] = Managed(process, hosts(process.slot))
        self.report.processes(self.managed.values())

    def wait(self, done: Callable[[], bool], deadline: float | None = None) -> bool:
        """Handle events until `done()`; False if the deadline (monotonic seconds) came first.

        Raises:
            RunOver: The run is decided.
        """
        while True:
            self._check()
            if done():
                return True
            self._start_what_can()
            now = self.clock.now()
            if deadline is not None and now >= deadline:
                return False
            self.pump(TICK_S if deadline is None else min(TICK_S, deadline - now))

    def settle(self, only_failures: bool = False) -> None:
        """Give failures that are just being noticed the time to be classified (or only those noticed already).

        Raises:
            RunOver: There was one.
        """
        self.pump(0.0)
        if self.failures or not only_failures:
            self.wait(lambda: False, self.clock.now() + self.hold_s)

    def pump(self, timeout_s: float) -> None:
        """Take in everything that has happened, waiting up to `timeout_s` for the first event."""
        event = self.inbox.get(timeout_s)
        while event is not None:
            self.handle(event)
            event = self.inbox.get(0.0)
        self.report.flush()

    def handle(self, event: ev.Event) -> None:
        """Let one event change the state."""
        if isinstance(event, ev.Finding):
            self.findings[event.key] = event.value
        elif isinstance(event, ev.SignalSeen):
            self.signals.append(event.signum)
            self.report.event("stop_requested", by=signal.Signals(event.signum).name)
        elif isinstance(event, ev.AllKilled):
            self.findings["all_killed"] = event
        elif isinstance(event, ev.KeeperLost):
            self.keeper_lost = True
            self.fail(Failure("keeper", event.at, "the process that holds all others was killed"))
        elif isinstance(event, ev.NodeLost):
            self._node_lost(event)
        elif event.name in self.managed:
            self._handle_process(self.managed[event.name], event)
            self.report.processes(self.managed.values())
        for listener in self.listeners:
            listener(event)

    def _node_lost(self, event: ev.NodeLost) -> None:
        name = f"node {event.name}"
        if event.fatal:
            self.fail(Failure(name, event.at, event.text, explains=True))
        elif not self.stopping:
            self.report.warn(f"{name} is no longer watched: {event.text}")

    def _handle_process(self, one: Managed, event: ev.Started | ev.NotStarted | ev.Exited | ev.ProbeOk) -> None:
        if isinstance(event, ev.Started):
            self._started(one, event)
        elif isinstance(event, ev.NotStarted):
            self._ended(one, event.at, 127)
            one.to(State.EXITED if one.state is State.STOPPING else State.FAILED)
            self._unasked(one, event.at, f"could not be started: {event.text}{how_to_get(one.process.role)}")
        elif isinstance(event, ev.Exited):
            self._exited(one, event)
        elif event.generation == one.generation and one.state is State.STARTING:
            self._ready(one, event.at)

    def _started(self, one: Managed, event: ev.Started) -> None:
        one.pid = event.pid
        one.started_at = one.started_at or event.at
        what = "setup_started" if event.in_setup else "process_started"
        self.report.event(what, process=one.name, pid=event.pid)
        by_itself = one.process.probe is None and one.process.kind == "service"
        if by_itself and one.state is State.STARTING and not event.in_setup:
            self._ready(one, event.at)

    def _ready(self, one: Managed, at: float) -> None:
        one.to(State.READY)
        one.ready_at = at
        self.prober.cancel(one.name)
        self.report.event("process_ready", process=one.name, seconds=round(at - (one.started_at or at), 4))
        self.report.say(f"{one.name} is ready")

    def _ended(self, one: Managed, at: float, code: int) -> None:
        self.prober.cancel(one.name)
        one.exited_at = at
        one.exit_code = code

    def _exited(self, one: Managed, event: ev.Exited) -> None:
        asked = one.state is State.STOPPING
        self._ended(one, event.at, event.code)
        self.report.event("process_exited", process=one.name, code=event.code, asked=asked, in_setup=event.in_setup)
        what = self._fault(one, event)
        if asked or not what:
            one.to(State.EXITED)
        elif not event.in_setup and self._can_rebind(one):
            one.to(State.FAILED)
            self._rebind(one)
        else:
            one.to(State.FAILED)
            self._unasked(one, event.at, what)
        if one.again and one.state in (State.EXITED, State.FAILED):
            self._reset(one)

    def _fault(self, one: Managed, event: ev.Exited) -> str:
        """What is wrong with this end, in words; empty for a task that is done."""
        what = event.what or describe_exit(event.code)
        if event.in_setup:
            return f"its setup command ended with {what}"
        if one.process.kind == "task" and event.code == 0 and not event.what:
            missing = [name for name in one.process.outputs if not (self.spawns[one.name].cwd / name).exists()]
            return f"ended with exit code 0, but has not left {missing[0]}" if missing else ""
        return f"{what}, although nobody asked it to stop" if event.code == 0 and not event.what else what

    def _unasked(self, one: Managed, at: float, what: str) -> None:
        one.fault = what
        if one.process.must_live:
            self.fail(self._failure(one, at, what))
        elif one.process.role != "client":
            self.report.warn(f"{one.name}: {what}")

    def _failure(self, one: Managed, at: float, what: str) -> Failure:
        return Failure(one.name, at, what, self.tail(one.name))

    def tail(self, name: str) -> tuple[str, ...]:
        """The last lines that a process wrote; none if it was never started."""
        spawn = self.spawns.get(name)
        return tuple(reporting.log_tail(spawn.log)) if spawn else ()

    def fail(self, failure: Failure) -> None:
        """Note a failure; `wait` ends the run for it once it has been held for `hold_s`."""
        if self.stopping:
            return
        if not self.failures:
            self._first_failure = self.clock.now()
        self.failures.append(failure)
        self.report.event("failure", process=failure.process, what=failure.what, at=failure.time)
        self.report.say(f"{failure.process}: {failure.what}")

    def _check(self) -> None:
        """Raise `RunOver` if the run is decided. A stop request wins over a failure of the same moment."""
        if self.stopping:
            return
        if self.signals:
            raise RunOver(*self.hooks.signalled(self.signals[0]))
        outcome, reason = self.hooks.stop_asked()
        if outcome:
            raise RunOver(outcome, reason)
        self._check_starting()
        if self.failures and self.clock.now() >= self._first_failure + self.hold_s:
            first = min(self.failures, key=lambda f: (not f.explains, f.time))
            raise RunOver("failed", f"{first.process}: {first.what}", first)

    def _check_starting(self) -> None:
        now = self.clock.now()
        for one in list(self.managed.values()):
            if one.again and one.state is State.STOPPING and now >= one.look_at:
                self.starter.signal(one.name, signal.SIGKILL, whole=True)
            if one.state is not State.STARTING or one.deadline is None:
                continue
            if now >= one.deadline:
                one.deadline = None
                seen = self.prober.last_seen.get(one.name)
                text = f"was not ready after {one.process.ready_timeout_s:g} s"
                text += f" (last seen: {seen})" if seen else ""
                self.fail(self._failure(one, self.clock.wall(), text))
            elif now >= one.look_at:
                one.look_at = now + STUCK_S
                if self._can_rebind(one, lines=200):
                    self._restart(one)
                    self._rebind(one)

    def _start_what_can(self) -> None:
        if self.stopping or self.failures:
            return
        for one in list(self.managed.values()):
            if one.state is State.PENDING and all(self.managed[need].satisfied for need in one.process.needs):
                self._start(one)

    def _start(self, one: Managed) -> None:
        spawn, probe = self.hooks.spawn(one.process)
        one.to(State.STARTING)
        one.generation += 1
        one.deadline = None if one.process.role == "client" else self.clock.now() + one.process.ready_timeout_s
        one.look_at = self.clock.now() + STUCK_S
        self.spawns[one.name] = spawn
        self.starter.start(spawn)
        if probe is not None:
            self.prober.start(one.name, one.generation, probe)
        self.report.processes(self.managed.values())

    def _can_rebind(self, one: Managed, lines: int = 15) -> bool:
        if self.rebound or self.stopping or self.report.phase not in ("starting", "ready_wait"):
            return False
        return is_port_taken(reporting.log_tail(self.spawns[one.name].log, lines))

    def _rebind(self, one: Managed) -> None:
        """Bind it to other ports, once in a run, and start it again together with all that depends on it."""
        self.rebound = True
        one.again = True
        names = self.hooks.rebind(one.name)
        self.report.warn(f"{one.name}: a port was taken; bound to another one and started again")
        for other in self.managed.values():
            if other is not one and other.name in names and other.running:
                self._restart(other)

    def _restart(self, one: Managed) -> None:
        """End it in order, so that it signs off where it has registered: a killed one would be counted for a while."""
        one.again = True
        one.look_at = self.clock.now() + RESTART_STOP_S
        self.prober.cancel(one.name)
        one.to(State.STOPPING) if one.state is not State.STOPPING else None
        self.starter.signal(one.name, signal.SIGTERM)

    def _reset(self, one: Managed) -> None:
        one.again = False
        one.to(State.PENDING)
        one.pid = one.started_at = one.ready_at = one.exited_at = one.exit_code = None
