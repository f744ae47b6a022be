"""Submission through submitit: executors whose text is our rendered batch.sh.

Only submitit's `_submit_command` path is used (text, command, job id): nothing is pickled and nothing is throttled.
The underscore keeps Hydra's plugin scan from importing submitit at every start.
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

from submitit.core import core
from submitit.core.utils import FailedJobError, JobPaths
from submitit.slurm import slurm

from srtctl.errors import ExitCode, Problem, SrtctlError
from srtctl.slurm.check import components
from srtctl.slurm.command import leftovers
from srtctl.slurm.messages import last_message, one_line, problem_of
from srtctl.submission import JobId
from srtctl.sweep import Allocation, Sweep

# $1 batch.sh, $2 its allocation directory, $3 log, $4 pid to wait for (empty: none).
# `setsid` gives the run a session of its own, so that it outlives this terminal; `exec` keeps the pid that is printed.
# The pid is in the directory before anything else happens: whoever submits may be killed before it is noted.
_DETACH = (
    'setsid sh -c \'echo "$$" >"$2/job_id"; if [ -n "$4" ]; then tail --pid="$4" -s 0.1 -f /dev/null; fi; '
    'exec bash "$1" "$2"\' srtctl "$1" "$2" "$3" "$4" </dev/null >>"$3" 2>&1 & echo "$!"'
)


class _InfoWatcher(core.InfoWatcher):
    """srtctl reads status.json itself; submitit has nothing to ask here."""

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        return "UNKNOWN"


class DetachedJob(core.Job[Any]):
    """A run of which submitit knows the id and nothing else."""

    watcher = _InfoWatcher()


class DetachedExecutor(core.PicklingExecutor):
    """submitit executor that starts one allocation's batch.sh on this machine, detached."""

    job_class = DetachedJob

    def __init__(self, allocation_dir: Path, text: str, after_pid: str = "") -> None:
        super().__init__(allocation_dir / "submit")
        JobPaths.get_first_id_independent_folder(self.folder).mkdir(parents=True, exist_ok=True)
        self._allocation_dir = allocation_dir
        self._text = text
        self._after_pid = after_pid

    def submit_text(self) -> JobId:
        """Submit; returns the job id, which is the pid of the orchestrator."""
        return JobId(str(self._submit_command("").job_id))

    def _num_tasks(self) -> int:
        return 1

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        return self._text

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        # batch.sh itself, not submitit's copy of the same text: submitit moves the copy while we start
        batch, log = self._allocation_dir / "batch.sh", self._allocation_dir / "orchestrator.log"
        return ["sh", "-c", _DETACH, "srtctl", str(batch), str(self._allocation_dir), str(log), self._after_pid]

    @staticmethod
    def _get_job_id_from_submission_command(string: str | bytes) -> str:
        text = string.decode() if isinstance(string, bytes) else string
        return text.strip().splitlines()[-1]


class SrtSlurmExecutor(slurm.SlurmExecutor):
    """submitit executor that hands one allocation's batch.sh to sbatch.

    All that the job is stands in batch.sh; the command says where it runs, which differs from run to run, and that
    the job inherits this environment, but for the variables `unset`.
    """

    job_class = DetachedJob  # type: ignore[assignment]  # its watcher would ask sacct

    def __init__(self, allocation_dir: Path, text: str, unset: list[str], options: list[str]) -> None:
        super().__init__(allocation_dir / "submit")
        JobPaths.get_first_id_independent_folder(self.folder).mkdir(parents=True, exist_ok=True)
        self._allocation_dir = allocation_dir
        self._text = text
        self._unset = unset
        self._options = options

    def submit_text(self) -> JobId:
        """Submit.

        Raises:
            SrtctlError: sbatch refused; with its own message.
        """
        silenced = io.StringIO()  # submitit prints what sbatch says; it is part of our message
        try:
            with contextlib.redirect_stderr(silenced):
                job = self._submit_command("")
        except FailedJobError as error:
            text = str(error)
            asked = {name: value for part in components(self._text) for name, value in part.items()}
            refused = problem_of(text, one_line(text) or "sbatch failed", asked=asked)
            raise SrtctlError(refused, ExitCode.UNAVAILABLE) from error
        return JobId(str(job.job_id), self._cluster)

    def _num_tasks(self) -> int:
        return 1  # the batch script itself

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        return self._text

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        here = self._allocation_dir
        without = [word for name in self._unset for word in ("-u", name)]
        return [
            *(["env", *without] if without else []),
            *("sbatch", "--parsable", "--export=ALL", f"--chdir={here}", *self._options),
            *(str(here / "batch.sh"), str(here)),
        ]

    _cluster = ""

    def _get_job_id_from_submission_command(self, string: str | bytes) -> str:  # type: ignore[override]
        text = string.decode() if isinstance(string, bytes) else string
        number, _, self._cluster = text.strip().splitlines()[-1].partition(";") if text.strip() else ("", "", "")
        if not number.isdecimal():
            raise FailedJobError(f"sbatch gave no job id but {last_message(text)!r}")
        return number


class LocalSubmitter:
    """Submits the allocations of one sweep on this machine, `launcher.max_in_flight` at a time."""

    def __init__(self, sweep: Sweep):
        self._in_flight = sweep.max_in_flight or 1
        self._pids: list[str] = list(sweep.resumed.active_jobs) if sweep.resumed is not None else []

    def submit(self, allocation: Allocation, directory: Path) -> JobId:
        """Start (or queue behind an earlier one) the allocation in `directory`; returns its job id."""
        behind = len(self._pids) - self._in_flight
        after = self._pids[behind] if behind >= 0 else ""
        job = DetachedExecutor(directory, allocation.batch, after).submit_text()
        self._pids.append(job.number)
        return job


class SlurmSubmitter:
    """Hands the allocations of one sweep to Slurm, one job each.

    `launcher.max_in_flight` is held by Slurm itself, so it needs nobody to stay: each job waits for the end, however
    it ends, of the one that is so many places before it.
    """

    def __init__(self, sweep: Sweep):
        passed = [name for point in sweep.points for name in point.plan.pass_environment]
        self._unset = leftovers(os.environ, passed)
        self._in_flight = sweep.max_in_flight
        self._jobs: list[str] = list(sweep.resumed.active_jobs) if sweep.resumed is not None else []
        self._dependency = {p.index: dependency_of(p.job) for p in sweep.points}
        if self._in_flight is not None and any("?" in text for text in self._dependency.values()):
            raise SrtctlError(_either_dependency())

    def submit(self, allocation: Allocation, directory: Path) -> JobId:
        """Hand over the allocation in `directory`; returns its job id."""
        options = self._after(self._dependency[allocation.points[0]])
        job = SrtSlurmExecutor(directory, allocation.batch, self._unset, options).submit_text()
        self._jobs.append(job.number)
        return job

    def _after(self, own: str) -> list[str]:
        """The option by which the job waits for its turn; it takes the place of the job's own, so it includes that."""
        behind = len(self._jobs) - (self._in_flight or 0)
        if self._in_flight is None or behind < 0:
            return []
        return ["--dependency=" + ",".join(text for text in (own, f"afterany:{self._jobs[behind]}") if text)]


def dependency_of(job: Any) -> str:
    """The jobs that a job waits for by its own config; empty for none."""
    own = {} if job.slurm.dependency is None else {"dependency": job.slurm.dependency}
    return str({**job.cluster.sbatch_directives, **own, **job.sbatch_directives}.get("dependency") or "")


def _either_dependency() -> Problem:
    return Problem(
        "max-in-flight",
        "can't be combined with a dependency that has alternatives (`?`)",
        key="launcher.max_in_flight",
        allowed="dependencies joined with commas",
        hint="Slurm's jobs wait either for all of several others or for any of them, not for both kinds",
    )
