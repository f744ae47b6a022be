"""Watch a sweep: a live view on a terminal, lines for what has changed everywhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from srtctl.errors import ExitCode
from srtctl.report.snapshot import Line, changes, headline
from srtctl.report.tables import allocation_failure
from srtctl.results.state import SweepState, read_state
from srtctl.rundir import SweepDir
from srtctl.slurm.view import JobView

if TYPE_CHECKING:
    from rich.console import Console

POLL_S = 0.25
PROGRESS_LINES_S = 10.0  # between two lines about the same measurement, where nobody sees a live view


def follow(sweep: SweepDir, *, console: Console | None = None, stop_when_done: bool = True) -> ExitCode:
    """Show a sweep until nothing of it is active any more. Ctrl-C stops the watching, never the run.

    Args:
        sweep: The sweep to watch.
        console: Where to show it; default: standard output, or standard error when that is for one JSON document.
        stop_when_done: False goes on until Ctrl-C (for somebody who will resume the sweep).

    Returns:
        OK when every point has a valid result, FAILED when not, INTERRUPTED when the watching was stopped before that.
    """
    console = console or _console()
    try:
        found = _watch(sweep, console, stop_when_done)
    except KeyboardInterrupt:
        name = sweep.sweep_id
        _say(console, f"detached; {name} goes on")
        _say(console, f"  watch it again: srtctl status --watch {name}")
        _say(console, f"  stop it:        srtctl cancel {name}")
        return ExitCode.INTERRUPTED
    for allocation in found.present:
        for line in allocation_failure(found, allocation):
            _say(console, line)
    return ExitCode.OK if found.good else ExitCode.FAILED


def _watch(sweep: SweepDir, console: Console, stop_when_done: bool) -> SweepState:
    if not console.is_terminal:
        return _plain(sweep, console, stop_when_done)
    from rich.live import Live

    from srtctl.report.view import render

    states = _states(sweep, stop_when_done)
    found = next(states)
    with Live(render(found), console=console, refresh_per_second=8, transient=False) as live:
        for found in states:
            live.update(render(found))
    return found


def _plain(sweep: SweepDir, console: Console, stop_when_done: bool) -> SweepState:
    seen: dict[str, Line] = {}
    progress_at = 0.0
    found = None
    for found in _states(sweep, stop_when_done):
        quiet = time.monotonic() - progress_at < PROGRESS_LINES_S
        for line in changes(found, seen, quiet):
            _say(console, line.text)
            if line.progress:
                progress_at = time.monotonic()
    assert found is not None
    _say(console, headline(found))
    return found


def _states(sweep: SweepDir, stop_when_done: bool) -> Iterator[SweepState]:
    slurm = JobView()
    while True:
        begun = time.monotonic()
        found = read_state(sweep, slurm)
        took_s = time.monotonic() - begun
        yield found
        if stop_when_done and not found.active:
            return
        time.sleep(max(POLL_S, 4 * took_s))  # a sweep of thousands on a slow file system is looked at less often


def _console() -> Console:
    from rich.console import Console

    from srtctl.invocation import current

    return Console(stderr=current.get().as_json)


def _say(console: Any, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
