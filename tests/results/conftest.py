"""Sweep directories written by hand, with real processes behind them where a test needs one that lives."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from srtctl.orchestrator import proctree
from srtctl.rundir import SweepDir

ROW = {
    "measurement": "c0004", "concurrency": 4, "valid": True, "ttft_p50_ms": 12.345, "output_tok_s": 2345.6,
    "attempt": 0, "requests_expected": 40, "requests_completed": 40, "requests_failed": 0, "requests_missing": 0,
    "errors": [],
}  # fmt: skip


class Writer:
    """Writes one sweep."""

    def __init__(self, output_dir: Path, name: str = "quick", sweep_id: str = "20260101-120000-aaaaaa"):
        self.directory = SweepDir(output_dir / name / sweep_id)
        self.directory.path.mkdir(parents=True)
        self.manifest: dict[str, Any] = {
            "schema_version": 1, "sweep_id": sweep_id, "name": name, "created_at": "2026-01-01T12:00:00+00:00",
            "points": [], "allocations": [],
        }  # fmt: skip

    def allocation(self, status: dict[str, Any] | None = None, **record: Any) -> int:
        index = len(self.manifest["allocations"])
        given = {"executor": "local", "job_id": None, "intent_at": time.time(), "submitted_at": time.time(), **record}
        self.manifest["allocations"].append({"index": index, "dir": f"allocations/{index:04d}", **given})
        here = self.directory.allocation(index)
        here.path.mkdir(parents=True)
        if status is not None:
            attempt = here.attempt(0)
            attempt.logs.mkdir(parents=True)
            attempt.status.write_text(json.dumps(a_status(**status)))
        self.save()
        return index

    def point(self, allocation: int = 0, overrides: tuple[str, ...] = (), **result: Any) -> int:
        """A point; with `state` (and `rows`, `reason`) it has a result."""
        index = len(self.manifest["points"])
        summary = {"mode": "1P1D", "isl": 128, "osl": 32, "concurrencies": [4]}
        self.manifest["points"].append(
            {"index": index, "dir": f"points/{index:04d}", "overrides": list(overrides), "config_id": f"cfg{index}",
             "deployment_id": "dep", "allocation": allocation, "name": "quick", "benchmark": "sa-bench",
             "summary": summary}
        )  # fmt: skip
        self.directory.point(index).path.mkdir(parents=True)
        if result:
            self.result(index, 0, **result)
        self.save()
        return index

    def result(self, point: int, attempt: int, **result: Any) -> None:
        here = self.directory.point(point).attempt(attempt)
        here.path.mkdir()
        rows = [{**ROW, "point": point, **row} for row in result.pop("rows", [])]
        here.result.write_text(json.dumps({"schema_version": 1, "reason": None, **result, "rows": rows}))

    def save(self) -> None:
        self.directory.manifest.write_text(json.dumps(self.manifest))


def a_status(**changes: Any) -> dict[str, Any]:
    now = time.time()
    return {
        "schema_version": 1, "phase": "measuring", "outcome": None, "reason": None, "root_cause": None,
        "pid": 2**22 + 1, "pid_start": 1, "boot_id": proctree.boot_id(), "host": socket.gethostname(),
        "started_at": now - 10,
        "updated_at": now, "ended_at": None, "endpoint": "127.0.0.1:8000", "endpoints": {}, "processes": [],
        "ready": None, "points": [], "timings": {}, "warnings": [], **changes,
    }  # fmt: skip


def a_process(name: str, state: str, **changes: Any) -> dict[str, Any]:
    now = time.time()
    return {"name": name, "role": name.rstrip("0123456789"), "slot": 0, "host": "node1", "state": state, "pid": 1,
            "started_at": now - 9, "ready_at": now - 8 if state == "READY" else None, "exit_code": None,
            "exited_at": None, **changes}  # fmt: skip


@pytest.fixture
def output_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SRTCTL_OUTPUT_DIR", raising=False)
    return tmp_path / "outputs"


@pytest.fixture
def writer(output_dir: Path) -> Writer:
    return Writer(output_dir)


@pytest.fixture
def somebody() -> Iterator[Any]:
    """Starts processes that stand for an orchestrator; gives (process, what its status says of it)."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: str) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        process = subprocess.Popen(argv or ("sleep", "60"), start_new_session=True)
        started.append(process)
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes():  # exec has begun, its arguments aren't there yet
            time.sleep(0.001)
        return process, {"pid": process.pid, "pid_start": proctree.start_ticks(process.pid)}

    yield start
    for process in started:
        process.kill()
        process.wait()
