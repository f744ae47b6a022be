"""Real tiny children: order of start and stop, those that don't listen, those that hide, and every wrong start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from srtctl import rundir
from srtctl.orchestrator.liveness import State, liveness
from srtctl.plan.model import Budgets, PointSteps, RenderedFile, Step

from .small import BREEDER, IGNORES_TERM, SERVER, SLEEPER, python, server, small_plan
from .stack import PYTHON, Running, all_gone, custom_step, point, port, write_allocation

Start = Callable[..., Running]

GOOD = "import json; json.dump({'requests_completed': 3, 'requests_failed': 0}, open('result.json', 'w'))"
LONG = "import time; time.sleep(600)"


def client(script: str = GOOD, **more: object) -> Step:
    return custom_step(script, env={"ENDPOINT": ""}, **more)  # type: ignore[arg-type]


HOLD = Step("manual", "manual", hold=True)


def measuring(status: dict) -> bool:
    return any(p["name"] == "client" and p["pid"] and not p["exited_at"] for p in status["processes"])


def events(run: Running, kind: str) -> list[dict]:
    return [e for e in rundir.read_events(run.attempt.events) if e["event"] == kind]


def test_ok(tmp_path: Path, start: Start) -> None:
    run = start(write_allocation(tmp_path, small_plan(), [point(client())]))
    assert run.wait() == 0, run.log()
    status = run.status()
    assert (status["outcome"], status["reason"], status["root_cause"]) == ("ok", None, None)
    assert set(status) >= {
        "schema_version", "phase", "outcome", "reason", "root_cause", "pid", "pid_start", "boot_id", "host",
        "started_at", "updated_at", "ended_at", "endpoint", "endpoints", "processes", "ready", "points",
        "timings", "warnings",
    }  # fmt: skip
    assert liveness(run.attempt).state is State.ENDED
    assert run.status()["timings"]["stop_s"] < 3.0
    assert json.loads(run.attempt.environment.read_text())["machine"]["host"] == socket.gethostname()


def test_needs_decide_the_order(tmp_path: Path, start: Start) -> None:
    plan = small_plan(
        python("last", SLEEPER, needs=("middle",)),
        python(
            "middle",
            "import time; time.sleep(0.3); open('made', 'w')",
            kind="task",
            outputs=("made",),
            needs=("frontend0",),
        ),
    )
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    assert run.wait() == 0, run.log()
    started = {e["process"]: e["t"] for e in events(run, "process_started")}
    ended = {e["process"]: e["t"] for e in events(run, "process_exited")}
    ready = {e["process"]: e["t"] for e in events(run, "process_ready")}
    assert ready["frontend0"] <= started["middle"] < ended["middle"] <= started["last"]
    assert ended["last"] <= ended["frontend0"]  # the other way round


@pytest.mark.parametrize(
    ("script", "what"),
    [("import sys; sys.exit(3)", "exit code 3"), ("pass", "exit code 0, but has not left made")],
)
def test_task_fails(tmp_path: Path, start: Start, script: str, what: str) -> None:
    plan = small_plan(python("task", script, kind="task", outputs=("made",)))
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    assert run.wait() == 1
    status = run.status()
    assert status["root_cause"]["process"] == "task"
    assert what in status["root_cause"]["what"]
    assert status["points"][0]["state"] == "not_run"


def test_child_that_ignores_term(tmp_path: Path, start: Start) -> None:
    plan = small_plan(*(python(f"deaf{i}", IGNORES_TERM) for i in range(8)))
    run = start(write_allocation(tmp_path, plan, [point(HOLD)]))
    run.event("holding")
    pids = run.pids()
    begun = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 0  # a `manual` run ends by being stopped
    assert time.monotonic() - begun < 6.0
    assert all_gone(pids) == []
    assert any("deaf3" in warning for warning in run.status()["warnings"])


@pytest.mark.parametrize("how", ["TERM", "INT", "file"])
def test_stop_keeps_what_was_measured(tmp_path: Path, start: Start, how: str) -> None:
    points = [point(client()), point(client(name="a"), client(LONG, name="b"), client(name="c")), point(client())]
    run = start(write_allocation(tmp_path, small_plan(), points))
    run.until(lambda s: s["points"][1]["measurement"] == "b" and measuring(s))
    pids = run.pids()
    if how == "file":
        run.allocation.stop.touch()
    else:
        run.process.send_signal(getattr(signal, f"SIG{how}"))
    assert run.wait(10) == 1
    status = run.status()
    assert (status["outcome"], status["root_cause"]) == ("cancelled", None)
    assert [p["state"] for p in status["points"]] == ["ok", "cancelled", "not_run"]
    assert run.result(0)["state"] == "ok"
    assert (run.result(1)["state"], [row["measurement"] for row in run.result(1)["rows"]]) == ("cancelled", ["a"])
    assert all_gone(pids) == []


def test_stop_in_the_first_moment(tmp_path: Path, start: Start) -> None:
    """A signal that comes while the modules are still loading is not lost, and says what the outcome is."""
    run = start(write_allocation(tmp_path, small_plan(), [point(client(LONG))]))
    deadline = time.monotonic() + 5
    while (blocked := mask_of(run.process.pid)) == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert blocked & 1 << (signal.SIGTERM - 1)
    run.process.send_signal(signal.SIGTERM)
    assert run.wait(10) == 1
    assert (run.status()["outcome"], run.status()["points"][0]["state"]) == ("cancelled", "not_run")


def mask_of(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("SigBlk:")[2].split()[0], 16)


def test_stop_asked_before_it_began(tmp_path: Path, start: Start) -> None:
    allocation = write_allocation(tmp_path, small_plan(), [point(client())])
    allocation.stop.touch()
    run = start(allocation)
    assert run.wait(10) == 1
    assert run.status()["outcome"] == "cancelled"
    assert not events(run, "process_started")


def test_token_that_nobody_defined(tmp_path: Path, start: Start) -> None:
    plan = small_plan(files=(RenderedFile("x.conf", "@port:ghost/http@"),))
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    assert run.wait(10) == 1
    assert "@port:ghost/http@" in run.status()["reason"]
    assert run.status()["phase"] == "done"


def test_second_run_measures_only_what_is_missing(tmp_path: Path, start: Start) -> None:
    allocation = write_allocation(tmp_path, small_plan(), [point(client()), point(client(LONG))])
    run = start(allocation)
    run.until(lambda s: s["points"][1]["state"] == "running" and measuring(s))
    run.process.send_signal(signal.SIGTERM)
    run.wait()
    steps = rundir.SweepDir(tmp_path / "sweep").point(1).steps
    steps.write_text(steps.read_text().replace(LONG, "print(1)"))
    again = start(allocation)
    assert again.wait() == 0, again.log()
    assert again.attempt.path.name == "attempt-1"
    assert not (tmp_path / "sweep/points/0000/attempt-1").exists()
    assert again.result(1, attempt=1)["state"] == "ok"


def test_two_at_once_are_refused(tmp_path: Path, start: Start, pyz: Path) -> None:
    allocation = write_allocation(tmp_path, small_plan(), [point(HOLD)])
    run = start(allocation)
    run.event("holding")
    second = subprocess.run([PYTHON, "-I", "-S", pyz, allocation.path], capture_output=True, text=True, timeout=20)
    assert second.returncode == 2
    assert f"pid {run.process.pid}" in second.stderr
    assert liveness(run.attempt).state is State.RUNNING


def test_sigkill_of_the_orchestrator_leaves_nothing(tmp_path: Path, start: Start) -> None:
    plan = small_plan(python("breeder", BREEDER), python("deaf", IGNORES_TERM, "@scratch:slot0@"))
    run = start(write_allocation(tmp_path, plan, [point(client(LONG))]))
    run.until(measuring)
    deadline = time.monotonic() + 5
    while len(run.pids()) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    pids = run.pids()
    assert len(pids) >= 9  # orchestrator, keeper, server, breeder with 3 below, deaf, client
    scratch = Path(f"/proc/{run.state_of('deaf')['pid']}/cmdline").read_bytes().split(b"\0")[-2].decode()
    assert Path(scratch).is_dir()
    run.process.kill()
    run.process.wait()
    assert all_gone(pids) == []
    assert liveness(run.attempt).state is State.LOST
    deadline = time.monotonic() + 2
    while Path(scratch).parent.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(scratch).parent.exists()


def test_loss_of_the_keeper(tmp_path: Path, start: Start) -> None:
    run = start(write_allocation(tmp_path, small_plan(python("breeder", BREEDER)), [point(client(LONG))]))
    run.until(measuring)
    time.sleep(0.3)
    pids = run.pids()
    begun = time.monotonic()
    os.kill(run.status()["keeper_pid"], signal.SIGKILL)
    assert run.wait(10) == 1
    assert time.monotonic() - begun < 5.0
    status = run.status()
    assert (status["outcome"], status["root_cause"]["process"]) == ("failed", "keeper")
    assert all_gone(pids) == []


def test_port_taken_by_another_at_its_start(tmp_path: Path, start: Start) -> None:
    """The number was free at bind and is taken by the time the server wants it: the process says so and leaves."""
    # It fails the first time as servers do, and only then.
    script = "import os, sys, time\nif not os.path.exists('tried'):\n"
    script += " open('tried', 'w').write(sys.argv[1]); sys.exit('Error: [Errno 98] Address already in use')\n"
    script += "open('ports', 'a').write(sys.argv[1] + '\\n'); time.sleep(600)"
    names = "import sys, time; open('knows', 'a').write(sys.argv[1] + '\\n'); time.sleep(600)"
    plan = small_plan(
        python("late", script, "@port:late/http@"),
        python("knower", names, "@port:late/http@"),
        python("other", SLEEPER),
        ports=(port("frontend0/http"), port("late/http")),
    )
    run = start(write_allocation(tmp_path, plan, [point(client("import time; time.sleep(0.5)"))]))
    assert run.wait() == 0, run.log()
    first, second = ((run.attempt.path / name).read_text().split()[-1] for name in ("tried", "ports"))
    assert first != second
    assert (run.attempt.path / "knows").read_text().split()[-1] == second
    started = [e["process"] for e in events(run, "process_started")]
    assert (started.count("late"), started.count("knower"), started.count("other")) == (2, 2, 1)
    assert any("a port was taken" in w for w in run.status()["warnings"])


def test_preferred_port_that_is_taken(tmp_path: Path, start: Start) -> None:
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        plan = small_plan(ports=(port("frontend0/http", taken),))
        run = start(write_allocation(tmp_path, plan, [point(client())]))
        assert run.wait() == 0, run.log()
        assert not run.status()["endpoint"].endswith(f":{taken}")


def test_missing_program(tmp_path: Path, start: Start) -> None:
    broken = python("etcd", "")
    broken = type(broken)("etcd", "etcd", 0, ("/nowhere/etcd", "--name", "n"))
    run = start(write_allocation(tmp_path, small_plan(broken), [point(client())]))
    assert run.wait() == 1
    cause = run.status()["root_cause"]
    assert cause["process"] == "etcd"
    assert "/nowhere/etcd" in cause["what"]
    assert "srtctl tools install" in cause["what"]


@pytest.mark.parametrize(
    ("script", "what"),
    [("print('tool 0.9.1')", "it says 'tool 0.9.1', tool 1 is needed"), ("import sys; sys.exit(4)", "exit code 4")],
)
def test_program_of_the_wrong_version(tmp_path: Path, start: Start, script: str, what: str) -> None:
    # The process itself dies too, and before the version is known: still the version is the cause.
    slow = f"import time; time.sleep(0.3); {script}"
    wrong = python("nats", "import sys; sys.exit(7)", version_argv=(PYTHON, "-c", slow), version_want="^tool 1[.]")
    wrong = replace(wrong, version_needed="tool 1")
    run = start(write_allocation(tmp_path, small_plan(wrong), [point(client())]))
    assert run.wait() == 1
    cause = run.status()["root_cause"]
    assert cause["process"] == "nats"
    assert what in cause["what"]
    assert "srtctl tools install" in cause["what"]


def test_setup_command(tmp_path: Path, start: Start) -> None:
    worker = python(
        "decode0",
        "import os, time; assert os.path.exists('set-up'); time.sleep(600)",
        setup=("sh", "-c", "echo > set-up"),
    )
    run = start(write_allocation(tmp_path, small_plan(worker), [point(client("import time; time.sleep(0.3)"))]))
    assert run.wait() == 0, run.log()


def test_setup_command_fails(tmp_path: Path, start: Start) -> None:
    worker = python("decode0", SLEEPER, setup=("sh", "-c", "echo no such wheel >&2; exit 12"))
    run = start(write_allocation(tmp_path, small_plan(worker), [point(client())]))
    assert run.wait() == 1
    cause = run.status()["root_cause"]
    assert (cause["process"], cause["log_tail"]) == ("decode0", ["no such wheel"])
    assert "setup command ended with exit code 12" in cause["what"]


def test_worker_that_is_never_ready(tmp_path: Path, start: Start) -> None:
    never = server("decode0", role="decode", ready_timeout_s=1.0)
    never = type(never)(
        **{**vars(never), "probe": type(never.probe)("http", never.probe.address, expect_json={"status": "up"})}
    )
    plan = small_plan(never, ports=(port("frontend0/http"), port("decode0/http")))
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    assert run.wait(10) == 1
    cause = run.status()["root_cause"]
    assert cause["process"] == "decode0"
    assert "was not ready after 1 s (last seen: status is 'ok', not 'up')" in cause["what"]
    assert cause["log_tail"] == ["listening"]


CUT = SERVER.replace("data: [DONE]\\n\\n", "")
REFUSE_TWICE = """
        if H.refused < 2:
            H.refused += 1; self.send_response(503); self.end_headers(); self.wfile.write(b"no worker"); return
"""
HANGS = SERVER.replace("def do_POST(self):", "def do_POST(self):\n        import time; time.sleep(600)")


def test_canary_that_is_cut(tmp_path: Path, start: Start) -> None:
    """Every process is ready, the model is listed, the answer comes with status 200: and still it is no answer."""
    assert CUT != SERVER
    plan = small_plan(budgets=Budgets(ready_s=2.0))
    plan = replace(plan, processes=(server(script=CUT),))
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    assert run.wait(15) == 1
    status = run.status()
    assert "the canary request was not answered: the stream ended after 1 chunks without [DONE]" in status["reason"]
    assert (status["root_cause"]["process"], status["points"][0]["state"]) == ("frontend0", "not_run")


def test_every_frontend_answers_a_canary(tmp_path: Path, start: Start) -> None:
    """One frontend answers, the other lists the model and refuses requests at first, as Dynamo 1.4 was seen to do."""
    refuses = SERVER.replace("def do_POST(self):", "refused = 0\n    def do_POST(self):\n" + REFUSE_TWICE)
    late = server("frontend1", script=refuses)
    census = replace(small_plan().census, frontends=tuple(f"127.0.0.1:@port:frontend{n}/http@" for n in (0, 1)))
    plan = small_plan(late, ports=(port("frontend0/http"), port("frontend1/http")), census=census)
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    assert run.wait() == 0
    tries = [event for event in rundir.read_events(run.attempt.events) if event["event"] == "canary"]
    assert [event["ok"] for event in tries] == [False, False, True]
    assert "HTTP 503: no worker" in tries[0]["text"]


def test_loss_while_the_canary_hangs(tmp_path: Path, start: Start) -> None:
    plan = small_plan()
    plan = replace(plan, processes=(server(script=HANGS), python("decode0", SLEEPER)))
    run = start(write_allocation(tmp_path, plan, [point(client())]))
    run.until(lambda s: s["phase"] == "ready_wait")
    time.sleep(0.5)
    begun = time.monotonic()
    os.kill(run.state_of("decode0")["pid"], signal.SIGKILL)
    assert run.wait(10) == 1
    assert time.monotonic() - begun < 3.0
    assert run.status()["root_cause"]["process"] == "decode0"


@pytest.mark.parametrize(("code", "what"), [(0, "exit code 0, although nobody asked"), (5, "exit code 5")])
def test_worker_that_leaves_during_load(tmp_path: Path, start: Start, code: int, what: str) -> None:
    script = f"import os, sys, time\nwhile not os.path.exists('go'): time.sleep(0.02)\nprint('bye'); sys.exit({code})"
    plan = small_plan(python("decode0", script, role="decode"))
    points = [point(client()), point(client(name="a"), client(LONG, name="b")), point(client())]
    run = start(write_allocation(tmp_path, plan, points))
    run.until(lambda s: s["points"][1]["measurement"] == "b" and measuring(s))
    begun = time.monotonic()
    (run.attempt.path / "go").touch()
    run.until(lambda s: s["phase"] in ("stopping", "done"))
    assert time.monotonic() - begun < 1.5
    assert run.wait() == 1
    status = run.status()
    assert status["outcome"] == "failed"
    assert status["root_cause"]["process"] == "decode0"
    assert what in status["root_cause"]["what"]
    assert status["root_cause"]["log_tail"] == ["bye"]
    assert [p["state"] for p in status["points"]] == ["ok", "failed", "not_run"]
    assert [row["measurement"] for row in run.result(1)["rows"]] == ["a"]


@pytest.mark.parametrize(
    ("script", "more", "what"),
    [
        ("import sys; sys.exit('no luck')", {}, "no luck"),
        ("pass", {"outputs": ("wanted.json",)}, "wanted.json"),
        ("open('result.json', 'w').write('{')", {}, "could not be read"),
        (LONG, {"timeout_s": 0.5}, "still running after 0.5 s"),
    ],
)
def test_client_that_fails(tmp_path: Path, start: Start, script: str, more: dict, what: str) -> None:
    points = [point(client(script, name="bad", **more), client(name="good")), point(client())]
    run = start(write_allocation(tmp_path, small_plan(), points))
    assert run.wait() == 1
    status = run.status()
    assert (status["outcome"], [p["state"] for p in status["points"]]) == ("failed", ["failed", "ok"])
    assert what in run.result(0)["reason"]
    assert [row["measurement"] for row in run.result(0)["rows"]] == ["good"]


def test_client_that_is_missing(tmp_path: Path, start: Start) -> None:
    run = start(write_allocation(tmp_path, small_plan(), [point(Step("x", "custom", ("/nowhere/aiperf",)))]))
    assert run.wait() == 1
    assert "/nowhere/aiperf" in run.result()["reason"]
    assert "srtctl tools install" in run.result()["reason"]


def test_what_a_client_leaves_running_is_ended_before_the_next_one(tmp_path: Path, start: Start) -> None:
    leaves = "import os, time\nif os.fork() == 0:\n os.setsid()\n"
    leaves += " if os.fork() == 0: open('pid', 'w').write(str(os.getpid())); time.sleep(600)\n"
    leaves += " os._exit(0)\ntime.sleep(0.3)"
    looks = "import os; pid = open('../a/pid').read(); assert not os.path.exists(f'/proc/{pid}')"
    steps = point(client(leaves, name="a"), client(f"import time; time.sleep(0.3); {looks}", name="b"))
    run = start(write_allocation(tmp_path, small_plan(), [steps]))
    assert run.wait() == 0, run.log()


def test_invalid_row(tmp_path: Path, start: Start) -> None:
    script = "import json; json.dump({'requests_completed': 3, 'requests_failed': 2}, open('result.json', 'w'))"
    run = start(write_allocation(tmp_path, small_plan(), [point(client(script))]))
    assert run.wait() == 1
    assert (run.status()["outcome"], run.status()["points"][0]["state"]) == ("failed", "invalid")


def test_an_end_that_explains_invalid_rows_counts(tmp_path: Path, start: Start) -> None:
    """Requests failed because the server was ending: such a point is to be measured again, so it is not `invalid`."""
    quits = "if self.path == '/quit': import os, threading; threading.Timer(0.25, os._exit, (3,)).start()\n        "
    dying = server(script=SERVER.replace('if self.path == "/v1', f'{quits}if self.path == "/v1'))
    script = "import json, os, urllib.request as u; u.urlopen('http://' + os.environ['WHERE'] + '/quit').read()\n"
    script += "json.dump({'requests_completed': 3, 'requests_failed': 2}, open('result.json', 'w'))"
    step = custom_step(script, env={"ENDPOINT": "", "WHERE": "127.0.0.1:@port:frontend0/http@"})
    plan = replace(small_plan(), processes=(dying,))
    run = start(write_allocation(tmp_path, plan, [point(step)]))
    assert run.wait() == 1
    assert (run.status()["points"][0]["state"], run.result()["state"]) == ("failed", "failed"), run.log()
    assert run.status()["root_cause"]["process"] == "frontend0"


def test_environment_is_scrubbed(tmp_path: Path, start: Start) -> None:
    script = "import os, json; json.dump(dict(os.environ), open('seen.json', 'w'))"
    steps = PointSteps(
        "c",
        "custom",
        (Step("x", "custom", (PYTHON, "-c", script), env={"OWN": "@host:slot0@"}),),
        unset_env=("DROPPED",),
    )
    plan = small_plan(pass_environment=("NATS_TOKEN", "ABSENT"))
    env = {"SLURM_CPU_BIND": "x", "DYN_LOG": "x", "NATS_TOKEN": "s3cret", "DROPPED": "x", "KEPT": "x"}
    run = start(write_allocation(tmp_path, plan, [steps]), env=env)
    assert run.wait() == 0, run.log()
    seen = json.loads((tmp_path / "sweep/points/0000/attempt-0/measurements/x/seen.json").read_text())
    assert {k: seen.get(k) for k in env} == {
        "SLURM_CPU_BIND": None,
        "DYN_LOG": None,
        "NATS_TOKEN": "s3cret",
        "DROPPED": None,
        "KEPT": "x",
    }
    assert seen["OWN"] == "127.0.0.1"
    for path in (tmp_path / "sweep").rglob("*"):
        if path.is_file() and path.name != "seen.json":
            assert "s3cret" not in path.read_text(errors="replace"), path
    assert any("ABSENT" in w for w in run.status()["warnings"])


def test_time_limit(tmp_path: Path, start: Start) -> None:
    plan = small_plan(budgets=Budgets(ready_s=20, time_limit_s=3.0, early_warning_s=1.0))
    run = start(write_allocation(tmp_path, plan, [point(client()), point(client(LONG)), point(client())]))
    assert run.wait(10) == 1
    status = run.status()
    assert (status["outcome"], [p["state"] for p in status["points"]]) == ("failed", ["ok", "failed", "not_run"])
    assert "time limit" in status["reason"]
    assert status["ended_at"] - status["started_at"] < 3.0


def test_full_disk_does_not_keep_servers_running(tmp_path: Path, start: Start) -> None:
    """The status can't be written any more (here: its directory is gone): the run still ends and leaves nothing."""
    run = start(write_allocation(tmp_path, small_plan(), [point(HOLD)]))
    run.event("holding")
    pids = run.pids()
    run.attempt.path.rename(tmp_path / "elsewhere")
    run.process.send_signal(signal.SIGTERM)
    run.process.wait(10)
    assert all_gone(pids) == []
