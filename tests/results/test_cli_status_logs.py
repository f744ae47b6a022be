"""`srtctl status`, `logs` and the watching, on sweeps written by hand."""

from __future__ import annotations

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from srtctl.cli import logs, main
from srtctl.errors import ExitCode
from srtctl.report import live as live_module
from srtctl.report.live import follow
from srtctl.report.snapshot import changes, progress_text
from srtctl.report.view import render
from srtctl.results.state import read_state

from .conftest import Writer, a_process, a_status

PROGRESS = {"dir": "points/0000", "state": "running", "measurement": "c0004", "index": 1, "of": 3,
            "done_requests": 20, "expected_requests": 40, "rate_per_s": 10.0}  # fmt: skip
CAUSE = {"process": "decode0", "time": time.time(), "what": "exited with code 1", "log_tail": ["boom", "bang"]}


@pytest.fixture
def running(writer: Writer, somebody: Any) -> Writer:
    _, whose = somebody()
    processes = [a_process("etcd", "READY"), a_process("prefill0", "READY"), a_process("decode0", "STARTING")]
    writer.allocation({**whose, "processes": processes, "points": [PROGRESS]})
    writer.point()
    return writer


@pytest.fixture
def failed(writer: Writer) -> Writer:
    status = {
        "phase": "done",
        "outcome": "failed",
        "reason": "decode0 died",
        "root_cause": CAUSE,
        "started_at": CAUSE["time"] - 5,
    }
    writer.allocation({**status, "processes": [a_process("decode0", "FAILED", exit_code=1)]})
    writer.point(state="failed", reason="decode0 died")
    return writer


def test_status_while_it_runs(running: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "running" in out.splitlines()[0]
    assert "2 of 3 processes ready" in out
    assert "decode0 starting" in out
    assert "http://127.0.0.1:8000" in out
    assert "measuring c0004, 2 of 3, 20/40 requests, 10.0/s, 2 s left" in out


def test_a_node_s_log_is_where_it_is_said_to_be(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    """The fleet writes logs/nodes/HOST.log."""
    cause = {**CAUSE, "process": "node n3", "what": "has no /shared"}
    writer.allocation({"phase": "done", "outcome": "failed", "reason": "x", "root_cause": cause, "started_at": 1.0})
    writer.point(state="not_run")
    assert main(["status"]) == 1
    assert "attempt-0/logs/nodes/n3.log" in capsys.readouterr().out


def test_status_shows_the_first_cause(failed: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    out = capsys.readouterr().out
    assert "first cause: decode0: exited with code 1 (5.0 s after the start)" in out
    assert "| bang" in out
    assert "attempt-0/logs/decode0.log" in out


def test_a_long_sweep_lists_what_needs_attention(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation({"phase": "done", "outcome": "failed"})
    for index in range(30):
        writer.point(overrides=(f"a={index}",), state="failed" if index == 17 else "ok", reason=None)
    assert main(["status"]) == 1
    out = capsys.readouterr().out
    assert "30 points: 29 ok, 1 failed" in out
    assert "point 17 [a=17] failed" in out
    assert "point 16" not in out
    assert "29 points more" in out


def test_status_for_scripts(running: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "running"


def test_status_of_all(running: Writer, output_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Writer(output_dir, "older", "20250101-000000-000000").allocation({"phase": "done", "outcome": "ok"})
    assert main(["status", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("older/")
    assert "running" in lines[1]


def test_no_run(output_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 2
    assert "there is no run under outputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("live", "text"),
    [
        ({}, ""),
        (
            {"done_requests": 50, "expected_requests": 40},
            "40/40 requests",
        ),  # the warm-up is counted by the frontends too
        ({"done_requests": 5, "expected_requests": None, "rate_per_s": 1.0}, "5 requests, 1.0/s"),
    ],
)
def test_progress(live: dict[str, Any], text: str) -> None:
    assert progress_text(live) == text


def test_only_what_is_new_is_a_line(running: Writer) -> None:
    seen: dict[str, Any] = {}
    first = [line.text for line in changes(read_state(running.directory), seen)]
    assert "prefill0 ready after 2.0 s" in first
    assert any("20/40" in line for line in first)
    assert changes(read_state(running.directory), seen) == []


def test_progress_lines_can_be_held_back(running: Writer) -> None:
    assert not any(line.progress for line in changes(read_state(running.directory), {}, quiet=True))


def test_following_to_the_end(running: Writer) -> None:
    text = io.StringIO()
    done: list[ExitCode] = []
    thread = threading.Thread(
        target=lambda: done.append(follow(running.directory, console=Console(file=text, width=60)))
    )
    thread.start()
    time.sleep(0.4)
    running.result(0, 0, state="ok", rows=[{}])
    status = a_status(phase="done", outcome="ok", points=[{**PROGRESS, "state": "ok"}])
    running.directory.allocation(0).attempt(0).status.write_text(json.dumps(status))
    thread.join(5)
    assert done == [ExitCode.OK]
    lines = text.getvalue().splitlines()
    assert "point 0: ok" in lines
    assert lines[-1].startswith("quick/20260101-120000-aaaaaa: ok")  # not broken at the console's width


def test_following_a_failure_shows_its_cause(failed: Writer) -> None:
    text = io.StringIO()
    assert follow(failed.directory, console=Console(file=text)) is ExitCode.FAILED
    assert "first cause: decode0" in text.getvalue()


def test_ctrl_c_detaches(running: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live_module.time, "sleep", interrupt)
    text = io.StringIO()
    assert follow(running.directory, console=Console(file=text)) is ExitCode.INTERRUPTED
    assert "srtctl status --watch" in text.getvalue()
    assert "srtctl cancel" in text.getvalue()
    assert read_state(running.directory).active


def test_the_live_view(running: Writer) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, record=True)
    console.print(render(read_state(running.directory)))
    text = console.export_text()
    assert "decode0" in text
    assert "STARTING" in text
    assert "20/40 requests" in text


def test_a_terminal_gets_the_live_view(failed: Writer) -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, record=True)
    assert follow(failed.directory, console=console) is ExitCode.FAILED
    assert "first cause" in console.export_text()


@pytest.fixture
def with_logs(failed: Writer) -> Writer:
    allocation = failed.directory.allocation(0)
    allocation.orchestrator_log.write_text("".join(f"line {i}\n" for i in range(20000)))
    allocation.attempt(0).log("decode0").write_text("boom\nbang")
    for name in ("c0004", "c0008"):
        directory = failed.directory.point(0).attempt(0).measurement(name)
        directory.mkdir(parents=True)
        (directory / "client.log").write_text(f"client {name}\n")
        time.sleep(0.01)
    return failed


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["-n", "2"], "line 19998\nline 19999\n"),
        (["-n", "0"], ""),
        (["decode0"], "boom\nbang"),
        (["decode0", "-n", "1"], "bang"),
        (["decode0", "-n", "99"], "boom\nbang"),
        (["client"], "client c0008\n"),
        (["client/c0004", "--point", "0"], "client c0004\n"),
        (["-f", "-n", "1"], "line 19999\n"),  # it has ended: following ends too
    ],
)
def test_logs(with_logs: Writer, capsys: pytest.CaptureFixture[str], argv: list[str], text: str) -> None:
    assert main(["logs", *argv]) == 0
    assert capsys.readouterr().out == text


def test_logs_of_a_named_sweep(with_logs: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = with_logs.directory.sweep_id
    for argv in ([sweep, "decode0"], [sweep, "-n", "9", "decode0"], ["-s", sweep, "decode0"]):
        assert main(["logs", *argv]) == 0
        assert capsys.readouterr().out == "boom\nbang"
    assert main(["logs", sweep, "-n", "1"]) == 0
    assert capsys.readouterr().out == "line 19999\n"
    assert main(["logs", sweep, "decode0", "decode0"]) == 2
    assert "too many names" in capsys.readouterr().err


@pytest.mark.parametrize("lines", [1, 7, 6000, 19999, 20000, 20001])
def test_last_lines_across_blocks(with_logs: Writer, capsys: pytest.CaptureFixture[str], lines: int) -> None:
    main(["logs", "-n", str(lines)])
    whole = with_logs.directory.allocation(0).orchestrator_log.read_text().splitlines()
    assert capsys.readouterr().out.splitlines() == whole[-lines:]


def test_unknown_process(with_logs: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "decod0"]) == 2
    err = capsys.readouterr().err
    assert "did you mean decode0?" in err
    assert "orchestrator, client" in err


@pytest.mark.parametrize("flag", ["--point", "--allocation"])
def test_numbers_that_are_not_there(with_logs: Writer, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert main(["logs", flag, "7"]) == 2
    assert "0 to 0" in capsys.readouterr().err


def test_a_log_not_yet_written(failed: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs"]) == 2
    assert "has not been written" in capsys.readouterr().err


def test_following_a_log(running: Writer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = running.directory.allocation(0).orchestrator_log
    path.write_text("first\n")
    monkeypatch.setattr(logs, "FOLLOW_POLL_S", 0.01)
    thread = threading.Thread(target=main, args=(["logs", "-f"],))
    thread.start()
    time.sleep(0.2)
    with path.open("a") as file:
        file.write("second\n")
    time.sleep(0.2)
    with path.open("a") as file:
        file.write("last\n")
    status = a_status(phase="done", outcome="ok")
    running.directory.allocation(0).attempt(0).status.write_text(json.dumps(status))
    thread.join(5)
    assert capsys.readouterr().out == "first\nsecond\nlast\n"


def test_what_the_points_tell_is_not_said_twice(writer: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    writer.allocation(
        {"phase": "done", "outcome": "failed", "reason": "points/0000 is failed: the client: exit code 2"}
    )
    writer.point(state="failed", reason="the client: exit code 2")
    for verb in ("status", "results"):
        main([verb])
        assert capsys.readouterr().out.count("exit code 2") == 1
