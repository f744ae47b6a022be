"""Submission through submitit: executors whose text is our rendered batch.sh.

Only submitit's `_submit_command` path is used (text, command, job id): nothing is pickled and nothing is throttled.
The underscore keeps Hydra's plugin scan from importing submitit at every start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from submitit.core import core
from submitit.core.utils import JobPaths

from srtctl.sweep import Allocation, Sweep

# $1 batch.sh, $2 its allocation directory, $3 log, $4 pid to wait for (empty: none).
# `setsid` gives the run a session of its own, so that it outlives this terminal; `exec` keeps the pid that is printed.
_DETACH = (
    'setsid sh -c \'if [ -n "$4" ]; then tail --pid="$4" -s 0.1 -f /dev/null; fi; exec bash "$1" "$2"\' '
    'srtctl "$1" "$2" "$3" "$4" </dev/null >>"$3" 2>&1 & echo "$!"'
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

    def submit_text(self) -> str:
        """Submit; returns the job id, which is the pid of the orchestrator."""
        return str(self._submit_command("").job_id)

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


class LocalSubmitter:
    """Submits the allocations of one sweep on this machine, `launcher.max_in_flight` at a time."""

    def __init__(self, sweep: Sweep):
        self._in_flight = sweep.max_in_flight or 1
        self._pids: list[str] = []

    def submit(self, allocation: Allocation, directory: Path) -> str:
        """Start (or queue behind an earlier one) the allocation in `directory`; returns its job id."""
        behind = len(self._pids) - self._in_flight
        after = self._pids[behind] if behind >= 0 else ""
        self._pids.append(DetachedExecutor(directory, allocation.batch, after).submit_text())
        return self._pids[-1]
