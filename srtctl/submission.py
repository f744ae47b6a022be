"""From a sweep on paper to running allocations: the intent, the submission, its id, each on disk at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from srtctl import invocation, rundir
from srtctl.errors import ExitCode, Problem, SrtctlError, counted, format_problems
from srtctl.manifest import Ledger
from srtctl.rundir import SweepDir
from srtctl.schema import JobConfig
from srtctl.sweep import Allocation, Resumption, Sweep, problem_record
from srtctl.sweepdir import lock, write


@dataclass(frozen=True)
class JobId:
    """What was given out for an allocation: a process id, or a Slurm job's number and (among several) its cluster."""

    number: str
    cluster: str = ""


class Submitter(Protocol):
    """What a launcher brings: how one allocation is handed over."""

    def submit(self, allocation: Allocation, directory: Path) -> JobId:
        """Hand over the allocation whose files are in `directory`."""


def submit_and_report(sweep: Sweep, submitter: Submitter) -> Sequence[Any]:
    """Write the sweep, submit each allocation, say what was done, and wait if the job asks for it.

    Returns:
        One value per point: the chosen metric when it waited, else None.
    """
    directory = write(sweep)
    held = lock(directory) if sweep.resumed is None else sweep.resumed.held
    if sweep.resumed is not None:
        sweep.resumed.fence()
    _submit_all(sweep, directory, submitter)
    if held is not None:
        os.close(held)
    _say_submitted(sweep, directory)
    if not sweep.wait:
        return [None] * len(sweep.points)
    from srtctl.report.live import follow

    invocation.exit_code.set(int(follow(directory)))
    return [_metric(sweep, directory, point.index) for point in sweep.points]


def _submit_all(sweep: Sweep, directory: SweepDir, submitter: Submitter) -> None:
    """Submit in order. The manifest is true before and after each, so no run is ever unknown."""
    ledger = Ledger(directory, directory.read_manifest())
    with _without_terminal():
        for allocation in sweep.allocations:
            ledger.intend(allocation.index)
            try:
                job = submitter.submit(allocation, directory.allocation(allocation.index).path)
            except Exception as error:
                problem = _refused(sweep, allocation, directory, error)
                ledger.refused(allocation.index, problem.message)
                raise SrtctlError(problem, ExitCode.UNAVAILABLE) from error
            ledger.accepted(allocation.index, job.number, job.cluster)
        ledger.save()


@contextlib.contextmanager
def _without_terminal() -> Iterator[None]:
    """Go on when the terminal closes: what is half submitted is worse than an answer that nobody reads."""
    try:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    except ValueError:  # not the main thread; then nobody sends us signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _refused(sweep: Sweep, allocation: Allocation, directory: SweepDir, error: Exception) -> Problem:
    """Which allocation was refused and why, in the words of who refused it, and what has become of the others."""
    said = error.problems[0] if isinstance(error, SrtctlError) else Problem("submission", str(error))
    done = allocation.index - sweep.allocations[0].index
    left = len(sweep.allocations) - done
    before = f"the {done} before it run" if done else "nothing was started"
    resume = f"srtctl apply --resume {directory.sweep_id}"
    hint = f"{said.hint}\n  hint: " if said.hint else ""
    return Problem(
        "submission",
        f"allocation {allocation.index} ({counted(len(allocation.points), 'point')}) was refused: {said.message}",
        key=said.key,
        hint=f"{hint}{before}; when the reason is mended, `{resume}` submits the {left} that are left, "
        "with other queue settings if you add them (slurm.partition=NAME)",
        source="sbatch" if sweep.executor == "slurm" else "",
        points=allocation.points,
    )


def _say_submitted(sweep: Sweep, directory: SweepDir) -> None:
    manifest = directory.read_manifest()
    if sweep.invocation.as_json:
        summary = {
            "sweep_id": directory.sweep_id,
            "directory": str(directory.path),
            "points": manifest["points"],
            "allocations": manifest["allocations"],
            "submitted": [allocation.index for allocation in sweep.allocations],
            "warnings": [problem_record(problem) for problem in sweep.problems],
        }
        print(json.dumps(summary, indent=2))
        return
    if sweep.problems:
        print(format_problems(sweep.problems), file=sys.stderr)
    points = len(sweep.points)
    allocations = [r for r in manifest["allocations"] if r["index"] >= sweep.allocations[0].index]
    jobs = ", ".join(str(record["job_id"]) for record in allocations[:8]) + (", …" if len(allocations) > 8 else "")
    word = "submitted" if sweep.resumed is None else "resumed"
    print(f"{word} {directory.sweep_id}: {counted(points, 'point')} on {counted(len(allocations), 'deployment')}")
    if sweep.resumed is not None:
        print(f"  before:  {beside(sweep.resumed)}")
    print(f"  jobs:    {jobs}")
    print(f"  results: {_shown(directory.path)}")
    if not sweep.wait:
        print(f"  next:    srtctl status --watch {directory.sweep_id}    srtctl results {directory.sweep_id}")


def beside(resumed: Resumption) -> str:
    """The points of a resumed sweep that are not run now."""
    running = f", {len(resumed.running)} still wait or run" if resumed.running else ""
    return f"{counted(len(resumed.measured), 'point')} with results{running}"


def nothing_missing(resumed: Resumption, job: JobConfig) -> None:
    """Say so, and wait for what still runs if the job asks for that."""
    sweep_id = resumed.directory.sweep_id
    if invocation.current.get().as_json:
        print(json.dumps({**resumed.manifest, "directory": str(resumed.directory.path), "submitted": []}, indent=2))
    else:
        print(f"nothing is missing in {sweep_id}: {beside(resumed)}")
    if job.launcher.wait and resumed.running:
        from srtctl.report.live import follow

        invocation.exit_code.set(int(follow(resumed.directory)))


def _metric(sweep: Sweep, directory: SweepDir, index: int) -> float | None:
    """The column that an optimising sweeper asked for: the best of the point's rows, None where there is none."""
    attempts = directory.point(index).attempts()
    result = rundir.read_json(attempts[-1].result) if attempts else None
    name = sweep.points[0].job.launcher.metric
    values = [row[name] for row in (result or {}).get("rows", []) if row.get(name) is not None]
    return max(values) if values else None


def _shown(path: Path) -> str:
    """Relative to the current directory where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
