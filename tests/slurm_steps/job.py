"""A job that a test has submitted, and what the test wants to know about it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srtctl import rundir
from tests.slurm.testcluster import Cluster

BATCH = """#!/bin/bash
printf "%s\\n" "$SLURM_JOB_ID" > "$1/job_id"
exec {python} -I -S "$1/orchestrator.pyz" "$1"
"""


class Job:
    """Submits an allocation as `srtctl apply` does: the batch process is the orchestrator."""

    def __init__(
        self, cluster: Cluster, allocation: rundir.AllocationDir, nodes: int, options: tuple[str, ...], python: str = ""
    ):
        self.cluster, self.allocation = cluster, allocation
        allocation.batch.write_text(BATCH.format(python=python or sys.executable))
        argv = ["sbatch", "--parsable", f"--chdir={allocation.path}", "--output=orchestrator.log"]
        argv += ["--open-mode=append", f"--nodes={nodes}", "--ntasks-per-node=1", "--no-kill", "--requeue"]
        argv += ["--mem=1000", "--gpus-per-node=4", *options, str(allocation.batch), str(allocation.path)]
        self.id = cluster.run(argv).stdout.strip()

    @property
    def attempt(self) -> rundir.AttemptDir:
        return self.allocation.latest_attempt() or self.allocation.attempt(0)

    def log(self) -> str:
        path = self.allocation.orchestrator_log
        return path.read_text() if path.exists() else ""

    def status(self) -> dict[str, Any]:
        return rundir.read_json(self.attempt.status) or {}

    def state(self) -> str:
        """Slurm's word."""
        argv = ["squeue", "-h", "-t", "all", "-j", self.id, "-o", "%T"]
        return self.cluster.run(argv, check=False).stdout.strip()

    def until(self, condition: Callable[[dict[str, Any]], Any], timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until the status satisfies a condition."""
        deadline = time.monotonic() + timeout_s
        while True:
            status = self.status()
            if status and condition(status):
                return status
            if time.monotonic() > deadline:
                raise AssertionError(f"never so\n{self.log()}\n{json.dumps(status, indent=1)[-3000:]}")
            time.sleep(0.03)

    def event(self, kind: str, timeout_s: float = 30.0, **wanted: Any) -> dict[str, Any]:
        """Wait for an event."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for event in rundir.read_events(self.attempt.events):
                if event["event"] == kind and all(event.get(key) == value for key, value in wanted.items()):
                    return event
            time.sleep(0.03)
        raise AssertionError(f"no event {kind} {wanted}\n{self.log()}")

    def ended(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait for the run to say that it has ended, and for the job to be gone; returns the status."""
        status = self.until(lambda status: status["phase"] == "done", timeout_s)
        self.gone(timeout_s)
        return status

    def gone(self, timeout_s: float = 30.0) -> str:
        """Wait until Slurm has ended the job; returns its word for that."""
        deadline = time.monotonic() + timeout_s
        while (state := self.state()) in ("RUNNING", "COMPLETING", "PENDING"):
            assert time.monotonic() < deadline, f"{state}\n{self.log()}"
            time.sleep(0.05)
        return state

    def result(self, index: int = 0, attempt: int = 0) -> dict[str, Any]:
        sweep = rundir.SweepDir(self.allocation.path.parent.parent)
        return rundir.read_json(sweep.point(index).attempt(attempt).result) or {}

    def measured(self, index: int = 0, attempt: int = 0, name: str = "custom") -> Path:
        """The directory of a measurement."""
        sweep = rundir.SweepDir(self.allocation.path.parent.parent)
        return sweep.point(index).attempt(attempt).measurement(name)

    def process(self, name: str) -> dict[str, Any]:
        return next(one for one in self.status()["processes"] if one["name"] == name)

    def orchestrator(self) -> int:
        """The number of the orchestrator's process, as outside of the node."""
        found = [
            one.pid
            for name in self.cluster.names
            for one in self.cluster.processes_on(name)
            if re.search(rf"orchestrator\.pyz\0{re.escape(str(self.allocation.path))}", _command(one.pid))
        ]
        return min(found)

    def close(self) -> None:
        if self.cluster.running():
            self.cluster.run(["scancel", self.id], check=False)
            self.gone()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
