"""Hand-written plans, allocation directories, and the orchestrator as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.orchestrator import proctree
from srtctl.plan.codec import to_json
from srtctl.plan.model import (
    Budgets,
    Census,
    Plan,
    PointSteps,
    PortRequest,
    Probe,
    Process,
    Rank,
    RenderedFile,
    Slot,
    Step,
    Worker,
)
from srtctl.plan.programs import Programs

HOST = "@host:slot0@"
PYTHON = sys.executable

NGINX_CONF = """daemon off;
worker_processes 1;
pid @scratch:slot0@/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path @scratch:slot0@/b; proxy_temp_path @scratch:slot0@/p; fastcgi_temp_path @scratch:slot0@/f;
    uwsgi_temp_path @scratch:slot0@/u; scgi_temp_path @scratch:slot0@/s;
    upstream frontends {
        least_conn;
        server @host:slot0@:@port:frontend0/http@ max_fails=1 fail_timeout=2s;
        server @host:slot0@:@port:frontend1/http@ max_fails=1 fail_timeout=2s;
    }
    server {
        listen @host:slot0@:@port:nginx/http@;
        location = /nginx_status { return 200 "ok"; }
        location / { proxy_pass http://frontends; proxy_http_version 1.1; proxy_buffering off; }
    }
}
"""


def http_probe(port: str, path: str, **expected: Any) -> Probe:
    return Probe("http", f"{HOST}:@port:{port}@", path, expect_json=expected)


def port(name: str, preferred: int = 0, **more: Any) -> PortRequest:
    return PortRequest(name, 0, preferred, **more)


def real_plan(programs: Programs, model_dir: Path, **changes: Any) -> Plan:
    """etcd, NATS, two Dynamo frontends, one prefill and one decode mocker, nginx."""
    dynamo = programs.path("dynamo_python")
    env = {
        "ETCD_ENDPOINTS": f"http://{HOST}:@port:etcd/client@",
        "NATS_SERVER": f"nats://{HOST}:@port:nats/client@",
        "DYN_LOG": "info",
        "DYN_SDK_DISABLE_ANSI_LOGGING": "1",
        "HF_HUB_OFFLINE": "1",
        "DYN_TCP_RPC_HOST": HOST,
        "DYN_TCP_RESPONSE_STREAM_HOST": "@iface:slot0@",
        "DYN_HTTP_RPC_HOST": HOST,
        "DYN_EVENT_PLANE": "nats",
        "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
    }
    client, peer = f"http://{HOST}:@port:etcd/client@", f"http://{HOST}:@port:etcd/peer@"
    etcd = ["--name", "n", "--data-dir", "@scratch:slot0@/etcd", "--listen-client-urls", client]
    etcd += ["--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    etcd += ["--initial-cluster", f"n={peer}", "--unsafe-no-fsync"]
    nats = ["-a", HOST, "-p", "@port:nats/client@", "-m", "@port:nats/monitor@", "-js", "-sd", "@scratch:slot0@/nats"]
    processes = [
        Process(
            "etcd", "etcd", 0, (programs.path("etcd"), *etcd), probe=http_probe("etcd/client", "/health", health="true")
        ),
        Process("nats", "nats", 0, (programs.path("nats_server"), *nats), probe=http_probe("nats/monitor", "/healthz")),
    ]
    for i in range(2):
        argv = (dynamo, "-m", "dynamo.frontend", "--http-host", HOST, "--http-port", f"@port:frontend{i}/http@")
        probe = http_probe(f"frontend{i}/http", "/health")
        processes.append(Process(f"frontend{i}", "frontend", 0, argv, env=env, needs=("etcd", "nats"), probe=probe))
    for role, more in (("prefill", ("--bootstrap-ports", "@port:prefill0/bootstrap@")), ("decode", ())):
        argv = (dynamo, "-m", "dynamo.mocker", "--model-path", str(model_dir), "--model-name", "tiny")
        argv += ("--speedup-ratio", "10", "--engine-type", "sglang", "--disaggregation-mode", role, *more)
        processes.append(
            Process(
                f"{role}0",
                role,
                0,
                argv,
                env={**env, "DYN_SYSTEM_PORT": f"@port:{role}0/system@", "DYN_SYSTEM_HOST": HOST},
                needs=("etcd", "nats"),
                probe=http_probe(f"{role}0/system", "/health"),
                worker=f"{role}0",
            )
        )
    argv = (programs.path("nginx"), "-p", "@scratch:slot0@", "-c", "@allocation@/attempt-0/nginx.conf", "-e", "stderr")
    processes.append(
        Process(
            "nginx",
            "nginx",
            0,
            argv,
            needs=("frontend0", "frontend1"),
            probe=http_probe("nginx/http", "/nginx_status"),
            stop_signal="TERM",
        )
    )
    names = [
        "etcd/client",
        "etcd/peer",
        "nats/client",
        "nats/monitor",
        "frontend0/http",
        "frontend1/http",
        "nginx/http",
    ]
    names += ["prefill0/bootstrap"]
    ports = [port(name) for name in names] + [port(f"{r}0/system", max_port=32767) for r in ("prefill", "decode")]
    values: dict[str, Any] = {
        "name": "test",
        "deployment_id": "d" * 12,
        "backend": "mocker",
        "frontend": "dynamo",
        "model": "tiny",
        "slots": (Slot(0, 8),),
        "workers": tuple(Worker(role, 0, (Rank(0, (i,)),)) for i, role in enumerate(("prefill", "decode"))),
        "processes": tuple(processes),
        "ports": tuple(ports),
        "census": Census(
            "dynamo",
            tuple(f"{HOST}:@port:frontend{i}/http@" for i in range(2)),
            {"prefill": 1, "decode": 1},
            "tiny",
        ),
        "endpoint": f"{HOST}:@port:nginx/http@",
        "public_port": "nginx/http",
        "files": (RenderedFile("nginx.conf", NGINX_CONF),),
        "budgets": Budgets(ready_s=60.0, stop_s=5.0, drain_s=5.0),
        "denominators": {"prefill": 1, "decode": 1, "aggregated": 0, "all": 2},
    }
    return Plan(**{**values, **changes})


def custom_step(script: str, name: str = "custom", **more: Any) -> Step:
    """A `custom` client: a Python script that finds the endpoint in $ENDPOINT."""
    env = {"ENDPOINT": f"{HOST}:@port:nginx/http@"}
    return Step(name, "custom", argv=(PYTHON, "-c", script), env={**env, **more.pop("env", {})}, **more)


def point(*steps: Step, **more: Any) -> PointSteps:
    return PointSteps("c" * 12, "custom", steps, **more)


def write_allocation(root: Path, plan: Plan, points: Sequence[PointSteps]) -> rundir.AllocationDir:
    """A sweep directory of one allocation."""
    sweep = rundir.SweepDir(root / "sweep")
    allocation = sweep.allocation(0)
    allocation.path.mkdir(parents=True)
    allocation.plan.write_text(to_json(plan))
    for index, steps in enumerate(points):
        sweep.point(index).path.mkdir(parents=True)
        sweep.point(index).steps.write_text(to_json(steps))
    allocation.points.write_text(json.dumps([f"points/{i:04d}" for i in range(len(points))]))
    return allocation


class Running:
    """The orchestrator as a process, with what a test wants to know about it."""

    def __init__(self, pyz: Path, allocation: rundir.AllocationDir, env: dict[str, str] | None = None):
        self.allocation = allocation
        self.attempt = allocation.attempt(len(allocation.attempts()))
        self.begun = time.monotonic()
        self._log = allocation.orchestrator_log.open("ab")
        self.process = subprocess.Popen(
            [PYTHON, "-I", "-S", str(pyz), str(allocation.path)],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )

    def wait(self, timeout_s: float = 60.0) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running\n{self.log()}\n{self.status()}") from None

    def log(self) -> str:
        return self.allocation.orchestrator_log.read_text()

    def status(self) -> dict[str, Any]:
        return rundir.read_json(self.attempt.status) or {}

    def state_of(self, name: str) -> dict[str, Any]:
        return next((p for p in self.status().get("processes", []) if p["name"] == name), {})

    def until(self, condition: Callable[[dict[str, Any]], Any], timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until the status satisfies `condition`."""
        deadline = time.monotonic() + timeout_s
        while True:
            ended = self.process.poll() is not None
            status = self.status()
            if status and condition(status):
                return status
            if time.monotonic() > deadline or ended:
                raise AssertionError(
                    f"never so (exit {self.process.poll()})\n{self.log()}\n{json.dumps(status, indent=1)}"
                )
            time.sleep(0.02)

    def event(self, kind: str, timeout_s: float = 60.0, **wanted: Any) -> dict[str, Any]:
        """Wait for an event."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for event in rundir.read_events(self.attempt.events):
                if event["event"] == kind and all(event.get(k) == v for k, v in wanted.items()):
                    return event
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no event {kind} {wanted}\n{self.log()}")

    def pids(self) -> list[int]:
        """The orchestrator and everything below it."""
        return [self.process.pid, *proctree.descendants(self.process.pid)]

    def result(self, index: int = 0, attempt: int = 0) -> dict[str, Any]:
        sweep = rundir.SweepDir(self.allocation.path.parent.parent)
        return rundir.read_json(sweep.point(index).attempt(attempt).result)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                for pid in reversed(self.pids()):
                    os.kill(pid, signal.SIGKILL)
                self.process.wait()
        self._log.close()


def all_gone(pids: Sequence[int], within_s: float = 3.0) -> list[int]:
    """Waits for processes to be gone; returns those that are not."""
    deadline = time.monotonic() + within_s
    while True:
        left = [p for p in pids if (e := proctree.entry(p)) is not None and e.state not in "ZX"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)
