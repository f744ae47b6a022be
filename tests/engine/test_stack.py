"""srtctl runs the real SGLang: started, found ready, measured, stopped in order, with nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from .conftest import EngineUser
from .stack import ANSWER_TOKENS, MEASUREMENTS, READY_S, job, servers

pytestmark = pytest.mark.timeout(READY_S + 300)


def run(user: EngineUser, recipe: str) -> dict[str, Any]:
    """Apply a recipe to its end; its status."""
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", recipe)), "--wait", timeout_s=READY_S + 240)
    log = user.sweep() / "allocations/0000/orchestrator.log"
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-5000:]
    return user.status()


def check_measured(user: EngineUser, frontend: str, shape: str) -> None:
    """Valid rows for every concurrency, from answers of the length that was asked for."""
    rows = user.json("results")["rows"]
    assert [row["concurrency"] for row in rows] == MEASUREMENTS
    assert all(row["valid"] and row["requests_failed"] == 0 for row in rows), rows
    assert [row["requests_completed"] for row in rows] == [2 * each for each in MEASUREMENTS]
    assert all(row["osl_mean"] == ANSWER_TOKENS for row in rows)
    assert all(row["gpus"] == (1 if shape == "agg" else 2) for row in rows)


def check_stopped(status: dict[str, Any], frontend: str, shape: str) -> None:
    """Every process was there, and ended because it was asked to, in time."""
    assert (status["phase"], status["outcome"], status["root_cause"]) == ("done", "ok", None)
    processes = {one["name"]: one for one in status["processes"] if one["role"] != "client"}
    assert set(processes) == servers(frontend, shape)
    assert all(one["state"] == "EXITED" and one["exit_code"] is not None for one in processes.values()), processes
    assert not any("did not end in time" in text for text in status["warnings"]), status["warnings"]
    workers = [one for name, one in processes.items() if name in ("aggregated0", "prefill0", "decode0")]
    print(json.dumps({"timings": status["timings"], "warnings": status["warnings"],
                      "ready_s": {one["name"]: one["ready_at"] - one["started_at"] for one in workers}}))  # fmt: skip


def shared_memory(leader: int) -> set[str]:
    """Names in /dev/shm of what the processes of a session have mapped."""
    inodes = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[3]) == leader:
                lines = status.with_name("maps").read_text().splitlines()
                inodes |= {int(line.split()[4]) for line in lines if "/dev/shm/" in line}
    return {entry.name for entry in os.scandir("/dev/shm") if entry.inode() in inodes}


@pytest.mark.parametrize("shape", ["pd", "agg"])
@pytest.mark.parametrize("frontend", ["dynamo", "sglang-router"])
def test_here(here: EngineUser, model: Path, frontend: str, shape: str) -> None:
    status = run(here, job(model, frontend, shape))
    check_measured(here, frontend, shape)
    check_stopped(status, frontend, shape)
    expected = {"prefill": 0, "decode": 1} if shape == "agg" else {"prefill": 1, "decode": 1}
    assert status["ready"]["seen"] == expected
    here.assert_nothing_left()


@pytest.mark.slurm
@pytest.mark.parametrize("frontend", ["dynamo", "sglang-router"])
@pytest.mark.parametrize(("shape", "pair"), [("pd", ("prefill0", "decode0")),
                                             ("span", ("aggregated0", "aggregated0-rank1"))])  # fmt: skip
def test_on_two_nodes(at_slurm: EngineUser, model: Path, frontend: str, shape: str, pair: tuple[str, str]) -> None:
    """Two workers, or one tensor-parallel worker whose ranks' collectives go over TCP between the nodes."""
    status = run(at_slurm, job(model, frontend, shape, slurm=True))
    check_measured(at_slurm, frontend, shape)
    check_stopped(status, frontend, shape)
    hosts = {one["name"]: one["host"] for one in status["processes"]}
    assert hosts[pair[0]] != hosts[pair[1]]
    at_slurm.assert_nothing_left()


def test_a_worker_that_is_killed(here: EngineUser, model: Path) -> None:
    """It is named as the cause, and its own children, which outlive it, are gone with the rest."""
    measured = job(model, "sglang-router", "pd")
    recipe = measured[: measured.index("benchmark:")] + "benchmark: {type: manual}\n"
    done = here.srtctl("apply", "-f", str(here.write("job.yaml", recipe)))
    assert done.returncode == 0, done.stderr
    status = here.wait_for("servers up", lambda s: s["phase"] in ("measuring", "done"), timeout_s=READY_S)
    assert status["phase"] == "measuring", status["root_cause"]
    decode = next(one for one in status["processes"] if one["name"] == "decode0")
    memory = shared_memory(decode["pid"])
    assert any(name.startswith("sglang_loads_") for name in memory), memory
    assert any(name.startswith("sem.") for name in memory), memory
    os.kill(decode["pid"], signal.SIGKILL)
    status = here.wait_for("the end", lambda s: s["phase"] == "done")
    assert status["outcome"] == "failed"
    assert status["root_cause"]["process"] == "decode0", status["root_cause"]
    assert "SIGKILL" in status["root_cause"]["what"]
    here.assert_nothing_left()
    assert not memory & {path.name for path in Path("/dev/shm").iterdir()}


@pytest.mark.parametrize("frontend", ["dynamo", "sglang-router"])
def test_caches_are_emptied_between_points(here: EngineUser, model: Path, frontend: str) -> None:
    recipe = here.write("job.yaml", job(model, frontend, "pd"))
    words = ["-m", "benchmark.isl=16,32", "benchmark.concurrencies=[1]", "--wait"]
    done = here.srtctl("apply", "-f", str(recipe), *words, timeout_s=READY_S + 240)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (here.sweep() / "allocations/0000/attempt-0/events.jsonl").read_text().splitlines()
    between = [event for event in map(json.loads, lines) if event["event"] == "between_points"]
    assert [event["flush"] for event in between] == ["ok"]
    assert len(here.json("results")["rows"]) == 2
    for worker in ("prefill0", "decode0"):
        log = (here.sweep() / f"allocations/0000/attempt-0/logs/{worker}.log").read_text()
        assert "Cache flushed successfully" in log, worker
    here.assert_nothing_left()
