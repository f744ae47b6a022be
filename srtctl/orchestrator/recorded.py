"""A program that nsys records, and an order to stop that reaches it.

    python -I -S orchestrator.pyz --recorded '{"stop": "TERM", "patient": …}' nsys profile … --output=PATH -- program …

What is asked to stop a step is asked of all its processes, and nsys does not stand that: it keeps an agent in a session
of its own, which SIGTERM ends, and the report with it. And with a time window it ends when that is over, while the
program runs on. So here are two processes: this one outside, which waits for both, and one inside, between nsys and the
program (`--recorded-program`), which knows the program's pid. The order to stop is SIGURG, which means nothing to those
who don't expect it. The one inside makes of it the signal that stops the program (`stop`), for the program alone;
then nsys sees its program end, and writes. An end that nobody has asked for is told at once, unless that of another
process explains it (`patient`). (Tried with nsys 2022.4.2 and 2023.4.4.)
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from srtctl.orchestrator import proctree

INSIDE, BETWEEN = "--recorded-program", "--"
PID, CODE = "pid", "code"  # files: of the process inside, and how its program has ended
LOOK_EVERY_S = 0.05
# An engine of several processes may end because the others do, a moment before the order comes to it.
ORDER_MAY_FOLLOW_S = 2.0
NOT_STARTED = 127


class _Orders:
    """Counts the signals that ask for a stop."""

    def __init__(self, *numbers: signal.Signals):
        self.count = 0
        for number in numbers:
            signal.signal(number, self._one_more)

    def _one_more(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


def main() -> int:
    """Entry of `orchestrator.pyz --recorded` and `--recorded-program`."""
    flag, first, *words = sys.argv[1:]
    if flag == INSIDE:
        stop, *program = words
        return end_as(run_program(Path(first), signal.Signals[f"SIG{stop}"], program))
    order, between = json.loads(first), words.index(BETWEEN)
    return end_as(record(words[:between], words[between + 1 :], order["stop"], order["patient"]))


def record(recorder: Sequence[str], program: Sequence[str], stop: str, patient: bool) -> int:
    """Run a program under nsys until both have ended.

    Returns:
        The program's exit code, or minus the number of the signal that ended it.
    """
    proctree.become_subreaper()
    orders = _Orders(signal.SIGURG, signal.SIGTERM, signal.SIGINT)
    place = Path(tempfile.mkdtemp(prefix="recorded-"))
    inside = [sys.executable, "-I", "-S", sys.argv[0], INSIDE, str(place), stop]
    try:
        pid = os.posix_spawnp(recorder[0], [*recorder, *inside, *program], os.environ)
        return _wait(pid, place, orders, patient)
    except OSError as error:
        print(f"error: {recorder[0]} could not be started: {error.strerror}", flush=True)
        return NOT_STARTED
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _wait(recorder: int, place: Path, orders: _Orders, patient: bool) -> int:
    recorded, told, ended_at = None, False, None
    while True:
        recorded = dict(proctree.reap()).get(recorder, recorded)
        pid, code = _read(place / PID), _read(place / CODE)
        if orders.count and pid is not None and not told:
            told = True
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGURG)
        if code is not None:
            ended_at = ended_at or time.monotonic()
            hurry = not patient and not orders.count and time.monotonic() - ended_at > ORDER_MAY_FOLLOW_S
            if recorded is not None or hurry:
                return code
        elif recorded is not None and (pid is None or proctree.entry(pid) is None):
            return recorded or NOT_STARTED
        time.sleep(LOOK_EVERY_S)


def run_program(place: Path, signum: signal.Signals, argv: Sequence[str]) -> int:
    """The process inside: run the program, tell it to stop when that is ordered; returns as `record` does."""
    # Whoever sends SIGTERM sends it to the program, too: Slurm to a whole step, nsys to its program's group.
    _Orders(signal.SIGTERM, signal.SIGINT)
    try:
        program = subprocess.Popen(argv)
    except OSError as error:
        print(f"error: {argv[0]} could not be started: {error.strerror}", flush=True)
        return _write(place / CODE, NOT_STARTED)
    told: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if not told:  # it comes twice where a whole step is signalled
            program.send_signal(signum)
        told.append(number)

    signal.signal(signal.SIGURG, stop)
    _write(place / PID, os.getpid())
    return _write(place / CODE, program.wait())


def end_as(code: int) -> int:
    """End by the signal that has ended the program, so that others see how it ended; else its exit code."""
    if code >= 0:
        return code
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _write(path: Path, number: int) -> int:
    with contextlib.suppress(OSError):
        new = path.with_suffix(".new")
        new.write_text(str(number))
        os.replace(new, path)
    return number
