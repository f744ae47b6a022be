"""The client of the accuracy benchmarks, as nodes run it, against a server that knows what it should answer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.plan.model import Step
from srtctl.pyz import write_pyz


class Server(ThreadingHTTPServer):
    """Answers the n-th sum with `behaviour(n)`: a text, or `cut`, `error`, `busy`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[int, str] = {}
        self.bodies: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server.bodies.append(body)
        number = int(re.findall(r"How many is (\d+)\?", body["messages"][0]["content"])[-1])
        answer = server.answers.get(number, f"#### {number}")
        if answer == "busy":
            self.send_response(503)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"full")
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events(answer):
            data = f"data: {event}\n\n".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: Any) -> None:
        pass


def events(answer: str) -> Iterator[str]:
    text = "" if answer in ("cut", "error") else answer
    for part in (text[:4], text[4:]):
        yield json.dumps({"choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]})
    if answer == "cut":
        return
    if answer == "error":
        yield json.dumps({"error": {"message": "worker lost", "code": 503}})
        return
    end = "length" if answer == "#### " else "stop"
    yield json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": end}]})
    yield json.dumps({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3}})
    yield "[DONE]"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def ask(directory: Path, url: str, dataset: str, *words: str) -> subprocess.CompletedProcess[str]:
    write_pyz(directory / "orchestrator.pyz")
    argv = [sys.executable, "-I", "-S", "orchestrator.pyz", "--questions", "gsm8k", "--url", url, "--model", "tiny"]
    argv += ["--dataset", dataset, "--max-tokens", "64", "--num-threads", "4", "--temperature", "0", *words]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def dataset(directory: Path, count: int) -> str:
    path = directory / "test.jsonl"
    records = [{"question": f"How many is {i}?", "answer": f"#### {i}"} for i in range(count)]
    path.write_text("\n".join(map(json.dumps, records)))
    return str(path)


def measured(directory: Path) -> dict[str, Any]:
    (found,) = BENCHMARKS["gsm8k"].parse(directory, Step("gsm8k", "gsm8k"))
    return found


def test_every_kind_of_answer(tmp_path: Path, server: Server) -> None:
    # Of twenty: one wrong, one unreadable (and cut off by the limit), one cut, one with an error, one refused.
    server.answers = {1: "#### 99", 2: "#### ", 3: "cut", 4: "error", 5: "busy"}
    done = ask(tmp_path, server.url, dataset(tmp_path, 20))
    assert done.returncode == 0, done.stderr
    found = measured(tmp_path)
    assert (found["requests_expected"], found["requests_completed"]) == (20, 17)
    assert (found["requests_failed"], found["requests_missing"]) == (3, 0)
    assert (found["score_name"], found["score_n"]) == ("exact_match", 17)
    assert found["score"] == pytest.approx(15 / 17)
    p = 15 / 17  # of ones and zeros: sqrt(p (1 - p) / (n - 1))
    assert found["score_stderr"] == pytest.approx((p * (1 - p) / 16) ** 0.5)
    assert (found["answers_unreadable"], found["answers_cut"]) == (1, 1)
    assert (found["input_tokens"], found["output_tokens"]) == (170, 51)
    assert sorted(error["what"].split(":")[0] for error in found["errors"]) == [
        "HTTP 503 Service Unavailable",
        "error in the stream",
        "the stream ended before its last event",
    ]
    assert {body["max_tokens"] for body in server.bodies} == {64}
    assert all(body["temperature"] == 0 and "top_k" not in body for body in server.bodies)
    assert BENCHMARKS["gsm8k"].progress(tmp_path, Step("gsm8k", "gsm8k"), {}) == 20


def test_repetitions_of_a_question_are_one_question(tmp_path: Path, server: Server) -> None:
    server.answers = {0: "#### 5"}
    done = ask(tmp_path, server.url, dataset(tmp_path, 4), "--repeat", "3", "--num-examples", "4")
    assert done.returncode == 0, done.stderr
    found = measured(tmp_path)
    assert (found["requests_expected"], found["requests_completed"], found["score_n"]) == (12, 12, 4)
    assert found["score"] == 0.75
    assert found["score_stderr"] == pytest.approx((0.75 * 0.25 / 3) ** 0.5)  # as of four answers, not of twelve


def test_nobody_listens(tmp_path: Path) -> None:
    done = ask(tmp_path, "http://127.0.0.1:9", dataset(tmp_path, 3))
    assert done.returncode == 0, done.stderr
    found = measured(tmp_path)
    assert (found["requests_failed"], found["score"], found["score_n"]) == (3, None, 0)
    assert "ConnectionRefusedError" in found["errors"][0]["what"]


def test_an_interrupted_client_leaves_missing_answers(tmp_path: Path, server: Server) -> None:
    ask(tmp_path, server.url, dataset(tmp_path, 6))
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(answers.read_text().splitlines(keepends=True)[:-2]))
    assert (measured(tmp_path)["requests_completed"], measured(tmp_path)["requests_missing"]) == (4, 2)


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    done = ask(tmp_path, "http://127.0.0.1:9", "/no/such/file.jsonl")
    assert done.returncode == 1
    assert done.stderr.startswith("error: /no/such/file.jsonl:")
    assert "Traceback" not in done.stderr


def test_a_download_that_was_asked_for(tmp_path: Path, server: Server) -> None:
    dataset(tmp_path, 3)
    url = (tmp_path / "test.jsonl").as_uri()  # of the same opener as http:
    (tmp_path / "run").mkdir()
    done = ask(tmp_path / "run", server.url, url, "--download")
    assert done.returncode == 0, done.stderr
    assert f"downloading {url}" in done.stderr
    assert measured(tmp_path / "run")["score"] == 1.0


@pytest.mark.parametrize("text", [None, "", "{}", "{"])
def test_no_answers(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "answers.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"answers\.jsonl"):
        measured(tmp_path)
