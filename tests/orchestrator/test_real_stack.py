"""The real stack: etcd, NATS, Dynamo frontends and mockers, nginx; then the loss of each."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from srtctl import rundir
from srtctl.orchestrator.ports import is_free
from srtctl.orchestrator.state import describe_exit
from srtctl.plan.model import Probe, Process, Step
from srtctl.plan.programs import Programs
from srtctl.schema import ToolsConfig
from srtctl.tools.find import find_programs

from .stack import PYTHON, Running, all_gone, custom_step, point, real_plan, write_allocation

CLIENT = """
import http.client, json, os
for i in range(5):
    c = http.client.HTTPConnection(os.environ["ENDPOINT"], timeout=20)
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "stream": True}
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    assert b"[DONE]" in c.getresponse().read()
json.dump({"requests_completed": 5, "requests_failed": 0, "custom_metric": 1.5}, open("result.json", "w"))
"""


def test_whole_stack(tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]) -> None:
    plan = real_plan(programs, model_dir)
    allocation = write_allocation(
        tmp_path, plan, [point(custom_step(CLIENT)), point(custom_step(CLIENT, name="again"))]
    )
    run = start(allocation)
    run.event("canary", ok=True)
    pids = run.pids()
    assert len(pids) >= 2 + len(plan.processes)
    code = run.wait()
    status = run.status()
    assert (code, status["outcome"], status["phase"]) == (0, "ok", "done"), run.log()
    assert [p["state"] for p in status["points"]] == ["ok", "ok"]
    assert status["ready"]["seen"] == {"prefill": 1, "decode": 1}
    assert all_gone(pids) == []
    assert status["timings"]["stop_s"] <= 3.0
    result = run.result()
    assert result["state"] == "ok"
    assert (result["rows"][0]["measurement"], result["rows"][0]["valid"]) == ("custom", True)
    print(status["timings"])


def test_from_nothing_to_an_answer(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]
) -> None:
    """Alone on two cores it takes 1.4 s (asked for: 3 s); the limit here leaves room for what runs beside the test."""
    run = start(write_allocation(tmp_path, real_plan(programs, model_dir), [point(custom_step("pass"))]))
    assert run.wait() == 0
    timings = run.status()["timings"]
    assert timings["first_answer_s"] < 10.0
    assert timings["client_start_s"] < 1.0  # from the last server's readiness
    assert timings["stop_s"] < 3.0


def test_dynamo_1_4(tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]) -> None:
    """The older release registers in the same way and leaves in the same way."""
    found, problems = find_programs(ToolsConfig(), dynamo_version="1.4.2")
    assert not problems
    run = start(write_allocation(tmp_path, real_plan(found, model_dir), [point(custom_step(CLIENT))]))
    assert run.wait() == 0, run.log()
    assert run.status()["ready"]["seen"] == {"prefill": 1, "decode": 1}


LOAD = CLIENT.replace("range(5)", "range(10**9)")
SERVERS = ("etcd", "nats", "frontend0", "frontend1", "prefill0", "decode0", "nginx")


def kill(run: Running, name: str, number: int) -> float:
    os.kill(run.state_of(name)["pid"], number)
    return time.monotonic()


def ends_because_of(run: Running, name: str, killed_at: float, number: int) -> None:
    """The loss is noticed within a second, named, and nothing is left."""
    pids = run.pids()
    run.until(lambda s: any(p["name"] == name and p["state"] == "FAILED" for p in s["processes"]), 5)
    assert time.monotonic() - killed_at < 1.0
    run.until(lambda s: s["phase"] in ("stopping", "done"), 5)
    assert time.monotonic() - killed_at < 2.0
    assert run.wait(15) == 1
    status = run.status()
    assert status["outcome"] == "failed"
    assert status["root_cause"]["process"] == name, run.log()
    assert describe_exit(-number) in status["root_cause"]["what"]
    assert all_gone(pids) == []


@pytest.mark.parametrize("name", SERVERS)
def test_loss_while_measuring(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running], name: str
) -> None:
    points = [
        point(custom_step(CLIENT)),
        point(custom_step(CLIENT, name="a"), custom_step(LOAD, name="b")),
        point(custom_step(CLIENT)),
    ]
    run = start(write_allocation(tmp_path, real_plan(programs, model_dir), points))
    run.event("measurement_started", measurement="b")
    time.sleep(0.2)
    ends_because_of(run, name, kill(run, name, signal.SIGKILL), signal.SIGKILL)
    assert [p["state"] for p in run.status()["points"]] == ["ok", "failed", "not_run"]
    assert [row["measurement"] for row in run.result(1)["rows"]] == ["a"]


@pytest.mark.parametrize("name", ["etcd", "decode0", "nginx"])
def test_loss_while_the_servers_are_held(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running], name: str
) -> None:
    run = start(
        write_allocation(tmp_path, real_plan(programs, model_dir), [point(Step("manual", "manual", hold=True))])
    )
    run.event("holding")
    ends_because_of(run, name, kill(run, name, signal.SIGKILL), signal.SIGKILL)


@pytest.mark.parametrize("name", ["etcd", "nats", "frontend0", "decode0"])
def test_loss_while_starting(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running], name: str
) -> None:
    run = start(write_allocation(tmp_path, real_plan(programs, model_dir), [point(custom_step(CLIENT))]))
    run.event("process_started", process=name)
    run.until(lambda s: any(p["name"] == name and p["pid"] for p in s["processes"]))
    ends_because_of(run, name, kill(run, name, signal.SIGKILL), signal.SIGKILL)
    assert run.status()["points"][0]["state"] == "not_run"


def test_loss_while_waiting_for_the_workers(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]
) -> None:
    """One decode worker more is expected than there are: the census waits, and says for whom."""
    plan = real_plan(programs, model_dir)
    census = type(plan.census)(plan.census.kind, plan.census.frontends, {"prefill": 1, "decode": 2}, "tiny")
    plan = real_plan(programs, model_dir, census=census)
    run = start(write_allocation(tmp_path, plan, [point(custom_step(CLIENT))]))
    run.until(lambda s: s["phase"] == "ready_wait")
    time.sleep(0.3)
    ends_because_of(run, "nats", kill(run, "nats", signal.SIGKILL), signal.SIGKILL)


def test_worker_that_never_registers(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]
) -> None:
    plan = real_plan(programs, model_dir)
    census = type(plan.census)(plan.census.kind, plan.census.frontends, {"prefill": 1, "decode": 2}, "tiny")
    plan = real_plan(programs, model_dir, census=census, budgets=type(plan.budgets)(ready_s=6.0))
    run = start(write_allocation(tmp_path, plan, [point(custom_step(CLIENT))]))
    assert run.wait(20) == 1
    status = run.status()
    assert "waiting for 1 decodes" in status["reason"]
    assert status["ready"] == {
        "canary_s": None,
        "expected": {"prefill": 1, "decode": 2},
        "seen": {"prefill": 1, "decode": 1},
    }


def test_sigkill_of_the_orchestrator(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]
) -> None:
    run = start(write_allocation(tmp_path, real_plan(programs, model_dir), [point(custom_step(LOAD))]))
    run.event("measurement_started")
    pids = run.pids()
    run.process.kill()
    run.process.wait()
    assert all_gone(pids) == []


THIEF = "import socket, sys, time; s = socket.socket(); s.bind(('', int(sys.argv[1]))); s.listen(); time.sleep(600)"


@pytest.mark.parametrize("victim", ["frontend0/http", "etcd/client", "nats/client", "nginx/http", "decode0/system"])
def test_port_that_is_stolen_after_it_was_given(
    tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running], victim: str
) -> None:
    """Free when it was given out, taken when the server wants it: bound anew, with all that know the old number."""
    number = 21000 + os.getpid() % 5000
    while not is_free(number):
        number += 1
    owner = victim.partition("/")[0]
    thief = Process("thief", "other", 0, (PYTHON, "-c", THIEF, str(number)), probe=Probe("tcp", f"127.0.0.1:{number}"))
    plan = real_plan(programs, model_dir)
    processes = (thief, *(replace(p, needs=(*p.needs, "thief")) if p.name == owner else p for p in plan.processes))
    ports = tuple(replace(p, preferred=number) if p.name == victim else p for p in plan.ports)
    plan = replace(plan, processes=processes, ports=ports)
    run = start(write_allocation(tmp_path, plan, [point(custom_step(CLIENT))]))
    assert run.wait() == 0, run.log()
    assert f"{owner}: a port was taken; bound to another one and started again" in run.status()["warnings"]
    assert rundir.read_json(run.attempt.environment)["ports"][victim] != number
