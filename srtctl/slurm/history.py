"""Jobs that Slurm's controller has forgotten: accounting, else the log of ended jobs, where there is either."""

from __future__ import annotations

from collections.abc import Iterable

from srtctl.errors import SrtctlError
from srtctl.slurm.command import run
from srtctl.slurm.queue import Job, moment

_FIELDS = "JobID,State,ExitCode,NodeList,Start,Submit,Partition,WorkDir"
_COMPLETION_FIELDS = "JobID,State,ExitCode,NodeList,Start"
_AT_ONCE = 500  # ids on one command line


def ask_history(job_ids: Iterable[str]) -> dict[str, Job] | None:
    """What is remembered of these jobs, by id; None on a cluster that remembers nothing.

    sacct asks the accounting's own server, not the controller.
    """
    wanted = sorted(job_ids)
    found: dict[str, Job] = {}
    for first in range(0, len(wanted), _AT_ONCE):
        ids = ",".join(wanted[first : first + _AT_ONCE])
        answer = _ask("--allocations", f"--format={_FIELDS}", f"--jobs={ids}")
        if answer is None:
            answer = _ask("--completion", f"--format={_COMPLETION_FIELDS}", f"--jobs={ids}")
        if answer is None:
            return None
        found |= parse_history(answer)
    return {job_id: job for job_id, job in found.items() if job_id in set(wanted)}


def parse_history(text: str) -> dict[str, Job]:
    """sacct's lines as jobs. Of a job that ran more than once the last run counts."""
    jobs: dict[str, Job] = {}
    for line in text.splitlines():
        parts = line.split("|", 7)
        if len(parts) < 5:
            continue
        number, _, component = parts[0].partition("+")
        if not number.isdecimal() or component not in ("", "0"):
            continue
        state, exit_code, nodes, start = parts[1], parts[2], parts[3], parts[4]
        submitted, partition, work_dir = [*parts[5:], "", "", ""][:3]
        known = "" if nodes in ("None assigned", "(null)", "") else nodes
        jobs[number] = Job(
            number, (state.split() or [""])[0], "", work_dir, moment(start), None, known, moment(submitted), partition,
            exit_code,
        )  # fmt: skip
    return jobs


def _ask(*options: str) -> str | None:
    try:
        answer = run(["sacct", "--parsable2", "--noheader", *options], check=False)
    except SrtctlError:
        return None
    return answer.stdout if answer.returncode == 0 else None
