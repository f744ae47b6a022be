"""Ending Slurm jobs: in order, and for certain. Ending what has ended already is no error."""

from __future__ import annotations

from collections.abc import Sequence

from srtctl.errors import SrtctlError
from srtctl.slurm.command import run
from srtctl.slurm.messages import one_line

_AT_ONCE = 500  # ids on one command line
# What scancel says about jobs that need no ending any more.
_HARMLESS = ("invalid job id", "already completing", "already completed", "job is pending", "job/step already")


def withdraw(job_ids: Sequence[str]) -> str:
    """Take those of the jobs that wait out of the queue; those that run go on. Returns what Slurm refused, if so."""
    return _scancel(job_ids, "--state=PENDING")


def ask_to_end(job_ids: Sequence[str]) -> str:
    """Signal the jobs' batch processes, which are the orchestrators: they end everything in order."""
    return _scancel(job_ids, "--batch", "--signal=TERM")


def end(job_ids: Sequence[str]) -> str:
    """End the jobs with all of their steps: SIGTERM for every process, SIGKILL after Slurm's KillWait."""
    return _scancel(job_ids)


def _scancel(job_ids: Sequence[str], *options: str) -> str:
    refused: list[str] = []
    for first in range(0, len(job_ids), _AT_ONCE):
        try:
            answer = run(["scancel", *options, *job_ids[first : first + _AT_ONCE]], check=False)
        except SrtctlError as error:
            return error.problems[0].message
        lines = [line for line in answer.stderr.splitlines() if not any(word in line.lower() for word in _HARMLESS)]
        if answer.returncode != 0 and (text := one_line("\n".join(lines))):
            refused.append(text)
    return "; ".join(dict.fromkeys(refused))
