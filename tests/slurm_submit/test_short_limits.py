"""Jobs so short that Slurm's usual warning, two minutes before the end, would come before anything has been done."""

from __future__ import annotations

import json
import time

import pytest

from srtctl.rundir import SweepDir, read_json

from .conftest import SlurmUser

LIMITS_MINUTES = (2, 3)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_half_of_a_short_limit_is_used(slurm_user: SlurmUser) -> None:
    """Both are measured for half of their time, then end in order, long before Slurm would end them."""
    sweeps = []
    for minutes in LIMITS_MINUTES:
        bring_up = ["health_check.max_attempts=60", "health_check.interval_seconds=1"]  # a minute of the limit
        limit = [f"slurm.time_limit={minutes - 1}", "benchmark.command='sleep 600'"]
        done = slurm_user.srtctl("apply", "-f", slurm_user.job("batch"), *bring_up, *limit, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        sweeps.append(SweepDir(slurm_user.home / json.loads(done.stdout)["directory"]))
    for minutes, sweep in zip(LIMITS_MINUTES, sweeps, strict=True):
        status = _ended(sweep, 60 * minutes)
        assert status["outcome"] == "failed"
        assert "the time limit is near" in status["reason"]
        assert status["points"][0]["state"] == "failed"
        used_s = status["ended_at"] - status["started_at"]
        assert 30 * minutes - 5 < used_s < 60 * minutes - 20
        assert {one["state"] for one in status["processes"]} <= {"EXITED", "FAILED"}
    slurm_user.cluster.wait_clean()


def _ended(sweep: SweepDir, within_s: float) -> dict:
    end = time.monotonic() + within_s
    while True:
        attempt = sweep.allocation(0).latest_attempt()
        status = (read_json(attempt.status) if attempt is not None else None) or {}
        if status.get("phase") == "done":
            return status
        assert time.monotonic() < end, status
        time.sleep(0.5)
