"""The services as planned, with the real programs: what the texts and arguments really do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from srtctl.frontends.known import DYNAMO
from srtctl.plan.build import build_plan
from srtctl.plan.model import Plan, Process
from srtctl.plan.programs import Programs
from srtctl.plan.tokens import replace_tokens
from srtctl.schema import ToolsConfig
from srtctl.tools import find_programs
from tests.plan.jobs import MODEL, disagg

HOST = "127.0.0.1"
Handler = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture(scope="module")
def programs() -> Programs:
    return find_programs(ToolsConfig())[0]


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


class Running:
    """Processes of a plan in a directory, tokens replaced; `table` may fix some tokens beforehand."""

    def __init__(self, plan: Plan, directory: Path, table: dict[str, str]):
        self.directory = directory
        scratch = directory / "scratch"
        scratch.mkdir()
        ports = dict(zip((f"port:{r.name}" for r in plan.ports), map(str, free_ports(len(plan.ports))), strict=True))
        fixed = {f"host:slot{s.index}": HOST for s in plan.slots} | {f"iface:slot{s.index}": "lo" for s in plan.slots}
        fixed |= {f"scratch:slot{s.index}": str(scratch) for s in plan.slots}
        self.table = {**ports, **fixed, **table}
        for file in plan.files:
            (directory / file.path).write_text(self.text(file.text))

    def text(self, text: str) -> str:
        return replace_tokens(text, self.table)

    def port(self, name: str) -> int:
        return int(self.table[f"port:{name}"])

    @contextlib.contextmanager
    def process(self, process: Process) -> Iterator[subprocess.Popen[bytes]]:
        with (self.directory / f"{process.name}.log").open("wb") as log:
            child = subprocess.Popen(
                [self.text(a) for a in process.argv], cwd=self.directory, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait(process, child)
            yield child
        finally:
            child.terminate()
            child.wait(10)

    def _wait(self, process: Process, child: subprocess.Popen[bytes]) -> None:
        assert process.probe is not None
        end = time.monotonic() + 15
        while time.monotonic() < end and child.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(self.text(process.probe.address), timeout=2)
                connection.request("GET", process.probe.path)
                answer = connection.getresponse()
                body = answer.read()
                wanted = process.probe.expect_json.items()
                if answer.status == process.probe.expect_status and (not wanted or wanted <= json.loads(body).items()):
                    return
            time.sleep(0.02)
        pytest.fail((self.directory / f"{process.name}.log").read_text())


@contextlib.contextmanager
def upstream(answer: Handler, port: int) -> Iterator[list[str]]:
    """A frontend's stand-in; yields the paths it was asked for."""
    seen: list[str] = []

    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seen.append(self.path)
            left = int(self.headers.get("content-length", 0))
            while left:
                left -= len(self.rfile.read(min(left, 1 << 16)))
            answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer((HOST, port), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fine(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "2")
    handler.end_headers()
    handler.wfile.write(b"ok")


def hang_up(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def entrance(tmp_path: Path, programs: Programs, **values: Any) -> Iterator[tuple[int, list[int]]]:
    """nginx as planned; yields its port and those of its two frontends."""
    made = disagg(frontend__count=2, cluster__nodes_share_host=True, **values)
    plan = build_plan(made, programs, "d0", model_path=MODEL, tokenizer_path=MODEL)
    running = Running(plan, tmp_path, {})
    with running.process(plan.process("nginx")):
        yield running.port("nginx/http"), [running.port(f"frontend{i}/http") for i in range(2)]


def post(port: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.request("POST", "/v1/completions", body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_streams_pass_chunk_by_chunk(tmp_path: Path, programs: Programs) -> None:
    first_was_read = threading.Event()

    def two_chunks(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nfirst\r\n")
        handler.wfile.flush()
        assert first_was_read.wait(10), "the first chunk was held back until the second came"
        handler.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    with entrance(tmp_path, programs) as (port, (one, other)), upstream(two_chunks, one), upstream(two_chunks, other):
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        connection.request("POST", "/v1/completions", b"{}")
        answer = connection.getresponse()
        assert answer.read(5) == b"first"
        first_was_read.set()
        assert answer.read() == b"second"


def test_long_prompts_are_not_too_large(tmp_path: Path, programs: Programs) -> None:
    with entrance(tmp_path, programs) as (port, (one, other)), upstream(fine, one), upstream(fine, other):
        assert {post(port, b"x" * 60_000_000) for _ in range(2)} == {(200, b"ok")}


def test_a_request_that_was_sent_is_not_repeated(tmp_path: Path, programs: Programs) -> None:
    with entrance(tmp_path, programs) as (port, (one, other)):
        with upstream(hang_up, one) as first, upstream(hang_up, other) as second:
            assert post(port)[0] == 502
        assert len(first + second) == 1


def test_a_request_that_reached_nobody_goes_to_the_other(tmp_path: Path, programs: Programs) -> None:
    with entrance(tmp_path, programs) as (port, (_, other)), upstream(fine, other) as seen:
        assert [post(port, b"x" * size)[0] for size in (2, 300_000) for _ in range(6)] == [200] * 12
        assert len(seen) == 12


def test_frontends_share_the_work(tmp_path: Path, programs: Programs) -> None:
    with entrance(tmp_path, programs) as (port, (one, other)), upstream(fine, one) as a, upstream(fine, other) as b:
        assert {post(port)[0] for _ in range(20)} == {200}
        assert min(len(a), len(b)) >= 5


def test_a_session_stays_on_its_frontend(tmp_path: Path, programs: Programs) -> None:
    settings = {"frontend__nginx_session_affinity": True, "frontend__nginx_session_affinity_header": "X-My-Session"}
    with (
        entrance(tmp_path, programs, **settings) as (port, (one, other)),
        upstream(fine, one) as a,
        upstream(fine, other) as b,
    ):
        for session in ("s1", "s2", "s3"):
            before = len(a), len(b)
            assert {post(port, headers={"X-My-Session": session})[0] for _ in range(6)} == {200}
            assert 6 in (len(a) - before[0], len(b) - before[1])
        before = len(a), len(b)
        assert {post(port)[0] for _ in range(40)} == {200}
        assert len(a) > before[0]
        assert len(b) > before[1], "requests without a session all go to one frontend"


def test_nats_takes_large_messages_and_etcd_is_quick(tmp_path: Path, programs: Programs) -> None:
    made = disagg(infra__nats_max_payload_mb=96)
    plan = build_plan(made, programs, "d0", model_path=MODEL, tokenizer_path=MODEL)
    running = Running(plan, tmp_path, {})
    with (
        running.process(plan.process("nats")),
        socket.create_connection((HOST, running.port("nats/client")), 5) as nats,
    ):
        told = nats.recv(4096).decode()
        assert told.startswith("INFO ")
        info = json.loads(told.removeprefix("INFO ").splitlines()[0])
        assert info["max_payload"] == 96 * 1024 * 1024
        assert info["jetstream"] is True
    began = time.monotonic()
    with running.process(plan.process("etcd")):
        assert time.monotonic() - began < 5  # by default its election alone takes up to a second; the machine is shared


def test_the_frontends_flags_are_those_that_are_known(programs: Programs) -> None:
    command = [programs.path("dynamo_python"), "-m", "dynamo.frontend", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    listed = {name for line in re.findall(r"^  (?:-\w.*, )?--\w.*", text, re.MULTILINE)
              for name in re.findall(r"--([a-z][\w-]*)", line.strip().split("  ")[0])}  # fmt: skip
    twins = {name[3:] for name in listed if name.startswith("no-") and name[3:] in listed}
    assert len(listed) > 80
    assert listed - {f"no-{name}" for name in twins} - DYNAMO.names == {"help", "version"}
    assert twins <= DYNAMO.negatable
    assert f"--router-mode {{{','.join(DYNAMO.choices['router-mode'])}}}" in text
