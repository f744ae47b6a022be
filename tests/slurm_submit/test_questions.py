"""How often Slurm is asked: real commands, with each of Slurm's programs noted as it is called."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SlurmUser

JOBS = ["-m", "backend.speedup_ratio=range(1,{})"]
MOST_A_MINUTE = 6


class Noted:
    """A user whose calls of Slurm's programs are written down."""

    def __init__(self, user: SlurmUser):
        self.user = user
        self._calls = user.home / "calls"
        self._calls.touch()
        place = user.home / "noting"
        place.mkdir()
        for real in (user.cluster.directory / "bin").iterdir():
            script = place / real.name
            script.write_text(f'#!/bin/sh\necho "$(date +%s.%N) {real.name}" >>{self._calls}\nexec {real} "$@"\n')
            script.chmod(0o755)
        self.variables = {"PATH": f"{place}:{user.environment['PATH']}"}

    def calls(self) -> list[tuple[float, str]]:
        """(unix seconds, program) of each."""
        words = (line.split() for line in self._calls.read_text().splitlines())
        return [(float(at), name) for at, name in words]

    def asked_by(self, *argv: str) -> Counter[str]:
        """What a command asks."""
        before = len(self.calls())
        done = self.user.srtctl(*argv, env=self.variables)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return Counter(name for _, name in self.calls()[before:])


@pytest.fixture
def noted(slurm_user: SlurmUser) -> Noted:
    return Noted(slurm_user)


@pytest.fixture
def submit(slurm_user: SlurmUser) -> Callable[[int], Path]:
    """Submit so many jobs that wait; gives the sweep's manifest."""

    def apply(count: int) -> Path:
        argv = ["apply", "-f", slurm_user.job(), *(word.format(count + 1) for word in JOBS)]
        done = slurm_user.srtctl(*argv, timeout_s=300)
        assert done.returncode == 0, done.stderr
        return slurm_user.sweep() / "sweep.json"

    return apply


def test_a_command_asks_for_the_queue_once(noted: Noted, submit: Callable[[int], Path]) -> None:
    """However many jobs there are, and also where the submission of some of them was cut off."""
    path = submit(8)
    manifest = json.loads(path.read_text())
    for record in manifest["allocations"][::2]:
        record.update(job_id=None, submitted_at=None)
    path.write_text(json.dumps(manifest))
    for argv in (["status"], ["status", "--all"], ["status", "--json"], ["results"], ["ssh"]):
        asked = noted.asked_by(*argv)
        assert asked == {"squeue": 1} | ({"sacct": asked["sacct"]} if asked["sacct"] else {}), argv
    asked = noted.asked_by("apply", "--resume", path.parent.name)
    assert asked["squeue"] == 1 and not asked["sbatch"], asked
    assert len(noted.user.queued()) == 8


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_500_jobs_are_watched_with_few_questions(noted: Noted, submit: Callable[[int], Path]) -> None:
    path = submit(500)
    watching = noted.user.start("status", "--watch", path.parent.name, **noted.variables)
    time.sleep(130)
    watching.terminate()
    watching.wait()
    calls = noted.calls()
    most = max(sum(at <= other < at + 60 for other, _ in calls) for at, _ in calls)
    print(f"{len(calls)} calls in 130 s, at most {most} a minute: {Counter(name for _, name in calls)}")
    assert 0 < most <= MOST_A_MINUTE
