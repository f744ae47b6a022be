"""`apply` may be killed at any instant: every job it began is known, and --resume runs each point once."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from srtctl.reconcile import open_intents, reconcile
from srtctl.rundir import SweepDir
from srtctl.slurm.queue import ask_queue

from .conftest import SlurmUser

MANY = ["backend.speedup_ratio=range(1,31)", "-m"]


def sweeps(user: SlurmUser) -> list[Path]:
    return sorted(path.parent for path in (user.home / "outputs").glob("*/*/sweep.json"))


def known(user: SlurmUser, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The ids that srtctl knows of a sweep, found as every command finds them."""
    monkeypatch.setenv("PATH", user.environment["PATH"])
    manifest = json.loads((sweep / "sweep.json").read_text())
    noted = {str(record["job_id"]) for record in manifest["allocations"] if record["job_id"] is not None}
    queue = [(job_id, job.work_dir) for job_id, job in ask_queue().items()]
    return noted | set(reconcile(SweepDir(sweep), manifest, queue).values())


def noted(user: SlurmUser, before: int) -> int:
    """How many ids the newest manifest has; -1 before there is one."""
    new = sweeps(user)[before:]
    return new[-1].joinpath("sweep.json").read_text().count('"submitted_at": 1') if new else -1


def rounds(user: SlurmUser, count: int, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    recipe = user.job()
    before = 0
    cut = 0
    for _ in range(count):
        process = user.start("apply", "-f", recipe, *MANY)
        enough = chance.randint(0, 28)
        while process.poll() is None and noted(user, before) < enough:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.03))  # before, within or after an sbatch
        process.kill()
        process.communicate()
        time.sleep(0.5)  # an sbatch that was under way ends by itself
        for sweep in sweeps(user)[before:]:
            queued = {job for job, where in user.queued().items() if where.startswith(str(sweep))}
            assert queued <= known(user, sweep, monkeypatch)
            cut += 0 < len(queued) < 30
        if user.queued():
            user.slurm("scancel", *user.queued())
        before = len(sweeps(user))
    assert cut, "no command was killed while it submitted"


def test_no_job_is_unknown_after_a_kill(slurm_user: SlurmUser, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(slurm_user, 6, monkeypatch, 1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_job_is_unknown_after_many_kills(slurm_user: SlurmUser, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds(slurm_user, 200, monkeypatch, 2)


def test_an_id_that_was_not_noted_is_found_in_the_queue(slurm_user: SlurmUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the command had been killed between sbatch and its note."""
    assert slurm_user.srtctl("apply", "-f", slurm_user.job()).returncode == 0
    sweep = SweepDir(slurm_user.sweep())
    manifest = slurm_user.manifest()
    job = manifest["allocations"][0]["job_id"]
    manifest["allocations"][0].update(job_id=None, submitted_at=None)
    sweep.manifest.write_text(json.dumps(manifest))
    assert known(slurm_user, sweep.path, monkeypatch) == {job}
    assert sweep.allocation(0).job_id.read_text() == f"{job}\n"  # later commands need no queue
    done = slurm_user.srtctl("apply", "--resume", sweep.sweep_id)
    assert "nothing is missing" in done.stdout and "1 still wait or run" in done.stdout
    assert list(slurm_user.queued()) == [job]


def test_resume_after_a_kill_submits_the_rest_once(slurm_user: SlurmUser, monkeypatch: pytest.MonkeyPatch) -> None:
    process = slurm_user.start("apply", "-f", slurm_user.job(), *MANY)
    end = time.monotonic() + 60
    while time.monotonic() < end and len(slurm_user.queued()) < 5:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    begun = len(slurm_user.queued())
    assert 5 <= begun < 30
    done = slurm_user.srtctl("apply", "--resume", slurm_user.sweep().name)
    assert done.returncode == 0, done.stderr
    manifest = slurm_user.manifest()
    assert len(slurm_user.queued()) == 30
    home = {record["index"]: record["allocation"] for record in manifest["points"]}
    dirs = {where.rpartition("/")[2] for where in slurm_user.queued().values()}
    assert {f"{allocation:04d}" for allocation in home.values()} == dirs
    # a submission that was cut off and comes late would end at once
    for record in open_intents(manifest):
        stop = slurm_user.sweep() / record["dir"] / "stop"
        assert stop.exists() or (slurm_user.sweep() / record["dir"] / "job_id").exists()
    done = slurm_user.srtctl("apply", "--resume", slurm_user.sweep().name)
    assert "nothing is missing" in done.stdout and "30 still wait or run" in done.stdout


def test_a_closed_terminal_does_not_stop_a_submission(slurm_user: SlurmUser) -> None:
    process = slurm_user.start("apply", "-f", slurm_user.job(), *MANY)
    end = time.monotonic() + 60
    while time.monotonic() < end and not slurm_user.queued():
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 0
    assert len(slurm_user.queued()) == 30


def test_two_commands_do_not_submit_for_one_sweep_at_once(slurm_user: SlurmUser) -> None:
    process = slurm_user.start("apply", "-f", slurm_user.job(), *MANY)
    end = time.monotonic() + 60
    while time.monotonic() < end and not slurm_user.queued():
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    other = slurm_user.srtctl("apply", "--resume", slurm_user.sweep().name)
    process.send_signal(signal.SIGCONT)
    process.communicate()
    assert other.returncode == 3 and "another command submits" in other.stderr
    assert len(slurm_user.queued()) == 30
