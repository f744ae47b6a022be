"""Profilers: told to record as a measurement begins, told to end with it, and what they wrote put beside the results.

A measurement that was to be recorded and was not is a fault of its point: a profile is what such a run is for.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.orchestrator import probes
from srtctl.orchestrator.context import Context
from srtctl.plan.model import ProfilerTarget, Window

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 300.0  # an engine answers when it has written its traces
AT_ONCE = 32
REPORT = ".nsys-rep"

Answer = tuple[int, str]
"""HTTP status (0 for none) and what else there is to say."""


@dataclass(frozen=True)
class _Range:
    """A recording that was started: its point's directory, and when."""

    attempt: rundir.PointAttemptDir
    measurement: str
    begun_at: float


class Recorder:
    """The profiler of a run."""

    def __init__(self, context: Context):
        self._context = context
        self._profiler = context.plan.profiler
        self._ranges: list[_Range] = []
        self._targets = [(one, context.bound.text(one.address)) for one in self._profiler.targets]

    def prepare(self) -> None:
        """Before the servers start: nsys makes no directory, and writes where it isn't looked for if there is none."""
        for directories in self._profiler.outputs.values():
            for directory in directories:
                Path(self._context.bound.text(directory)).mkdir(parents=True, exist_ok=True)

    def start(self, attempt: rundir.PointAttemptDir, measurement: str, windows: Mapping[str, Window]) -> list[str]:
        """Tell every worker's engine which steps to record; returns what went wrong."""
        chosen = [(target, address) for target, address in self._targets if target.role in windows]
        if chosen:
            self._ranges.append(_Range(attempt, measurement, self._context.clock.wall()))
        bodies = {}
        for target, _ in chosen:
            directory = attempt.profile(target.worker, measurement)
            directory.mkdir(parents=True, exist_ok=True)
            asked = {**windows[target.role].request(), "output_dir": str(directory)}
            bodies[target.worker] = {**asked, "activities": list(self._profiler.activities)}

        def one(target: ProfilerTarget, address: str) -> Answer:
            return _post(address, target.start_paths, bodies[target.worker], START_TIMEOUT_S)

        answers = self._tell("profiler-start", chosen, one, START_TIMEOUT_S)
        for target, _ in chosen:
            status, text = answers[target.worker]
            body = bodies[target.worker]
            self._event("profiler_started", target.worker, measurement, status, text, **body)
        return [
            f"{self._profiler.type} profiling of {worker} could not be started: {_words(answer)}"
            for worker, answer in answers.items() if answer[0] != 200
        ]  # fmt: skip

    def stop(self, attempt: rundir.PointAttemptDir, measurement: str, windows: Mapping[str, Window]) -> list[str]:
        """Tell every worker's engine that it is over; returns what was not recorded.

        An engine that has ended by itself, as its last step was done, refuses; one that never came to its first step
        does, too. What was written tells them apart.
        """
        chosen = [(target, address) for target, address in self._targets if target.role in windows]

        def one(target: ProfilerTarget, address: str) -> Answer:
            return _post(address, target.stop_paths, {}, STOP_TIMEOUT_S)

        answers = self._tell("profiler-stop", chosen, one, STOP_TIMEOUT_S)
        faults = []
        for target, _ in chosen:
            status, text = answers[target.worker]
            files = _files(attempt.profile(target.worker, measurement))
            self._event("profiler_stopped", target.worker, measurement, status, text, files=len(files))
            if self._profiler.type == "torch" and not files:
                faults.append(f"nothing was recorded of {target.worker}: {_not_reached(windows[target.role])}")
            elif not status:
                faults.append(f"profiling of {target.worker} could not be ended: {text}")
        return faults

    def follow(self, attempt: rundir.PointAttemptDir) -> None:
        """A point begins: by the clock, what is recorded belongs to the point that is measured then."""
        if self._profiler.outputs and not self._targets:
            self._ranges.append(_Range(attempt, "", self._context.clock.wall()))

    def collect(self) -> dict[Path, list[str]]:
        """After the servers have ended: put nsys' reports into their points' directories.

        Returns:
            Attempt directory of a point -> what is missing there.
        """
        missing: dict[Path, list[str]] = {}
        for worker, directories in self._profiler.outputs.items() if self._ranges else ():
            for directory in map(Path, map(self._context.bound.text, directories)):
                reports = [path for path in _files(directory) if path.suffix == REPORT]
                wanted = self._ranges if self._targets else [self._by_the_clock(directory.name)]
                for path, owner in zip(reports, self._owners(reports, wanted), strict=True):
                    self._take(worker, path, owner)
                for owner in wanted[len(reports) :]:
                    what = f"{owner.measurement}: " if owner.measurement else ""
                    text = f"{what}nsys has left no report of {directory.name} (its log says more)"
                    missing.setdefault(owner.attempt.path, []).append(text)
        return missing

    def _take(self, worker: str, path: Path, owner: _Range) -> None:
        target = owner.attempt.profile(worker, owner.measurement)
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target / path.name)
        self._context.report.event("profile", worker=worker, path=str(target / path.name))

    def _owners(self, reports: Sequence[Path], wanted: Sequence[_Range]) -> Sequence[_Range]:
        """One for each report: in order where there is one for each range, else by the time of writing."""
        if len(reports) == len(wanted):
            return wanted
        return [self._before(path.stat().st_mtime) for path in reports]

    def _by_the_clock(self, process: str) -> _Range:
        begun_at = self._context.supervisor.managed[process].started_at or 0.0
        return self._before(begun_at + self._profiler.delay_s)

    def _before(self, moment: float) -> _Range:
        return max((r for r in self._ranges if r.begun_at <= moment), key=lambda r: r.begun_at, default=self._ranges[0])

    def _tell(
        self, key: str, chosen: Sequence[tuple[ProfilerTarget, str]],
        one: Callable[[ProfilerTarget, str], Answer], within_s: float,
    ) -> dict[str, Answer]:  # fmt: skip
        """Ask all workers at once, while events are handled."""
        if not chosen:
            return {}

        def all_of_them() -> dict[str, Answer]:
            with ThreadPoolExecutor(min(AT_ONCE, len(chosen))) as pool:
                answers = pool.map(lambda pair: one(*pair), chosen)
                return {target.worker: answer for (target, _), answer in zip(chosen, answers, strict=True)}

        rounds = -(-len(chosen) // AT_ONCE)
        answers = self._context.ask(key, all_of_them, within_s * rounds + 1.0)
        return answers or {target.worker: (0, "no answer in time") for target, _ in chosen}

    def _event(self, name: str, worker: str, measurement: str, status: int, text: str, **more: Any) -> None:
        self._context.report.event(
            name, worker=worker, measurement=measurement, status=status, answer=text[:300], **more
        )


def _post(address: str, paths: Sequence[str], body: Mapping[str, Any], timeout_s: float) -> Answer:
    """POST to the first of several paths that the server knows."""
    status, text = 0, "there is nothing to ask"
    for path in paths:
        try:
            status, answer = probes.request(address, "POST", path, timeout_s, json.dumps(body).encode())
        except (OSError, http.client.HTTPException) as error:
            return 0, f"{path}: {probes.describe(error)}"
        text = f"{path}: {answer[:300].decode(errors='replace').strip()}"
        if status != 404:
            break
    return status, text


def _words(answer: Answer) -> str:
    status, text = answer
    return f"HTTP {status} from {text}" if status else text


def _not_reached(window: Window) -> str:
    first = f"step {window.start_step}" if window.start_step else "a step"
    return f"its engine made no {first} in this measurement, or could not write its trace (its log says more)"


def _files(directory: Path) -> list[Path]:
    """All files below a directory, in the order of the numbers in their names."""
    found = [path for path in directory.rglob("*") if path.is_file()] if directory.is_dir() else []
    return sorted(found, key=lambda path: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", path.name)])
