"""From a sweep on paper to running allocations: the intent, the submission, its id, each on disk at once."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from srtctl import invocation, rundir
from srtctl.errors import ExitCode, Problem, SrtctlError, format_problems
from srtctl.rundir import SweepDir, write_json
from srtctl.sweep import Allocation, Sweep, problem_record, write


class Submitter(Protocol):
    """What a launcher brings: how one allocation is handed over."""

    def submit(self, allocation: Allocation, directory: Path) -> str:
        """Hand over the allocation whose files are in `directory`; returns its job id."""


def submit_and_report(sweep: Sweep, submitter: Submitter) -> Sequence[Any]:
    """Write the sweep, submit each allocation, say what was done, and wait if the job asks for it.

    Returns:
        One value per point: the chosen metric when it waited, else None.
    """
    directory = write(sweep)
    _submit_all(sweep, directory, submitter)
    _say_submitted(sweep, directory)
    if not sweep.wait:
        return [None] * len(sweep.points)
    from srtctl.report.live import follow

    invocation.exit_code.set(int(follow(directory)))
    return [_metric(sweep, directory, point.index) for point in sweep.points]


def _submit_all(sweep: Sweep, directory: SweepDir, submitter: Submitter) -> None:
    """Submit in order. The manifest is true before and after each, so no run is ever unknown."""
    manifest = directory.read_manifest()
    for allocation in sweep.allocations:
        record = manifest["allocations"][allocation.index]
        record["intent_at"] = time.time()
        write_json(directory.manifest, manifest)
        try:
            record["job_id"] = submitter.submit(allocation, directory.allocation(allocation.index).path)
        except Exception as error:
            raise SrtctlError(_refused(allocation, directory, error), ExitCode.UNAVAILABLE) from error
        record["submitted_at"] = time.time()
        write_json(directory.manifest, manifest)


def _refused(allocation: Allocation, directory: SweepDir, error: Exception) -> Problem:
    return Problem(
        "submission",
        f"allocation {allocation.index} was not accepted: {error}",
        hint=f"what was submitted before it goes on: srtctl status {directory.sweep_id}",
    )


def _say_submitted(sweep: Sweep, directory: SweepDir) -> None:
    manifest = directory.read_manifest()
    if sweep.invocation.as_json:
        summary = {
            "sweep_id": directory.sweep_id,
            "directory": str(directory.path),
            "points": manifest["points"],
            "allocations": manifest["allocations"],
            "warnings": [problem_record(problem) for problem in sweep.problems],
        }
        print(json.dumps(summary, indent=2))
        return
    if sweep.problems:
        print(format_problems(sweep.problems), file=sys.stderr)
    points, allocations = len(sweep.points), manifest["allocations"]
    jobs = ", ".join(str(record["job_id"]) for record in allocations[:8]) + (", …" if len(allocations) > 8 else "")
    print(f"submitted {directory.sweep_id}: {_count(points, 'point')} on {_count(len(allocations), 'deployment')}")
    print(f"  jobs:    {jobs}")
    print(f"  results: {_shown(directory.path)}")
    if not sweep.wait:
        print(f"  next:    srtctl status --watch {directory.sweep_id}    srtctl results {directory.sweep_id}")


def _metric(sweep: Sweep, directory: SweepDir, index: int) -> float | None:
    """The column that an optimising sweeper asked for: the best of the point's rows, None where there is none."""
    attempts = directory.point(index).attempts()
    result = rundir.read_json(attempts[-1].result) if attempts else None
    name = sweep.points[0].job.launcher.metric
    values = [row[name] for row in (result or {}).get("rows", []) if row.get(name) is not None]
    return max(values) if values else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(path: Path) -> str:
    """Relative to the current directory where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
