"""One run of an allocation, from its files to its outcome."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import traceback
from collections.abc import Iterator
from typing import Any

from srtctl import rundir
from srtctl.orchestrator import environment, gate
from srtctl.orchestrator.bind import next_attempt
from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.context import Context
from srtctl.orchestrator.events import QueueInbox, SignalSeen
from srtctl.orchestrator.failures import Failure, RunOver
from srtctl.orchestrator.inputs import Inputs
from srtctl.orchestrator.machines import Machines
from srtctl.orchestrator.measure import Measurer, Point
from srtctl.orchestrator.probes import Prober
from srtctl.orchestrator.report import Report
from srtctl.orchestrator.stop import Stopper
from srtctl.orchestrator.stopping import StopWatch
from srtctl.orchestrator.supervisor import Hooks, Supervisor
from srtctl.orchestrator.versions import VersionChecks
from srtctl.plan.model import PointSteps

DONE_STATES = ("ok", "invalid")


def run(inputs: Inputs, machines: Machines) -> int:
    """Run the allocation; returns the exit code: 0 if every point is ok.

    `machines` must have been made before any thread existed.
    """
    inbox = QueueInbox()
    previous = _catch_signals(inbox)
    clock = Clock()
    attempt = inputs.allocation.attempt(next_attempt(inputs.allocation.path))
    attempt.logs.mkdir()
    lock = os.open(attempt.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    with contextlib.suppress(OSError):  # some file systems have no locks
        fcntl.flock(lock, fcntl.LOCK_EX)
    report = Report(attempt, clock)
    report.data.update(keeper_pid=machines.starter.keeper_pid, job_id=machines.job_id or None)
    points = [_point(directory, steps) for directory, steps in inputs.points]
    report.data["points"] = [point.record for point in points]
    report.flush(force=True)
    outcome = Outcome()
    watch = StopWatch(inputs.allocation.stop, inputs.plan.budgets, clock, machines.ends_at)
    try:
        with _guard(outcome, report):
            bound = machines.bind(attempt, report, inbox, watch.asked)
            base = environment.base_environment(os.environ, inputs.plan)
            context = Context(inputs.plan, inputs.allocation, inputs.sweep, attempt, bound, report, clock, inbox, base)
            _serve(context, machines, points, outcome, watch)
        for text in machines.close():
            report.warn(text)
        return _conclude(report, points, outcome)
    finally:
        machines.close()
        machines.starter.close()
        os.close(lock)
        for number, handler in previous.items():
            signal.signal(number, handler)


class Outcome:
    """What the run has come to; the first word counts."""

    def __init__(self) -> None:
        self.text = ""
        self.reason = ""
        self.cause: Failure | None = None

    def set(self, text: str, reason: str, cause: Failure | None = None) -> None:
        if not self.text:
            self.text, self.reason, self.cause = text, reason, cause


@contextlib.contextmanager
def _guard(outcome: Outcome, report: Report) -> Iterator[None]:
    """Turn the end of a run into its outcome; a fault of our own is a failed run, not a traceback and orphans."""
    try:
        yield
    except RunOver as over:
        outcome.set(over.outcome, over.reason, over.cause)
        report.event("run_over", outcome=over.outcome, reason=over.reason)
        # Being stopped is not the outcome yet: it is how servers that were only to be held (`manual`) end well.
        report.say(f"{'stopping' if over.outcome == 'cancelled' else over.outcome}: {over.reason}")
    except Exception as error:
        traceback.print_exc()
        outcome.set("failed", f"{type(error).__name__}: {error}")
        report.event("internal_error", text=traceback.format_exc())


def _serve(context: Context, machines: Machines, points: list[Point], outcome: Outcome, watch: StopWatch) -> None:
    """Start the servers, measure, and stop whatever was started, however it ends."""
    report, clock, starter = context.report, context.clock, machines.starter
    prober = Prober(context.inbox, clock)
    hooks = Hooks(context.spawn, context.bound.rebind, watch.asked, watch.signalled)
    supervisor = context.supervisor = Supervisor(
        starter, context.inbox, report, clock, prober, hooks, hold_s=starter.hold_s
    )
    for name in environment.missing_variables(os.environ, context.plan):
        report.warn(f"pass_environment: {name} is not set here")
    starter.listen(context.inbox)
    report.timing("bind_s", clock.wall() - report.data["started_at"])
    checks, measurer = VersionChecks(supervisor), Measurer(context, points)
    try:
        with _guard(outcome, report):
            gate.bring_up(context, checks)
            measurer.run()
            supervisor.settle(only_failures=True)
    finally:
        prober.cancel_all()
        _stop(context)
        with _guard(outcome, report):
            measurer.collect_profiles()
        _write_environment(context, checks, machines.describe())


def _catch_signals(inbox: QueueInbox) -> dict[int, Any]:
    """Signals that ask for a stop become events; returns the handlers that were there before.

    `__main__` has held them back until now.
    """

    def put(number: int, _: object) -> None:
        inbox.put(SignalSeen(number))

    previous: dict[int, Any] = {number: signal.signal(number, put) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, previous)
    return previous


def _stop(context: Context) -> None:
    begun = context.clock.now()
    context.report.enter("stopping")
    warnings = Stopper(context.supervisor, context.plan.budgets.stop_s).run()
    for text in warnings:
        context.report.warn(text)
    context.report.timing("stop_s", context.clock.now() - begun)


def _point(directory: rundir.PointDir, steps: PointSteps) -> Point:
    """A point with its entry in status.json; one that has a result from an earlier run is not measured again."""
    attempts = directory.attempts()
    try:
        result = rundir.read_json(attempts[-1].result) if attempts else None
    except ValueError:
        result = None
    state = result.get("state") if isinstance(result, dict) else None
    record = {
        "dir": f"points/{directory.path.name}",
        "state": state if state in DONE_STATES else "pending",
        "measurement": None,
        "index": 0,
        "of": len(steps.steps),
        "done_requests": None,
        "expected_requests": None,
        "rate_per_s": None,
        "in_flight": None,
        "reason": None,
    }
    return Point(directory, steps, record)


def _conclude(report: Report, points: list[Point], outcome: Outcome) -> int:
    """Write the last status; returns the exit code."""
    pending = [point.record for point in points if point.record["state"] in ("pending", "running")]
    for record in pending:
        record["state"] = "not_run"
    bad = [point.record for point in points if point.record["state"] != "ok"]
    held = outcome.text == "cancelled" and not bad and bool(points)  # `manual` ends by being stopped
    if held or not outcome.text:
        outcome.text = "failed" if bad else "ok"
        outcome.reason = "; ".join(_why(record) for record in bad[:3])
    report.data.update(
        outcome=outcome.text,
        reason=outcome.reason or None,
        root_cause=outcome.cause.to_json() if outcome.cause else None,
        ended_at=report.now(),
    )
    report.enter("done")
    report.say(f"outcome: {outcome.text}" + (f" ({outcome.reason})" if outcome.reason else ""))
    return 0 if outcome.text == "ok" else 1


def _why(record: dict[str, Any]) -> str:
    text = f"{record['dir']} is {record['state']}"
    return f"{text}: {record['reason']}" if record["reason"] else text


def _write_environment(context: Context, checks: VersionChecks, nodes: dict[str, Any]) -> None:
    found = {
        "schema_version": 1,
        "machine": environment.describe_machine(),
        "nodes": nodes,
        "versions": checks.found,
        "ports": context.bound.ports,
        "models": {
            path.stem: rundir.read_json(path) for path in sorted((context.attempt.path / "weights").glob("*.json"))
        },
        "planned": dict(context.plan.provenance),
    }
    with contextlib.suppress(OSError):
        rundir.write_json(context.attempt.environment, found)
