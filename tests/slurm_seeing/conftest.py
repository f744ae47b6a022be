"""Sweeps whose jobs are real Slurm jobs, with a small program in the orchestrator's place."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from srtctl.results.state import SweepState, read_state
from srtctl.rundir import SweepDir
from srtctl.slurm.view import JobView
from tests.slurm.conftest import (  # noqa: F401  fixtures
    MakeCluster,
    fresh_slurm,
    make_slurm,
    slurm,
)
from tests.slurm.testcluster import Cluster
from tests.slurm.users import mark_slurm

_FIXTURES = {"slurm", "fresh_slurm", "make_slurm"}

# What an orchestrator's files say, and no more: $1 is the allocation's directory.
STAND_IN = """
import json, os, pathlib, signal, socket, sys, time
here = pathlib.Path(sys.argv[1]); wish = json.loads((here / "wish.json").read_text())
number = len(list(here.glob("attempt-*"))); attempt = here / f"attempt-{number}"
(attempt / "logs").mkdir(parents=True)
status = {"schema_version": 1, "phase": "measuring", "outcome": None, "reason": None, "root_cause": None,
          "pid": os.getpid(), "host": socket.gethostname(), "started_at": time.time(), "ended_at": None,
          "endpoint": None, "processes": wish.get("processes", []),
          "points": [{"dir": point, "state": "running", "measurement": "c0004", "index": 0, "of": 2,
                      "done_requests": 1, "expected_requests": 4, "rate_per_s": 1.0} for point in wish["points"]],
          "warnings": [], "timings": {}}
def write(**changes):
    status.update(changes, updated_at=time.time())
    (attempt / ".new").write_text(json.dumps(status)); os.replace(attempt / ".new", attempt / "status.json")
def end(outcome, code=1):
    write(phase="done", outcome=outcome, ended_at=time.time()); sys.exit(code)
def told(*_):
    (here / f"told-{number}").touch()
    time.sleep(wish.get("stop_s", 0))
    end("cancelled")
signal.signal(signal.SIGTERM, signal.SIG_IGN if wish.get("deaf") else told)
write(); until = time.time() + wish.get("seconds", 120)
while time.time() < until:
    if (here / "crash").exists(): os.kill(os.getpid(), signal.SIGKILL)
    if (here / "stop").exists() and not wish.get("deaf"): told()
    write(); time.sleep(0.1)
end("ok", 0)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_slurm(items, _FIXTURES)


class Jobs:
    """One sweep on a cluster; each allocation is a job of its own, with one point."""

    def __init__(self, cluster: Cluster, output_dir: Path, name: str = "seen"):
        self.cluster = cluster
        self.sweep = SweepDir(output_dir / name / f"20260101-120000-{secrets.token_hex(3)}")
        self.sweep.path.mkdir(parents=True)
        self.manifest: dict[str, Any] = {
            "schema_version": 1, "sweep_id": self.sweep.sweep_id, "name": name, "executor": "slurm",
            "created_at": "2026-01-01T12:00:00+00:00", "points": [], "allocations": [],
        }  # fmt: skip

    def allocation(self, *options: str, known: bool = True, submit: bool = True, **wish: Any) -> str:
        """Submit an allocation; returns its job's id.

        Args:
            options: For sbatch.
            known: Whether the manifest has the id; otherwise its submission was cut off.
            submit: Whether there is a job at all.
            wish: What the stand-in is to do: `seconds`, `deaf`, `stop_s`, `processes`.
        """
        index = len(self.manifest["allocations"])
        here = self.sweep.allocation(index).path
        here.mkdir(parents=True)
        self.sweep.point(index).path.mkdir(parents=True)
        (here / "wish.json").write_text(json.dumps({"points": [f"points/{index:04d}"], **wish}))
        (here / "stand_in.py").write_text(STAND_IN)
        (here / "batch.sh").write_text(
            '#!/bin/bash\nprintf "%s\\n" "$SLURM_JOB_ID" > "$1/job_id"\n'
            f'exec {sys.executable} -I -S "$1/stand_in.py" "$1"\n'
        )
        argv = ["sbatch", "--parsable", "-N1", "-o", "orchestrator.log", "--open-mode=append", f"--chdir={here}"]
        job = self.slurm([*argv, *options, str(here / "batch.sh"), str(here)]).strip() if submit else ""
        now = time.time()
        self.manifest["points"].append({"index": index, "dir": f"points/{index:04d}", "overrides": [f"n={index}"],
                                        "config_id": f"c{index}", "allocation": index, "summary": {}})  # fmt: skip
        self.manifest["allocations"].append({"index": index, "dir": f"allocations/{index:04d}", "executor": "slurm",
            "intent_at": now, "job_id": job if known and job else None, "submitted_at": now if known else None,
            "refused": None, "nodes": 1, "gpus": 0, "points": [index]})  # fmt: skip
        self.sweep.manifest.write_text(json.dumps(self.manifest))
        return job

    def slurm(self, argv: list[str]) -> str:
        done = subprocess.run(argv, env=self.cluster.environment(), capture_output=True, text=True, check=True)
        return done.stdout

    def look(self, view: JobView | None = None) -> SweepState:
        return read_state(self.sweep, view)

    def state(self, index: int = 0) -> str:
        return self.look().allocations[index].state

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                found = self.look()
                raise TimeoutError(f"{what}: {[(a.state, a.detail) for a in found.allocations]}")
            time.sleep(0.1)

    def until_measuring(self, index: int = 0) -> None:
        self.until(lambda: self.look().points[index].state == "running", f"allocation {index} measures")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Cluster], Jobs]:
    """Put a cluster's programs into PATH; gives a sweep on it."""

    def use_it(cluster: Cluster) -> Jobs:
        monkeypatch.setenv("PATH", cluster.environment()["PATH"])
        monkeypatch.chdir(tmp_path)
        return Jobs(cluster, tmp_path / "outputs")

    return use_it


@pytest.fixture
def jobs(slurm: Cluster, use: Callable[[Cluster], Jobs]) -> Iterator[Jobs]:  # noqa: F811
    """A sweep on the shared cluster, which is empty again afterwards."""
    yield use(slurm)
    slurm.run(["scancel", "--me"], check=False)
    slurm.wait_idle()
    slurm.wait_clean()


@pytest.fixture
def fake_squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Programs that say recorded texts and count how often they are asked: gives the file of calls."""

    def install(queue: str, accounting: str | None = None) -> Path:
        place = tmp_path / "fake-bin"
        place.mkdir(exist_ok=True)
        calls = tmp_path / "calls"
        (place / "queue.txt").write_text(queue)
        said = f"cat {place}/accounting.txt" if accounting is not None else "echo disabled >&2; exit 1"
        (place / "accounting.txt").write_text(accounting or "")
        for name, what in {"squeue": f"cat {place}/queue.txt", "sacct": said, "scontrol": "exit 1"}.items():
            script = place / name
            script.write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\n{what}\n')
            script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
        return calls

    return install
