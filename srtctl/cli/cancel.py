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
    from collections.abc import Iterable

    from srtctl.results.state import AllocationState, SweepState
    from srtctl.rundir import SweepDir

EPILOG = """\
Servers are stopped in order and results so far are kept; jobs that wait are
taken out of the queue. What has not ended when the time is over is killed.
Cancelling what has ended already is no error.
Exit code: 0 when nothing of the sweep runs or waits any more, 1 when something
could not be stopped from here."""

MOST_LINES = 8  # about single allocations
POLL_S = 0.1
MARGIN_S = 10.0  # beyond what the run itself takes to stop
LOST_S = 10.0  # what the keeper takes to kill everything once the orchestrator is gone
SLURM_LOST_S = 90.0  # what Slurm takes to end a job for certain: its KillWait (30 s by default) and some more
SLURM_REFRESH_S = 1.5  # between two looks at the queue


def main(argv: list[str]) -> int:
    """Carry out `srtctl cancel`; returns the exit code.

    Raises:
        SrtctlError: There is no such sweep.
    """
    options = _parser().parse_args(argv)
    from srtctl.results.select import select_sweep
    from srtctl.rundir import output_directory

    sweep = select_sweep(options.sweep, output_directory(options.output_dir))
    stopping = _Stopping(sweep)
    stopping.ask()
    stopping.wait(options.timeout if options.timeout is not None else _stop_time_s(sweep, stopping.asked))
    stopping.make_sure()
    after = stopping.look()
    _say(sweep, stopping, after, options.json)
    return ExitCode.FAILED if stopping.lives(after) else ExitCode.OK


class _Stopping:
    """One sweep that is being stopped.

    Attributes:
        asked: Indices of the allocations that were asked to stop.
        refused: What Slurm said against it.
    """

    def __init__(self, sweep: SweepDir) -> None:
        from srtctl.slurm.view import JobView

        self._sweep = sweep
        self._slurm = JobView(refresh_s=SLURM_REFRESH_S)
        self.asked: list[int] = []
        self.refused = ""

    def look(self) -> SweepState:
        """The sweep now."""
        from srtctl.results.state import read_state

        return read_state(self._sweep, self._slurm)

    def ask(self) -> None:
        """Ask what is active for an ordered stop: by a file, which works from every machine, and by a signal."""
        new = [a for a in self.look().allocations if _lives(a) and a.index not in self.asked]
        for allocation in new:
            with contextlib.suppress(OSError):
                self._sweep.allocation(allocation.index).stop.touch()
            if allocation.record.get("executor") != "slurm":
                _signal(allocation, signal.SIGTERM)
                if not allocation.status:
                    _end_queued(allocation, str(self._sweep.allocation(allocation.index).path))
        jobs = _slurm_jobs(new)
        if jobs:
            from srtctl.slurm import stop

            # In this order: what begins to run between the two is asked like the others.
            self.refused = stop.withdraw(jobs) or stop.ask_to_end(jobs)
            self._look_anew()
        self.asked += [a.index for a in new]

    def wait(self, seconds: float) -> None:
        """Until nothing lives; what another command submits meanwhile is asked as well."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            submitting = _being_submitted(self._sweep)
            found = self.look()
            if not self.lives(found) and not submitting:
                return
            if any(_lives(a) and a.index not in self.asked for a in found.allocations):
                self.ask()
            time.sleep(POLL_S)

    def make_sure(self) -> None:
        """Kill what is left."""
        left = [a for a in self.look().allocations if _lives(a)]
        for allocation in left:
            if allocation.state == "running" and allocation.record.get("executor") != "slurm":
                _signal(allocation, signal.SIGKILL)  # its keeper then ends everything that it had started
        jobs = _slurm_jobs(left)
        if jobs:
            from srtctl.slurm import stop

            self.refused = stop.end(jobs)
            self._look_anew()
        if left and not (self.refused and len(jobs) == len(left)):
            self.wait(SLURM_LOST_S if jobs else LOST_S)

    def _look_anew(self) -> None:
        if not self.refused:  # a silent Slurm stays silent for longer than this
            self._slurm.refresh(now=True)

    def lives(self, found: SweepState) -> bool:
        """Whether anything of the sweep runs or waits."""
        return any(_lives(a) or _keeper_lives(a.status) for a in found.allocations)


def _lives(allocation: AllocationState) -> bool:
    """It may go on by itself, or Slurm has not yet cleared it away."""
    return allocation.active or (allocation.job is not None and not allocation.job.ended)


def _slurm_jobs(allocations: Iterable[AllocationState]) -> list[str]:
    return [a.job_id for a in allocations if a.job_id is not None and a.record.get("executor") == "slurm"]


def _being_submitted(sweep: SweepDir) -> bool:
    """Whether some command hands over allocations of this sweep at this moment."""
    import fcntl

    from srtctl.rundir import LOCK

    try:
        with open(sweep.path / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


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


def _stop_time_s(sweep: SweepDir, asked: list[int]) -> float:
    """What the plans allow for a stop, and some more."""
    longest = 0.0
    for index in asked:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            plan = json.loads(sweep.allocation(index).plan.read_text(encoding="utf-8"))
            longest = max(longest, float(plan["budgets"]["stop_s"]))
    return longest + MARGIN_S


def _keeper_lives(status: dict[str, Any]) -> bool:
    """The keeper outlives a killed orchestrator for as long as it takes to end the rest."""
    from srtctl.orchestrator import proctree

    if not status.get("keeper_pid") or status.get("boot_id") != proctree.boot_id() or status.get("phase") == "done":
        return False
    one = proctree.entry(int(status["keeper_pid"]))
    return one is not None and one.state not in ("Z", "X") and one.start >= int(status.get("pid_start") or 0)


def _say(sweep: SweepDir, stopping: _Stopping, after: SweepState, as_json: bool) -> None:
    lives = stopping.lives(after)
    states = {a.index: a.state for a in after.allocations}
    if as_json:
        stopped = {str(index): states.get(index) for index in stopping.asked}
        document = {
            "sweep_id": sweep.sweep_id,
            "stopped": stopped,
            "active": lives,
            "refused": stopping.refused or None,
        }
        print(json.dumps(document, indent=2))
        return
    if not stopping.asked:
        print(f"{sweep.sweep_id} has ended already: {after.state}")
    for line in _outcome_lines(sweep, stopping.asked, states):
        print(line)
    if stopping.refused and lives:
        print(f"Slurm refused: {stopping.refused}")
    for allocation in after.allocations:
        if allocation.job is not None and not allocation.job.ended and not stopping.refused:
            print(f"Slurm still clears away job {allocation.job_id} on {allocation.job.nodes or 'its nodes'}")
    if after.active and not stopping.refused:
        print("not everything has stopped yet: what runs on another machine stops when it sees the file `stop`")


def _outcome_lines(sweep: SweepDir, asked: list[int], states: dict[int, str]) -> list[str]:
    """A line for each allocation; of many, one for each outcome."""
    if len(asked) <= MOST_LINES:
        return [f"{sweep.sweep_id} allocation {index}: {states.get(index)}" for index in asked]
    by_state: dict[str, list[int]] = {}
    for index in asked:
        by_state.setdefault(str(states.get(index)), []).append(index)
    return [f"{sweep.sweep_id}: {len(found)} allocations {state}" for state, found in by_state.items()]
