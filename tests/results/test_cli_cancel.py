"""`srtctl cancel` on real processes that stand for an orchestrator."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from srtctl.cli import cancel, main

from .conftest import Writer, a_status

# Ends its status as an orchestrator does when it is told to stop.
OBEYS = """
import json, pathlib, signal, sys, time
status = pathlib.Path(sys.argv[1])
def stop(*_):
    value = json.loads(status.read_text()) | {"phase": "done", "outcome": "cancelled"}
    status.write_text(json.dumps(value))
    sys.exit(1)
signal.signal(signal.SIGTERM, stop); print("up", flush=True); time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def stand_in(writer: Writer, somebody: Any, code: str) -> Any:
    path = writer.directory.allocation(0).attempt(0).status
    process, whose = somebody(sys.executable, "-c", code, str(path))
    writer.allocation(whose)
    writer.point()
    return process


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel, "LOST_S", 1.0)
    monkeypatch.setattr(cancel, "MARGIN_S", 3.0)


def test_an_ordered_stop(writer: Writer, somebody: Any, capsys: pytest.CaptureFixture[str]) -> None:
    process = stand_in(writer, somebody, OBEYS)
    time.sleep(0.3)  # its handler is in place
    assert main(["cancel"]) == 0
    assert process.wait(1) == 1
    assert writer.directory.allocation(0).stop.exists()
    assert "allocation 0: cancelled" in capsys.readouterr().out


def test_one_that_does_not_listen_is_killed(writer: Writer, somebody: Any, capsys: pytest.CaptureFixture[str]) -> None:
    process = stand_in(writer, somebody, DEAF)
    time.sleep(0.3)
    assert main(["cancel", "--timeout", "0.3"]) == 0
    assert process.wait(1) == -9
    assert "allocation 0: lost" in capsys.readouterr().out


def test_again_is_no_error(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"phase": "done", "outcome": "ok"})
    writer.point(state="ok")
    assert main(["cancel"]) == 0
    assert "has ended already: ok" in capsys.readouterr().out
    assert not writer.directory.allocation(0).stop.exists()


@pytest.mark.parametrize("wrong", [{"pid_start": 1}, {"boot_id": "another"}])
def test_somebody_elses_process_is_left_alone(writer: Writer, somebody: Any, wrong: dict[str, Any]) -> None:
    process, whose = somebody()
    writer.allocation({**whose, **wrong})
    writer.point()
    assert main(["cancel"]) == 0
    assert process.poll() is None


def test_what_waits_for_its_turn_never_begins(writer: Writer, somebody: Any) -> None:
    directory = writer.directory.allocation(0).path
    process, _ = somebody("sh", "-c", "sleep 60; :", "srtctl", str(directory / "batch.sh"))
    writer.allocation(job_id=str(process.pid))
    writer.point()
    assert main(["cancel"]) == 0
    assert process.wait(1) == -15


def test_another_process_with_that_number_is_left_alone(writer: Writer, somebody: Any) -> None:
    process, _ = somebody()
    writer.allocation(job_id=str(process.pid))
    writer.point()
    assert main(["cancel", "--timeout", "0.1"]) == 0
    assert process.poll() is None


def test_another_machine(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"host": "elsewhere"})
    writer.point()
    assert main(["cancel", "--timeout", "0.1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["active"] is True
    assert writer.directory.allocation(0).stop.exists()


def test_who_is_signalled(somebody: Any) -> None:
    # between the look at the state and the signal the process may end and its number be given away
    _, whose = somebody()
    status = a_status(**whose)
    assert cancel._is_ours(status)
    assert not cancel._is_ours({**status, "pid_start": 1})
    assert not cancel._is_ours({**status, "boot_id": "another"})
    assert not cancel._is_ours({**status, "pid": 2**22 + 1})
    assert not cancel._is_ours({})
