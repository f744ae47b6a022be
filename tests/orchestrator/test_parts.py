"""The small parts: ports, tokens, probes, progress, environment, liveness, status, and the archive."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from srtctl import pyz as archive
from srtctl import rundir
from srtctl.orchestrator import between, proctree
from srtctl.orchestrator.bind import Bound, affected_by, local_nodes, next_attempt
from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.environment import base_environment
from srtctl.orchestrator.liveness import State, liveness
from srtctl.orchestrator.ports import PortBook, is_free
from srtctl.orchestrator.probes import unmet
from srtctl.orchestrator.progress import Counters, Follower, Rate, total
from srtctl.orchestrator.report import Report, log_tail
from srtctl.plan.model import PortRequest, Process, RenderedFile, Slot

from .small import small_plan
from .stack import port

# Between points


def test_a_cache_that_was_not_emptied_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """SGLang says in the answer alone that it has not done it: these are answers of 0.5.23, by Dynamo 1.6.1."""
    said = {
        "a:1": (200, b'{"rid":null,"http_worker_ipc":null,"success":true,"message":""}'),
        "b:1": (200, b"Cache flushed.\n"),
        "c:1": (200, b'{"rid":null,"http_worker_ipc":null,"success":false,"message":""}'),
        "d:1": (404, b'{"error":"Route not found"}'),
    }
    monkeypatch.setattr(between.probes, "request", lambda address, *_: said[address])
    assert between.flush([]) == "the frontends offer no way to do it"
    assert between.flush(["a:1/engine/flush_cache", "b:1/flush_cache"]) == ""
    assert between.flush(["a:1/x", "c:1/engine/flush_cache"]).startswith("c:1/engine/flush_cache: HTTP 200 {")
    assert between.flush(["d:1/x"]) == 'd:1/x: HTTP 404 {"error":"Route not found"}'


# Ports


def listen(number: int = 0) -> socket.socket:
    holder = socket.socket()
    holder.bind(("127.0.0.1", number))
    holder.listen()
    return holder


def test_preferred_port_if_it_is_free() -> None:
    with listen() as holder:
        taken = holder.getsockname()[1]
        assert not is_free(taken)
        book = PortBook(1)
        given = book.take(PortRequest("a/http", 0, taken))
        assert 20000 <= given < 32000
        book.close()
    book = PortBook(1)
    assert book.take(PortRequest("a/http", 0, taken)) == taken
    book.close()


def test_no_port_is_given_twice_and_limits_hold() -> None:
    book, other = PortBook(7), PortBook(7)
    requests = [PortRequest(f"p{i}/http", 0, 25000, max_port=32767, count=3) for i in range(20)]
    given = [(b, b.take(r)) for r in requests for b in (book, other)]
    numbers = [n + i for _, n in given for i in range(3)]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) <= 32767
    assert 0 < book.take(PortRequest("low/http", 0, 0, max_port=31000)) <= 31000
    book.close()
    other.close()


def test_a_server_on_one_address_takes_the_port_of_all() -> None:
    with listen() as holder, socket.socket() as other:
        assert not is_free(holder.getsockname()[1])
        other.bind(("", 0))
        other.listen()
        assert not is_free(other.getsockname()[1])


# Tokens


def made(tmp_path: Path) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return scratch


def bound(tmp_path: Path, **changes: object) -> Bound:
    plan = small_plan(**changes)  # type: ignore[arg-type]
    return Bound(plan, local_nodes(plan, made(tmp_path)), PortBook(os.getpid()), tmp_path, tmp_path)


def test_where_processes_answer(tmp_path: Path) -> None:
    names = ("etcd/client", "etcd/peer", "decode0/http", "decode0/nccl", "decode0/system", "prefill0/http")
    one = bound(tmp_path, ports=tuple(port(name) for name in (*names, "frontend0/http")))
    numbers = {name: f"127.0.0.1:{number}" for name, number in one.ports.items()}
    assert one.endpoints() == {
        "etcd": numbers["etcd/client"],
        "decode0": numbers["decode0/system"],  # a worker of Dynamo's has no other
        "prefill0": numbers["prefill0/http"],
        "frontend0": numbers["frontend0/http"],
    }


def test_tokens(tmp_path: Path) -> None:
    files = (RenderedFile("conf/a.conf", "listen @host:slot1@:@port:frontend0/http@; # @iface:slot0@", 0o600),)
    one = bound(tmp_path, files=files, slots=(Slot(0, 1), Slot(1, 1)))
    number = one.ports["frontend0/http"]
    assert (tmp_path / "conf/a.conf").read_text() == f"listen 127.0.0.1:{number}; # lo"
    assert (tmp_path / "conf/a.conf").stat().st_mode & 0o777 == 0o600
    scratch = Path(one.text("@scratch:slot1@"))
    assert scratch.is_dir()
    assert scratch != Path(one.text("@scratch:slot0@"))
    assert one.text("@allocation@") == str(tmp_path)
    assert one.text("@node:slot1@") == socket.gethostname()
    with pytest.raises(ValueError, match="@port:nobody/http@"):
        one.text("@port:nobody/http@")


def test_ports_that_meet_on_one_machine_differ(tmp_path: Path) -> None:
    """Two slots want 8000: here they are the same machine."""
    ports = (port("frontend0/http", 28123), PortRequest("frontend1/http", 1, 28123))
    one = bound(tmp_path, ports=ports, slots=(Slot(0, 1), Slot(1, 1)))
    assert len(set(one.ports.values())) == 2


def test_rebinding_changes_the_ports_of_one_and_names_all_that_know_them(tmp_path: Path) -> None:
    def process(name: str, *argv: str, needs: tuple[str, ...] = (), **env: str) -> Process:
        return Process(name, name, 0, ("x", *argv), needs=needs, env=env)

    plan = small_plan(
        process("etcd", "@port:etcd/client@"),
        process("worker", ETCD="http://@host:slot0@:@port:etcd/client@"),
        process("nginx", "-c", "nginx.conf"),
        process("after", needs=("nginx",)),
        process("free"),
        ports=(port("etcd/client"), port("frontend0/http"), port("etcd/peer")),
        files=(RenderedFile("nginx.conf", "to @port:etcd/client@"), RenderedFile("other.conf", "none")),
    )
    assert affected_by(plan, "etcd") == {"etcd", "worker", "nginx", "after"}
    assert affected_by(plan, "free") == {"free"}
    one = Bound(plan, local_nodes(plan, made(tmp_path)), PortBook(3), tmp_path, tmp_path)
    before = dict(one.ports)
    assert one.rebind("etcd") == {"etcd", "worker", "nginx", "after"}
    changed = {name for name in before if one.ports[name] != before[name]}
    assert changed == {"etcd/client", "etcd/peer"}
    assert (tmp_path / "nginx.conf").read_text() == f"to {one.ports['etcd/client']}"


def test_attempts_are_numbered(tmp_path: Path) -> None:
    assert [next_attempt(tmp_path) for _ in range(11)] == list(range(11))
    (tmp_path / "attempt-30").mkdir()
    assert next_attempt(tmp_path) == 31


# Probes, progress, environment


@pytest.mark.parametrize(
    ("body", "wanted", "wrong"),
    [
        (b'{"health": "true"}', {"health": "true"}, False),
        (b'{"health": true}', {"health": "true"}, True),  # etcd's is a string
        (b'{"a": {"b": 1}}', {"a.b": 1}, False),
        (b"{}", {"a.b": 1}, True),
        (b"ok", {}, False),
        (b"ok", {"a": 1}, True),
    ],
)
def test_expected_json(body: bytes, wanted: dict[str, object], wrong: bool) -> None:
    assert bool(unmet(body, wanted)) is wrong


METRICS = """# TYPE dynamo_frontend_requests_total counter
dynamo_frontend_requests_total{model="tiny",status="success"} 20
dynamo_frontend_requests_total{model="tiny",status="error"} 2
dynamo_frontend_requests_total_other 99
dynamo_frontend_inflight_requests{model="tiny"} 4
"""


def test_metrics() -> None:
    lines = METRICS.splitlines()
    assert total(lines, ["dynamo_frontend_requests_total"]) == 22
    assert total(lines, ["nothing"]) is None


def test_progress_prefers_what_the_client_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter([Counters(100.0, 4.0), Counters(130.0, 4.0), Counters(None, None)])
    monkeypatch.setattr("srtctl.orchestrator.progress.scrape", lambda frontends: next(seen))
    own: list[int | None] = [None, None, 7]
    follow = Follower(lambda: own.pop(0), ())
    assert [follow().done for _ in range(3)] == [0, 30, 7]


def test_rate() -> None:
    rate = Rate()
    assert rate.per_s is None
    for second in range(20):
        rate.add(float(second), second * 5.0)
    assert rate.per_s == 5.0


def test_environment() -> None:
    plan = small_plan(pass_environment=("ETCD_TOKEN",))
    inherited = {"SLURM_JOB_ID": "1", "ETCD_TOKEN": "t", "ETCD_NAME": "x", "PATH": "/bin"}
    assert base_environment(inherited, plan) == {"ETCD_TOKEN": "t", "PATH": "/bin"}


# Liveness, status


def status_of(attempt: rundir.AttemptDir, **values: object) -> None:
    pid = os.getpid()
    status = {
        "phase": "measuring",
        "outcome": None,
        "pid": pid,
        "pid_start": proctree.start_ticks(pid),
        "boot_id": proctree.boot_id(),
        "host": socket.gethostname(),
        "updated_at": time.time(),
    }
    attempt.status.write_text(json.dumps({**status, **values}))


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, State.RUNNING),
        ({"phase": "done", "outcome": "ok"}, State.ENDED),
        ({"pid": 2**22 + 1}, State.LOST),
        ({"pid_start": 1}, State.LOST),  # the number was given to another process
        ({"boot_id": "another"}, State.LOST),
        ({"host": "elsewhere"}, State.UNKNOWN),
    ],
)
def test_liveness(tmp_path: Path, values: dict[str, object], state: State) -> None:
    attempt = rundir.AttemptDir(tmp_path)
    status_of(attempt, **values)
    assert liveness(attempt).state is state


def test_liveness_by_lock_and_by_age(tmp_path: Path) -> None:
    attempt = rundir.AttemptDir(tmp_path / "attempt-0")
    assert liveness(attempt).state is State.ABSENT
    attempt.path.mkdir()
    assert liveness(attempt).state is State.RUNNING  # it has only just been made: its status may be under way
    assert liveness(attempt, now=time.time() + 20).state is State.LOST
    status_of(attempt, pid=2**22 + 1)
    with attempt.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert liveness(attempt).state is State.RUNNING
    assert liveness(attempt).state is State.LOST
    status_of(attempt, host="elsewhere")
    assert liveness(attempt, now=time.time() + 120).stale
    attempt.status.write_text("{")
    assert liveness(attempt, now=time.time() + 20).state is State.LOST


def test_status_is_throttled_but_a_phase_is_written_at_once(tmp_path: Path) -> None:
    attempt = rundir.AttemptDir(tmp_path)

    class Still(Clock):
        time = 100.0

        def now(self) -> float:
            return self.time

    clock = Still()
    report = Report(attempt, clock)
    report.flush()
    report.timing("a_s", 1.0)
    report.flush()
    assert rundir.read_json(attempt.status)["timings"] == {}
    clock.time += 0.11
    report.flush()
    assert rundir.read_json(attempt.status)["timings"] == {"a_s": 1.0}
    report.enter("measuring")
    assert rundir.read_json(attempt.status)["phase"] == "measuring"
    before = attempt.status.stat().st_mtime_ns
    clock.time += 1.0
    report.flush()
    assert attempt.status.stat().st_mtime_ns == before
    clock.time += 5.0
    report.flush()  # a sign of life
    assert attempt.status.stat().st_mtime_ns > before


def test_log_tail(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    assert log_tail(path) == []
    path.write_bytes(b"x" * 100_000 + b"\n\xff\xfe bad\n\n" + "".join(f"line {i}\n" for i in range(50)).encode())
    assert log_tail(path, 2) == ["line 48", "line 49"]


# The archive


def test_same_bytes_every_time() -> None:
    archive.pyz_bytes.cache_clear()
    first = archive.pyz_bytes()
    archive.pyz_bytes.cache_clear()
    assert hashlib.sha256(archive.pyz_bytes()).digest() == hashlib.sha256(first).digest()


def test_holds_only_what_it_needs(pyz: Path) -> None:
    names = zipfile.ZipFile(pyz).namelist()
    assert "srtctl/orchestrator/main.py" in names
    assert not [n for n in names if n.startswith(("srtctl/cli", "srtctl/compos", "srtctl/validate", "srtctl/tools"))]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--help"], 0, "usage:"),
        ([], 2, "usage:"),
        (["/nowhere/at/all"], 2, "/nowhere/at/all is not a directory"),
        (["."], 2, "has no plan.json: not an allocation directory of srtctl"),
    ],
)
def test_bare_interpreter(tmp_path: Path, pyz: Path, arguments: list[str], code: int, text: str) -> None:
    command = [sys.executable, "-I", "-S", str(pyz), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code
    assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_every_module_imports_in_a_bare_interpreter(pyz: Path) -> None:
    names = [n for n in zipfile.ZipFile(pyz).namelist() if n.startswith("srtctl/orchestrator/")]
    modules = [n.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for n in names]
    lines = [f"import sys; sys.path.insert(0, {str(pyz)!r})", *(f"import {m}" for m in modules)]
    lines.append(
        "heavy = {'hydra', 'omegaconf', 'submitit', 'yaml', 'rich'} & {m.partition('.')[0] for m in sys.modules}"
    )
    lines.append("assert not heavy, heavy")
    command = [sys.executable, "-I", "-S", "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
