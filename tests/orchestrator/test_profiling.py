"""Profilers over real HTTP: an engine that counts steps and writes traces as SGLang does, and a program in place of
nsys. What SGLang does is told by its `SchedulerProfilerManager`: a start step that has passed is the next one, the
recording ends by itself after its steps, and a stop while nothing is recorded is answered with 500."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from srtctl.plan.model import Budgets, Plan, PointSteps, Process, Profiler, ProfilerTarget, Step, Window

from .small import server, small_plan
from .stack import HOST, PYTHON, Running, point, port, write_allocation

Start = Callable[..., Running]

ENGINE = """
import http.server, json, os, pathlib, signal, sys
host, number, prefix, calls = sys.argv[1:5]
steps, wanted, running = 0, None, False
def cuda(what):
    if wanted and "CUDA_PROFILER" in wanted["activities"]:
        with open("cuda-" + os.environ["SRTCTL_PROCESS"], "a") as file: file.write(what + "\\n")
def end():
    global running
    running = False
    if "CPU" in wanted["activities"]:
        (pathlib.Path(wanted["output_dir"]) / ("%d-TP-0.trace.json" % steps)).write_text(json.dumps(wanted))
    cuda("stop")
def begin():
    global running, until
    running = True
    until = steps + wanted["num_steps"] if "num_steps" in wanted else None
    cuda("start")
def step():
    global steps
    steps += 1
    if running and until is not None and steps >= until: end()
    if wanted and not running and wanted.get("start_step") and steps == max(wanted["start_step"], wanted["at"] + 1):
        begin()
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def send(self, status, text):
        self.send_response(status); self.end_headers(); self.wfile.write(text.encode())
    def do_GET(self): self.send(200, json.dumps({"status": "ok"}))
    def do_POST(self):
        global wanted
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with open(calls, "a") as file:
            kind = self.headers.get("Content-Type")
            file.write(json.dumps([self.path, kind, json.loads(body or b"{}"), steps]) + "\\n")
        if self.path == "/step": step(); self.send(200, "{}")
        elif self.path == prefix + "/start_profile":
            if running: return self.send(500, "Profiling is already in progress.")
            wanted = {**json.loads(body), "at": steps}
            if not wanted.get("start_step"): begin()
            self.send(200, "{}")
        elif self.path == prefix + "/stop_profile":
            if not running: return self.send(500, "Profiling is not in progress.")
            end(); self.send(200, "{}")
        else: self.send(404, "Route not found")
def leave(*a):
    print("engine ends", flush=True); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("engine is", os.getpid(), flush=True)
class S(http.server.HTTPServer): allow_reuse_address = True
S((host, int(number)), H).serve_forever()
"""

CLIENT = """
import http.client, json, sys
for address in sys.argv[2:]:
    for _ in range(int(sys.argv[1])):
        c = http.client.HTTPConnection(address); c.request("POST", "/step"); c.getresponse().read()
json.dump({"requests_completed": 1, "requests_failed": 0}, open("result.json", "w"))
"""


def engine(name: str, root: Path, prefix: str, wrapper: tuple[str, ...] = (), **more: Any) -> Process:
    made = server(name, role="aggregated", script=ENGINE, worker=name, **more)
    made = replace(made, stop_signal="URG" if wrapper else "TERM")
    return replace(made, argv=(*wrapper, *made.argv, prefix, str(root / f"{name}.calls")))


def plan_of(root: Path, prefix: str = "/engine/control", workers: int = 2, **profiler: Any) -> Plan:
    names = [f"aggregated{n}" for n in range(workers)]
    prefixes = ("/engine/control", "/engine")
    targets = tuple(
        ProfilerTarget(
            name, "aggregated", name, f"{HOST}:@port:{name}/http@",
            tuple(f"{p}/start_profile" for p in prefixes), tuple(f"{p}/stop_profile" for p in prefixes),
        )
        for name in names
    )  # fmt: skip
    values: dict[str, Any] = {"type": "torch", "targets": targets, "activities": ("CPU", "GPU"), **profiler}
    wrappers = values.pop("wrappers", {})
    processes = [engine(name, root, prefix, wrappers.get(name, ())) for name in names]
    ports = (port("frontend0/http"), *(port(f"{name}/http") for name in names))
    budgets = Budgets(ready_s=20.0, stop_s=15.0, drain_s=2.0)
    return small_plan(*processes, ports=ports, profiler=Profiler(**values), budgets=budgets)


def steps_of(count: int, names: tuple[str, ...] = ("c0001",), workers: int = 2, **window: Any) -> PointSteps:
    addresses = [f"{HOST}:@port:aggregated{n}/http@" for n in range(workers)]
    made = [Step(name, "custom", argv=(PYTHON, "-c", CLIENT, str(count), *addresses)) for name in names]
    return point(*made, windows={"aggregated": Window(**window)})


def calls(root: Path, worker: str = "aggregated0") -> list[Any]:
    return [json.loads(line) for line in (root / f"{worker}.calls").read_text().splitlines()]


def told(root: Path, worker: str = "aggregated0") -> list[Any]:
    return [call for call in calls(root, worker) if call[0] != "/step"]


def point_dir(run: Running, index: int = 0) -> Path:
    return run.allocation.path.parent.parent / "points" / f"{index:04d}" / "attempt-0"


def test_torch_records_the_window_in_the_points_directory(tmp_path: Path, start: Start) -> None:
    plan = plan_of(tmp_path)
    run = start(write_allocation(tmp_path, plan, [steps_of(10, start_step=4, num_steps=3)]))
    assert run.wait() == 0, run.log()
    for worker in ("aggregated0", "aggregated1"):
        directory = point_dir(run) / "profiles" / worker / "c0001"
        (trace,) = directory.iterdir()
        assert trace.name == "7-TP-0.trace.json"  # steps 4, 5 and 6 were recorded: written as the seventh began
        path, kind, body, steps = told(tmp_path, worker)[0]
        assert (path, kind, steps) == ("/engine/control/start_profile", "application/json", 0)
        assert body == {"start_step": 4, "num_steps": 3, "activities": ["CPU", "GPU"], "output_dir": str(directory)}
        assert told(tmp_path, worker)[-1][0] == "/engine/control/stop_profile"
    event = run.event("profiler_started", worker="aggregated1")
    assert (event["status"], event["start_step"], event["measurement"]) == (200, 4, "c0001")
    assert run.event("profiler_stopped", worker="aggregated1")["files"] == 1


def test_a_window_without_an_end_ends_with_the_measurement(tmp_path: Path, start: Start) -> None:
    steps = steps_of(3, ("c0001", "c0002"), workers=1)
    run = start(write_allocation(tmp_path, plan_of(tmp_path, workers=1), [steps]))
    assert run.wait() == 0, run.log()
    found = sorted(path.relative_to(point_dir(run)) for path in (point_dir(run) / "profiles").rglob("*.json"))
    assert list(map(str, found)) == [
        "profiles/aggregated0/c0001/3-TP-0.trace.json", "profiles/aggregated0/c0002/6-TP-0.trace.json",
    ]  # fmt: skip
    assert "num_steps" not in told(tmp_path)[0][2]


def test_older_releases_have_another_path(tmp_path: Path, start: Start) -> None:
    plan = plan_of(tmp_path, prefix="/engine", workers=1)
    run = start(write_allocation(tmp_path, plan, [steps_of(3, workers=1)]))
    assert run.wait() == 0, run.log()
    assert [call[0] for call in told(tmp_path)] == [
        "/engine/control/start_profile", "/engine/start_profile",
        "/engine/control/stop_profile", "/engine/stop_profile",
    ]  # fmt: skip


def test_a_start_that_fails_is_said_and_fails_the_point(tmp_path: Path, start: Start) -> None:
    plan = plan_of(tmp_path, prefix="/elsewhere", workers=1)
    run = start(write_allocation(tmp_path, plan, [steps_of(3, workers=1)]))
    assert run.wait() == 1
    result = run.result()
    assert result["state"] == "failed"
    assert result["reason"].startswith(
        "c0001: torch profiling of aggregated0 could not be started: "
        "HTTP 404 from /engine/start_profile: Route not found"
    )
    assert len(result["rows"]) == 1  # what was measured is kept


def test_a_window_that_is_never_reached_fails_the_point(tmp_path: Path, start: Start) -> None:
    steps = steps_of(3, workers=1, start_step=1000, num_steps=5)
    run = start(write_allocation(tmp_path, plan_of(tmp_path, workers=1), [steps]))
    assert run.wait() == 1
    assert run.result()["reason"] == (
        "c0001: nothing was recorded of aggregated0: its engine made no step 1000 in this measurement, "
        "or could not write its trace (its log says more)"
    )


def test_rows_say_that_they_were_profiled(tmp_path: Path, start: Start) -> None:
    run = start(write_allocation(tmp_path, plan_of(tmp_path, workers=1), [steps_of(3, workers=1)]))
    assert run.wait() == 0, run.log()
    (row,) = run.result()["rows"]
    assert row["valid"] is True
    assert row["provenance"]["profiler"] == "torch"
    (verdict,) = [v for v in row["validity"] if v["rule"] == "no profiler was running"]
    assert (verdict["ok"], verdict["evidence"]) == (False, "torch was recording: compare with nothing else")
