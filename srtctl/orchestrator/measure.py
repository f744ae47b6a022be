"""Point after point, measurement after measurement: run the client, read what it left, write the result."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.measurement import STEP_RECORD
from srtctl.benchmarks.rows import complete_rows
from srtctl.orchestrator import gate, progress
from srtctl.orchestrator import report as reporting
from srtctl.orchestrator.between import between_points
from srtctl.orchestrator.bind import next_attempt
from srtctl.orchestrator.context import CLIENT, Context
from srtctl.orchestrator.failures import RunOver, how_to_get
from srtctl.orchestrator.recording import Recorder
from srtctl.orchestrator.state import Managed, State
from srtctl.plan.model import PointSteps, Process, Step

CLIENT_STOP_S = 2.0
SCRAPE_INTERVAL_S = 1.0


@dataclass
class Point:
    """A point of this allocation and how it goes; `record` is its entry in status.json."""

    directory: rundir.PointDir
    steps: PointSteps
    record: dict[str, Any]
    attempt: rundir.PointAttemptDir | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    started_at: float = 0.0

    @property
    def index(self) -> int:
        return int(self.directory.path.name)


class Measurer:
    """Runs the points of an allocation on its warm servers."""

    def __init__(self, context: Context, points: list[Point]):
        self._context = context
        self._points = points
        self._supervisor = context.supervisor
        self._report = context.report
        self._clock = context.clock
        self._recorder = Recorder(context)
        self._recorder.prepare()

    def run(self) -> None:
        """Measure every point that has no result yet.

        Raises:
            RunOver: A server failed or the run was told to stop; the current point's result says so.
        """
        self._report.enter("measuring")
        first = True
        for point in self._points:
            if point.record["state"] != "pending":
                continue
            if not first:
                between_points(self._context, point.warnings)
            first = False
            self._point(point)

    def _point(self, point: Point) -> None:
        number = next_attempt(point.directory.path)
        point.attempt = point.directory.attempt(number)
        point.started_at = self._clock.wall()
        point.record.update(state="running", of=len(point.steps.steps))
        self._context.bound.point_files(point.steps, point.attempt.path)
        self._recorder.follow(point.attempt)
        self._report.event("point_started", point=point.record["dir"])
        try:
            for index, step in enumerate(point.steps.steps):
                point.record.update(measurement=step.name, index=index)
                self._step(point, step)
            self._supervisor.settle(only_failures=True)
        except RunOver as over:
            held = over.outcome == "cancelled" and any(step.hold for step in point.steps.steps)
            self._finish(point, "" if held else over.outcome, "" if held else over.reason)
            raise
        self._finish(point)

    def _finish(self, point: Point, ended_as: str = "", reason: str = "") -> None:
        """Write the point's result; `ended_as` is the outcome of a run that ended in the middle of it."""
        state = ended_as or ("failed" if point.faults else "invalid" if _any_invalid(point.rows) else "ok")
        reasons = ([reason] if reason else []) + point.faults
        result = {
            "schema_version": 1,
            "state": state,
            "allocation": int(self._context.allocation.path.name),
            "reason": "; ".join(reasons) or None,
            "started_at": point.started_at,
            "ended_at": self._clock.wall(),
            "rows": point.rows,
            "warnings": point.warnings,
        }
        assert point.attempt is not None
        rundir.write_json(point.attempt.result, result)
        point.record.update(state=state, measurement=None, reason=result["reason"])
        self._report.event("point_done", point=point.record["dir"], state=state)
        self._report.say(f"{point.record['dir']}: {state}" + (f" ({reasons[0]})" if reasons else ""))
        self._report.flush(force=True)

    def collect_profiles(self) -> None:
        """After the servers have ended: what their profilers left goes to the points; one that lacks its own failed."""
        missing = self._recorder.collect()
        for point in self._points:
            texts = missing.get(point.attempt.path, []) if point.attempt else []
            if texts and point.attempt and point.record["state"] in ("ok", "invalid"):
                result = {**rundir.read_json(point.attempt.result), "state": "failed", "reason": "; ".join(texts)}
                rundir.write_json(point.attempt.result, result)
                point.record.update(state="failed", reason=result["reason"])

    def _step(self, point: Point, step: Step) -> None:
        assert point.attempt is not None
        profile = (point.attempt, step.name, point.steps.windows)
        if step.hold:
            point.faults += self._recorder.start(*profile)
            self._hold()
            return
        directory = point.attempt.measurement(step.name)
        directory.mkdir(parents=True)
        bound = self._context.bound.step(step, point.attempt.path)
        self._report.event("measurement_started", point=point.record["dir"], measurement=step.name)
        point.record.update(expected_requests=step.expected_requests, done_requests=None, rate_per_s=None)
        faults = self._recorder.start(*profile)
        try:
            fault = self._client(point, bound, directory)
        finally:
            self._supervisor.starter.signal(CLIENT, signal.SIGKILL, whole=True)  # whatever the client left running
        before = len(point.rows)
        fault = fault or self._read(point, step, directory)
        if fault or _any_invalid(point.rows[before:]):
            self._supervisor.settle()  # the end of a server, or of the run, would explain it
        faults += self._recorder.stop(*profile)
        faults = [fault, *faults] if fault else faults
        for text in faults:
            point.faults.append(f"{step.name}: {text}")
            self._report.say(f"{step.name} failed: {text}")
        self._report.event(
            "measurement_done",
            point=point.record["dir"],
            measurement=step.name,
            ok=not faults,
            reason="; ".join(faults) or None,
        )

    def _client(self, point: Point, step: Step, directory: Path) -> str:
        """Run the client to its end; returns what was wrong with it."""
        context, supervisor = self._context, self._supervisor
        context.client = context.client_spawn(step, directory, point.steps.unset_env)
        client = Process(
            CLIENT,
            CLIENT,
            step.slot,
            step.argv,
            kind="task",
            must_live=False,
            outputs=step.outputs,
            container=step.container,
        )
        if "client_start_s" not in self._report.data["timings"] and context.last_ready_at:
            self._report.timing("client_start_s", self._clock.wall() - context.last_ready_at)
        rundir.write_json(directory / STEP_RECORD, {"started_at": self._clock.wall()})
        rate = progress.Rate()
        follow = self._follower(step, directory)
        look = context.look("progress", follow, SCRAPE_INTERVAL_S)
        supervisor.add([client], lambda slot: context.bound.nodes[slot].host)
        managed = supervisor.managed[CLIENT]
        deadline = None if step.timeout_s is None else self._clock.now() + step.timeout_s

        def done() -> bool:
            self._progress(point, rate)
            return managed.state in (State.EXITED, State.FAILED)

        try:
            in_time = supervisor.wait(done, deadline)
        finally:
            look.stop()
        if not in_time:
            self._end_client()
            return f"client: still running after {step.timeout_s:g} s, so it was stopped"
        if managed.state is State.EXITED:
            point.record.update(done_requests=follow.own(), in_flight=0)
            return ""
        return _client_fault(managed, step, context.client.log)

    def _follower(self, step: Step, directory: Path) -> progress.Follower:
        benchmark = BENCHMARKS.get(step.benchmark)
        state: dict[str, int] = {}

        def own() -> int | None:
            return benchmark.progress(directory, step, state) if benchmark else None

        return progress.Follower(own, self._context.frontends())

    def _end_client(self) -> None:
        supervisor = self._supervisor
        client = supervisor.managed[CLIENT]
        client.to(State.STOPPING)
        supervisor.starter.signal(CLIENT, signal.SIGTERM)
        if not supervisor.wait(lambda: not client.running, self._clock.now() + CLIENT_STOP_S):
            supervisor.starter.signal(CLIENT, signal.SIGKILL, whole=True)
            supervisor.wait(lambda: not client.running, self._clock.now() + CLIENT_STOP_S)

    def _progress(self, point: Point, rate: progress.Rate) -> None:
        counters = self._supervisor.findings.pop("progress", None)
        if counters is None or counters.done is None:
            return
        rate.add(self._clock.now(), counters.done)
        point.record.update(done_requests=int(counters.done), rate_per_s=rate.per_s, in_flight=counters.in_flight)
        self._report.changed()

    def _read(self, point: Point, step: Step, directory: Path) -> str:
        """Turn what the client left into rows; returns what was wrong with it."""
        census = {"start": True, "end": gate.census_now(self._context)}
        try:
            measurements = BENCHMARKS[step.benchmark].parse(directory, step)
        except KeyError:
            return f"no benchmark is called {step.benchmark!r}"
        except (ValueError, OSError) as error:
            return f"its results could not be read: {error}"
        if not measurements:
            return "its results hold no measurement"
        assert point.attempt is not None
        identity = {
            "sweep": self._context.sweep.sweep_id,
            "point": point.index,
            "config_id": point.steps.config_id,
            "deployment_id": self._context.plan.deployment_id,
            "attempt": int(point.attempt.path.name.rpartition("-")[2]),
            **_names(self._context.sweep, point.index),
        }
        rows = complete_rows(
            measurements, plan=self._context.plan, point=point.steps, step=step, identity=identity, census=census
        )
        point.rows += rows
        return ""

    def _hold(self) -> None:
        endpoint = self._context.endpoint()
        self._report.say(
            f"the servers are up: http://{endpoint}/v1/chat/completions (model {self._context.plan.model})"
        )
        self._report.say(f"stop them with `srtctl cancel`, or: touch {self._context.allocation.stop}")
        self._report.event("holding", endpoint=endpoint)
        self._report.flush(force=True)
        self._supervisor.wait(lambda: False)


def _client_fault(client: Managed, step: Step, log: Path) -> str:
    """Why a client failed, with the end of what it wrote."""
    hint = ""
    if client.exit_code == 127 and "could not be started" not in client.fault:
        own_command = step.argv[0] == "bash"
        hint = " (the shell did not find a program of the command)" if own_command else how_to_get("client")
    tail = reporting.log_tail(log, 5)
    return f"client: {client.fault}{hint}" + (f"; it wrote: {' | '.join(tail)}" if tail else "")


def _any_invalid(rows: list[dict[str, Any]]) -> bool:
    return any(row.get("valid") is False for row in rows)


def _names(sweep: rundir.SweepDir, index: int) -> dict[str, Any]:
    """What the manifest says about a point, for its rows."""
    try:
        records = sweep.read_manifest().get("points", [])
        record = next(r for r in records if r.get("index") == index)
    except (OSError, ValueError, StopIteration):
        return {}
    return {"point_name": record.get("name"), "overrides": record.get("overrides")}
