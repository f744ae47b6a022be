"""One run of an allocation, from its files to its outcome."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.orchestrator import environment, gate
from srtctl.orchestrator.bind import Bound, local_nodes, next_attempt
from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.context import Context
from srtctl.orchestrator.events import QueueInbox, SignalSeen
from srtctl.orchestrator.failures import Failure, RunOver
from srtctl.orchestrator.measure import Measurer, Point
from srtctl.orchestrator.ports import PortBook
from srtctl.orchestrator.probes import Prober
from srtctl.orchestrator.report import Report
from srtctl.orchestrator.starter import LocalStarter
from srtctl.orchestrator.stop import Stopper
from srtctl.orchestrator.supervisor import Hooks, Supervisor
from srtctl.orchestrator.versions import VersionChecks
from srtctl.plan.codec import from_json
from srtctl.plan.model import Plan, PointSteps

DONE_STATES = ("ok", "invalid")
STOP_POLL_S = 0.1
LONGEST_TEMPORARY = 30  # bytes; where TMPDIR is longer than this, the short one is used
SHORT_TEMPORARY = "/tmp"  # noqa: S108


@dataclass(frozen=True)
class Inputs:
    """The files of an allocation, read."""

    allocation: rundir.AllocationDir
    sweep: rundir.SweepDir
    plan: Plan
    points: tuple[tuple[rundir.PointDir, PointSteps], ...]


def read_inputs(directory: Path) -> Inputs:
    """Read the plan and the points of an allocation.

    Raises:
        ValueError: Something is missing or wrong; the text says what, and in which file.
    """
    directory = directory.absolute()
    allocation = rundir.AllocationDir(directory)
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a directory")
    sweep = rundir.SweepDir(directory.parent.parent)
    plan = _read(allocation.plan, lambda text: from_json(Plan, text))
    names = _read(allocation.points, json.loads)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{allocation.points}: not a list of directory names")
    points = [rundir.PointDir(sweep.path / name) for name in names]
    steps = [_read(point.steps, lambda text: from_json(PointSteps, text)) for point in points]
    return Inputs(allocation, sweep, plan, tuple(zip(points, steps, strict=True)))


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path.parent} has no {path.name}: not an allocation directory of srtctl") from None
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def run(inputs: Inputs, starter: LocalStarter) -> int:
    """Run the allocation; returns the exit code: 0 if every point is ok.

    `starter` must have been made before any thread existed.
    """
    inbox = QueueInbox()
    previous = _catch_signals(inbox)
    clock = Clock()
    attempt = inputs.allocation.attempt(next_attempt(inputs.allocation.path))
    attempt.logs.mkdir()
    lock = os.open(attempt.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)
    report = Report(attempt, clock)
    report.data["keeper_pid"] = starter.keeper_pid
    points = [_point(directory, steps) for directory, steps in inputs.points]
    report.data["points"] = [point.record for point in points]
    report.flush(force=True)
    outcome = Outcome()
    book = PortBook(seed=os.getpid())
    scratch = _scratch_directory()
    try:
        starter.clean(scratch)
        with _guard(outcome, report):
            nodes = local_nodes(inputs.plan)
            bound = Bound(inputs.plan, nodes, book, inputs.allocation.path, attempt.path, scratch)
            base = environment.base_environment(os.environ, inputs.plan)
            context = Context(inputs.plan, inputs.allocation, inputs.sweep, attempt, bound, report, clock, inbox, base)
            _serve(context, inputs, starter, points, outcome)
        return _conclude(report, points, outcome)
    finally:
        starter.close()
        book.close()
        shutil.rmtree(scratch, ignore_errors=True)
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
        report.say(f"{over.outcome}: {over.reason}")
    except Exception as error:
        traceback.print_exc()
        outcome.set("failed", f"{type(error).__name__}: {error}")
        report.event("internal_error", text=traceback.format_exc())


def _serve(context: Context, inputs: Inputs, starter: LocalStarter, points: list[Point], outcome: Outcome) -> None:
    """Start the servers, measure, and stop whatever was started, however it ends."""
    report, clock = context.report, context.clock
    prober = Prober(context.inbox, clock)
    hooks = Hooks(context.spawn, context.bound.rebind, _stop_watch(inputs, clock))
    supervisor = context.supervisor = Supervisor(starter, context.inbox, report, clock, prober, hooks)
    for name in environment.missing_variables(os.environ, context.plan):
        report.warn(f"pass_environment: {name} is not set here")
    starter.listen(context.inbox)
    report.timing("bind_s", clock.wall() - report.data["started_at"])
    checks = VersionChecks(supervisor)
    try:
        with _guard(outcome, report):
            gate.bring_up(context, checks)
            Measurer(context, points).run()
            supervisor.settle(only_failures=True)
    finally:
        prober.cancel_all()
        _stop(context)
        _write_environment(context, checks)


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


def _stop_watch(inputs: Inputs, clock: Clock) -> Any:
    """A function that says whether the run should stop: the file `stop`, or the time limit drawing near."""
    budgets = inputs.plan.budgets
    limit: float | None = None
    if budgets.time_limit_s is not None:
        # A warning time longer than the job itself must not end it before it began.
        limit = clock.now() + budgets.time_limit_s - min(budgets.early_warning_s, budgets.time_limit_s / 2)
    looked = [0.0]
    asked = [False]

    def stop_asked() -> tuple[str, str]:
        now = clock.now()
        if now - looked[0] >= STOP_POLL_S:
            looked[0] = now
            asked[0] = inputs.allocation.stop.exists()
        if asked[0]:
            return "cancelled", "asked to stop"
        if limit is not None and now >= limit:
            return "failed", f"the time limit of {budgets.time_limit_s:g} s is near"
        return "", ""

    return stop_asked


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
        outcome.reason = "; ".join(
            f"{r['dir']} is {r['state']}" + (f": {r['reason']}" if r["reason"] else "") for r in bad[:3]
        )
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


def _write_environment(context: Context, checks: VersionChecks) -> None:
    found = {
        "schema_version": 1,
        "machine": environment.describe_machine(),
        "nodes": {f"slot{slot}": {"host": n.host, "address": n.address} for slot, n in context.bound.nodes.items()},
        "versions": checks.found,
        "ports": context.bound.ports,
        "planned": dict(context.plan.provenance),
    }
    with contextlib.suppress(OSError):
        rundir.write_json(context.attempt.environment, found)


def _scratch_directory() -> Path:
    """A new private directory with a short path: the client puts Unix sockets into it, whose whole path, some 80
    characters longer, must stay under 108 bytes, or it can't start."""
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > LONGEST_TEMPORARY and os.access(SHORT_TEMPORARY, os.W_OK | os.X_OK):
        base = SHORT_TEMPORARY
    return Path(tempfile.mkdtemp(prefix="srtctl-", dir=base))
