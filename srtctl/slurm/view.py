"""Slurm's jobs for whoever looks often: few questions, however many jobs there are and however often one looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from srtctl.errors import Problem, SrtctlError
from srtctl.slurm.history import ask_history
from srtctl.slurm.queue import Job, ask_queue

REFRESH_S = 15.0  # between two looks at the queue: four a minute
HISTORY_S = 60.0  # between two questions to accounting, which asks the controller once for where accounting is


class JobView:
    """The user's jobs.

    One look asks squeue once. A job that is not in the queue any more is looked up in accounting, with all others of
    its kind at once, and its end is kept: it never changes.
    """

    def __init__(self, refresh_s: float = REFRESH_S, clock: Callable[[], float] = time.monotonic):
        """Nothing is asked before somebody wants to know.

        Args:
            refresh_s: How old an answer may be.
            clock: Seconds that only grow.
        """
        self._refresh_s = refresh_s
        self._clock = clock
        self._asked_at: float | None = None
        self._history_at: float | None = None
        self._jobs: dict[str, Job] = {}
        self._ended: dict[str, Job] = {}
        self._no_history = False
        self.problem: Problem | None = None
        self.answered_at = 0.0  # unix seconds: how things were then

    def refresh(self, *, now: bool = False) -> None:
        """Bring the queue up to date if the last answer is too old (`now`: in any case)."""
        at = self._clock()
        if not now and self._asked_at is not None and at - self._asked_at < self._refresh_s:
            return
        self._asked_at = at
        try:
            asked_at = time.time()
            self._jobs = ask_queue()
            self.answered_at = asked_at
            self._ended |= {job_id: job for job_id, job in self._jobs.items() if job.ended}
            self.problem = None
        except SrtctlError as error:
            self.problem = error.problems[0]

    @property
    def answers(self) -> bool:
        """Whether the last question was answered; where it wasn't, what is known is what was known before."""
        self.refresh()
        return self.problem is None

    def queue(self) -> list[tuple[str, str]]:
        """(id, working directory) of each job in the queue."""
        self.refresh()
        return [(job_id, job.work_dir) for job_id, job in self._jobs.items()]

    def recall(self, job_ids: Iterable[str]) -> None:
        """Look up in accounting those of the jobs that the queue doesn't show, all with one question."""
        self.refresh()
        missing = {job_id for job_id in job_ids if job_id not in self._jobs and job_id not in self._ended}
        at = self._clock()
        recent = self._history_at is not None and at - self._history_at < HISTORY_S
        if not missing or self._no_history or recent:
            return
        self._history_at = at
        found = ask_history(missing)
        if found is None:
            self._no_history = True
            return
        self._ended |= {job_id: job for job_id, job in found.items() if job.ended}

    def job(self, job_id: str) -> Job | None:
        """A job; None if Slurm doesn't know it (any more)."""
        self.refresh()
        return self._jobs.get(job_id) or self._ended.get(job_id)
