"""Signals for steps. `scancel -s` is the only way: an srun that gets SIGTERM kills its tasks at once."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable

from srtctl.orchestrator.slurmjob import Ask, SlurmJob, ask

GATHER_S = 0.01  # requests of one moment travel together
TRIES, PAUSE_S = 4, 0.25  # a step that has just been started is not listed at once
TIMEOUT_S = 15.0


class Signaller:
    """A thread that turns (name of a step, signal) into calls of scancel."""

    def __init__(self, job: SlurmJob, alive: Callable[[str], bool], asked: Ask = ask):
        self._job, self._alive, self._asked = job, alive, asked
        self._orders: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._ids: dict[str, list[str]] = {}
        threading.Thread(target=self._run, name="step-signals", daemon=True).start()

    def send(self, name: str, signum: int) -> None:
        """Have a step signalled soon; one that has ended meanwhile is left alone."""
        self._orders.put((name, signum))

    def forget(self, name: str) -> None:
        """The step has ended; the next one of this name is another."""
        self._ids.pop(name, None)

    def close(self) -> None:
        self._orders.put(None)

    def _run(self) -> None:
        while True:
            first = self._orders.get()
            time.sleep(GATHER_S)
            orders = [first]
            with contextlib.suppress(queue.Empty):
                while True:
                    orders.append(self._orders.get_nowait())
            by_signal: dict[int, list[str]] = {}
            for order in orders:
                if order is not None:
                    by_signal.setdefault(order[1], []).append(order[0])
            for signum, names in by_signal.items():
                self._signal(names, signum)
            if None in orders:
                return

    def _signal(self, names: list[str], signum: int) -> None:
        for attempt in range(TRIES):
            names = [name for name in names if self._alive(name)]
            with contextlib.suppress(OSError):  # the controller may be away for a moment; the stop has its deadline
                if any(name not in self._ids for name in names):
                    self._ids = step_ids(self._asked(self._list_command(), TIMEOUT_S))
                known = [name for name in names if name in self._ids]
                if known:
                    ids = [number for name in known for number in self._ids[name]]
                    # scancel's exit code says nothing here: a step may have ended in this very moment.
                    with contextlib.suppress(OSError):
                        self._asked(["scancel", "-s", signal.Signals(signum).name[3:], *ids], TIMEOUT_S)
                    names = [name for name in names if name not in known]
            if not names:
                return
            if attempt < TRIES - 1:
                time.sleep(PAUSE_S)

    def _list_command(self) -> list[str]:
        numbers = ",".join(part.job_id for part in self._job.components)
        return ["squeue", "-h", "-s", "-j", numbers, "-o", "%i|%j"]


def step_ids(listed: str) -> dict[str, list[str]]:
    """Name -> ids of the steps of that name, from lines of `ID|NAME`."""
    found: dict[str, list[str]] = {}
    for line in _numbered(listed.splitlines()):
        number, _, name = line.partition("|")
        found.setdefault(name.strip(), []).append(number.strip())
    return found


def _numbered(lines: Iterable[str]) -> list[str]:
    """Lines about numbered steps: `7.batch` and `7.extern` are Slurm's own."""
    return [line for line in lines if line.partition("|")[0].strip().rpartition(".")[2].isdigit()]
