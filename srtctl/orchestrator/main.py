"""Entry of `orchestrator.pyz`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from srtctl import __version__
from srtctl.errors import ExitCode
from srtctl.orchestrator.environment import raise_open_files_limit
from srtctl.orchestrator.inputs import read_inputs
from srtctl.orchestrator.liveness import State, liveness
from srtctl.orchestrator.machines import machines_of
from srtctl.orchestrator.run import run
from srtctl.rundir import AllocationDir

USAGE = """usage: python -I -S orchestrator.pyz <allocation directory>

Runs one allocation of a sweep: starts its servers, measures its points one after another, stops everything.
The directory is one that srtctl wrote: <sweep>/allocations/NNNN, with plan.json and points.json in it.

  status        <allocation directory>/attempt-N/status.json, events.jsonl, logs/
  ordered stop  SIGTERM, SIGINT, or: touch <allocation directory>/stop
  exit code     0 all points are ok, 1 they are not, 2 wrong usage
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the allocation named on the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--help" in arguments or "-h" in arguments:
        print(USAGE, end="")
        return ExitCode.OK
    if arguments == ["--version"]:
        print(__version__)
        return ExitCode.OK
    if len(arguments) != 1:
        print(USAGE, end="", file=sys.stderr)
        return ExitCode.USAGE
    directory = Path(arguments[0])
    try:
        inputs = read_inputs(directory)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.USAGE
    last = AllocationDir(directory).latest_attempt()
    if last is not None and liveness(last).state is State.RUNNING:
        print(f"error: {directory} is being run already: {liveness(last).detail}", file=sys.stderr)
        return ExitCode.USAGE
    raise_open_files_limit()
    try:
        machines = machines_of(inputs)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.UNAVAILABLE
    return run(inputs, machines)
