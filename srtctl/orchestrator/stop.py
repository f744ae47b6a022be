"""The ordered stop: in waves against the order of start, under one shared deadline, and nothing is left behind."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterable

from srtctl.orchestrator.events import AllKilled
from srtctl.orchestrator.state import Managed, State
from srtctl.orchestrator.supervisor import Supervisor
from srtctl.plan.model import Process

KILL_WAIT_S = 6.0  # the keeper itself gives up after 5 s
# Others end a program that doesn't expect them yet; this one is lost on it, and then it would run until it is killed.
LOST_ON_SOME, AGAIN_AFTER_S = signal.SIGURG, 5.0


def stop_waves(processes: Iterable[Process]) -> list[list[str]]:
    """Names in the order of stopping: whatever nobody (left) needs goes first; clients before all."""
    left = {p.name: p for p in processes}
    waves: list[list[str]] = []
    clients = [name for name, p in left.items() if p.role == "client"]
    if clients:
        waves.append(clients)
    for name in clients:
        del left[name]
    while left:
        needed = {need for p in left.values() for need in p.needs}
        wave = [name for name in left if name not in needed] or list(left)  # a circle would never start anyway
        waves.append(wave)
        for name in wave:
            del left[name]
    return waves


class Stopper:
    """Stops everything that a supervisor has running."""

    def __init__(self, supervisor: Supervisor, stop_s: float):
        self._supervisor = supervisor
        self._clock = supervisor.clock
        self._deadline = supervisor.clock.now() + stop_s
        self._kill_at: dict[str, float] = {}
        self._again_at: dict[str, float] = {}
        self._later: list[Managed] = []
        # The first signal is only an order to stop, also where the stop has begun for another reason: `srtctl cancel`
        # makes its file before it signals, and a run that has just ended may be cancelled.
        self._hurried_at = max(1, len(supervisor.signals))
        self._hurried = False

    def run(self) -> list[str]:
        """Stop everything; returns what could not be ended, as text for warnings."""
        self._supervisor.stopping = True
        waves = stop_waves([one.process for one in self._supervisor.managed.values()])
        for number, names in enumerate(waves):
            running = [one for one in self._running() if one.name in names]
            for one in running:
                self._begin(one)
            # A wave that doesn't end must not use up the time of those after it.
            patience = (self._deadline - self._clock.now()) / (len(waves) - number)
            last = number == len(waves) - 1
            self._wait(self._running() if last else running, self._deadline if last else self._clock.now() + patience)
        return self._kill_rest()

    def _running(self) -> list[Managed]:
        return [one for one in self._supervisor.managed.values() if one.running]

    def _begin(self, one: Managed) -> None:
        if one.state is not State.STOPPING:
            one.to(State.STOPPING)
        if one.process.stop_after:
            self._later.append(one)
        else:
            self._ask(one)

    def _ask_later_ones(self) -> None:
        """Tell those that were to wait until others have ended, when these have."""
        managed = self._supervisor.managed
        due = [one for one in self._later if not any(managed[name].running for name in one.process.stop_after)]
        self._later = [one for one in self._later if one not in due]
        for one in due:
            if one.running:
                self._ask(one)

    def _ask(self, one: Managed) -> None:
        number = _stop_signal(one)
        if number == LOST_ON_SOME:
            self._again_at[one.name] = self._clock.now() + AGAIN_AFTER_S
        self._kill_at[one.name] = min(self._clock.now() + one.process.stop_wait_s, self._deadline)
        self._supervisor.report.event("process_stop", process=one.name, signal=number.name)
        self._supervisor.starter.signal(one.name, number)

    def _wait(self, whom: list[Managed], until: float) -> None:
        while any(one.running for one in whom) and self._clock.now() < until and not self._supervisor.keeper_lost:
            if len(self._supervisor.signals) > self._hurried_at:
                self._deadline = until = self._clock.now()  # told a second time: now
                self._hurried = True
            self._ask_later_ones()
            self._supervisor.pump(max(0.0, min(0.05, until - self._clock.now())))
            for one in whom:
                if one.running:
                    self._insist(one)

    def _insist(self, one: Managed) -> None:
        now = self._clock.now()
        if now >= self._kill_at.get(one.name, self._deadline):
            self._supervisor.starter.signal(one.name, signal.SIGKILL, whole=True)
        elif now >= self._again_at.get(one.name, math.inf):
            self._again_at[one.name] = now + AGAIN_AFTER_S
            self._supervisor.starter.signal(one.name, _stop_signal(one))

    def _kill_rest(self) -> list[str]:
        supervisor = self._supervisor
        killed = [one.name for one in self._running()]
        answer = self._kill_all() or self._kill_all()  # the second time the starter does it without its keeper
        supervisor.pump(0.0)
        for one in self._running():  # its exit was never told: the keeper was gone
            one.to(State.EXITED) if one.state is State.STOPPING else one.to(State.FAILED)
            one.exited_at = self._clock.wall()
        supervisor.report.processes(supervisor.managed.values())
        left = answer.left if answer else ()
        late, hurried = "did not end in time and was killed", "was killed, because the run was told to stop once more"
        why = hurried if self._hurried else late
        warnings = [f"{name} {why}" for name in killed]
        return warnings + [f"process {pid} is still there after SIGKILL" for pid in left]

    def _kill_all(self) -> AllKilled | None:
        supervisor = self._supervisor
        supervisor.findings.pop("all_killed", None)
        supervisor.starter.kill_all()
        until = self._clock.now() + KILL_WAIT_S
        while self._clock.now() < until:
            supervisor.pump(0.05)
            answer: AllKilled | None = supervisor.findings.get("all_killed")
            if answer is not None:
                return answer
        return None


def _stop_signal(one: Managed) -> signal.Signals:
    return signal.Signals[f"SIG{one.process.stop_signal.removeprefix('SIG')}"]
