"""`srtctl cancel`: an ordered stop, then make sure."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from srtctl.errors import ExitCode

if TYPE_CHECKING:
    from srtctl.results.state import AllocationState
    from srtctl.rundir import SweepDir

EPILOG = """\
Servers are stopped in order and results so far are kept. What has not ended when the time is over is killed. Cancelling
what has ended already is no error.
Exit code: 0 when nothing of the sweep runs any more, 1 when something could not be stopped from here."""

POLL_S = 0.1
MARGIN_S = 10.0  # beyond what the run itself takes to stop
LOST_S = 10.0  # what the keeper takes to kill everything once the orchestrator is gone


def main(argv: list[str]) -> int:
    """Carry out `srtctl cancel`; returns the exit code.

    Raises:
        SrtctlError: There is no such sweep.
    """
    options = _parser().parse_args(argv)
    from srtctl.results.select import output_directory, select_sweep
    from srtctl.results.state import read_state

    sweep = select_sweep(options.sweep, output_directory(options.output_dir))
    before = read_state(sweep)
    active = [a for a in before.allocations if a.active]
    for allocation in active:
        _ask(sweep, allocation)
    _wait(sweep, options.timeout if options.timeout is not None else _stop_time_s(sweep, active))
    for allocation in read_state(sweep).allocations:
        if allocation.state == "running":
            _kill(allocation)
    _wait(sweep, LOST_S)
    after = read_state(sweep)
    _say(sweep, [a.index for a in active], after, options.json)
    return ExitCode.FAILED if after.active else ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl cancel",
        description="Stop a sweep.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="id, name or path; default: the latest")
    parser.add_argument("--timeout", type=float, metavar="S", help="how long the ordered stop may take")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "-o", "--output-dir", metavar="DIR", help="where runs are; default: $SRTCTL_OUTPUT_DIR, ./outputs"
    )
    return parser


def _ask(sweep: SweepDir, allocation: AllocationState) -> None:
    """Ask for an ordered stop: by a file, which works from every machine, and by a signal, which is quicker."""
    with contextlib.suppress(OSError):
        sweep.allocation(allocation.index).stop.touch()
    _signal(allocation, signal.SIGTERM)
    if not allocation.status and allocation.record.get("executor") == "local":
        _end_queued(allocation, str(sweep.allocation(allocation.index).path))


def _signal(allocation: AllocationState, number: signal.Signals) -> None:
    """Signal the orchestrator if it is a process of this machine and the one that wrote the status."""
    if _is_ours(allocation.status):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(allocation.status["pid"]), number)


def _is_ours(status: dict[str, Any]) -> bool:
    """Same boot, same pid, same start time: a pid alone may have been given to somebody else since."""
    from srtctl.orchestrator import proctree

    if not status or status.get("boot_id") != proctree.boot_id():
        return False
    one = proctree.entry(int(status.get("pid") or 0))
    return one is not None and one.start == status.get("pid_start")


def _end_queued(allocation: AllocationState, directory: str) -> None:
    """End a local run that still waits for its turn: the session that was made for it."""
    job = str(allocation.record.get("job_id") or "")
    if job.isdecimal() and _waits_for_its_turn(int(job), directory):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(job), signal.SIGTERM)


def _waits_for_its_turn(pid: int, directory: str) -> bool:
    """The process is the one that was submitted: the allocation's directory is on its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return directory.encode() in file.read()
    except OSError:
        return False


def _kill(allocation: AllocationState) -> None:
    """Kill the orchestrator; its keeper then ends everything that it had started."""
    _signal(allocation, signal.SIGKILL)


def _stop_time_s(sweep: SweepDir, active: list[AllocationState]) -> float:
    """What the plans allow for a stop, and some more."""
    longest = 0.0
    for allocation in active:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            plan = json.loads(sweep.allocation(allocation.index).plan.read_text(encoding="utf-8"))
            longest = max(longest, float(plan["budgets"]["stop_s"]))
    return longest + MARGIN_S


def _wait(sweep: SweepDir, seconds: float) -> None:
    from srtctl.results.state import read_state

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = read_state(sweep)
        if not state.active and not any(_keeper_lives(a.status) for a in state.allocations):
            return
        time.sleep(POLL_S)


def _keeper_lives(status: dict[str, Any]) -> bool:
    """The keeper outlives a killed orchestrator for as long as it takes to end the rest."""
    from srtctl.orchestrator import proctree

    if not status.get("keeper_pid") or status.get("boot_id") != proctree.boot_id() or status.get("phase") == "done":
        return False
    one = proctree.entry(int(status["keeper_pid"]))
    return one is not None and one.state not in ("Z", "X") and one.start >= int(status.get("pid_start") or 0)


def _say(sweep: SweepDir, asked: list[int], after: Any, as_json: bool) -> None:
    states = {a.index: a.state for a in after.allocations}
    if as_json:
        stopped = {str(index): states.get(index) for index in asked}
        print(json.dumps({"sweep_id": sweep.sweep_id, "stopped": stopped, "active": after.active}, indent=2))
        return
    if not asked:
        print(f"{sweep.sweep_id} has ended already: {after.state}")
    for index in asked:
        print(f"{sweep.sweep_id} allocation {index}: {states.get(index)}")
    if after.active:
        print("not everything has stopped yet: what runs on another machine stops when it sees the file `stop`")
