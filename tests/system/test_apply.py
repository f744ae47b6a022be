"""The main job, end to end, as a user runs it: real etcd, NATS, Dynamo frontends and mockers, nginx, real client."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.system.conftest import QUICK, SRTCTL, User

HOLD = QUICK.replace('type: custom, command: "echo \'{\\"answer\\": 42}\' > result.json"', "type: manual")


def holding(user: User) -> None:
    """A run that keeps its servers up until it is told to stop; returns once they are."""
    done = user.srtctl("apply", "-f", str(user.write("hold.yaml", HOLD)))
    assert done.returncode == 0, done.stderr
    user.wait_for("servers up", lambda s: s["phase"] == "measuring" and s["points"][0]["state"] == "running")


def test_a_disaggregated_job_is_measured_through_nginx(user, quick):
    workload = [
        "benchmark.isl=64",
        "benchmark.osl=16",
        "benchmark.concurrencies=[1,2]",
        "benchmark.num_prompts_mult=4",
        "benchmark.random_range_ratio=1",
    ]
    done = user.srtctl("apply", "-f", str(quick), "benchmark=sa-bench", *workload, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = user.json("results")["rows"]
    assert [row["concurrency"] for row in rows] == [1, 2]
    assert all(row["valid"] and row["requests_failed"] == 0 for row in rows)
    assert [row["requests_completed"] for row in rows] == [4, 8]
    assert all(row["gpus"] == 2 and row["prefill_gpus"] == 1 and row["decode_gpus"] == 1 for row in rows)
    assert all(row["osl_mean"] == 16 for row in rows)
    status = user.status()
    assert (status["phase"], status["outcome"]) == ("done", "ok")
    assert status["ready"]["seen"] == {"prefill": 1, "decode": 1}
    user.assert_nothing_left()


def test_an_aggregated_job_of_groups_alone(user):
    done = user.srtctl("mode=agg", "benchmark=custom", "benchmark.command='true'", "launcher.wait=true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.status()["ready"]["seen"] == {"prefill": 0, "decode": 1}
    user.assert_nothing_left()


def test_the_older_dynamo_release(user, quick):
    done = user.srtctl("apply", "-f", str(quick), "dynamo.version=1.4.2", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.status()["outcome"] == "ok"
    user.assert_nothing_left()


@pytest.mark.parametrize(("frontend", "version"), [("dynamo-kv", "1.6.1"), ("dynamo-load", "1.4.2")])
def test_ready_made_routing_on_both_releases(user, frontend, version):
    """Two frontends that route by caches or by load take their flags and answer."""
    chosen = [f"frontend={frontend}", "frontend.count=2", f"dynamo.version={version}", "mode=disagg"]
    done = user.srtctl("apply", *chosen, "benchmark=custom", "benchmark.command='true'", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.status()["outcome"] == "ok"
    user.assert_nothing_left()


def test_points_that_differ_only_in_the_workload_share_their_servers(user, quick):
    done = user.srtctl(
        "apply", "-f", str(quick), "-m", "--wait",
        "frontend.count=1,2,3", "benchmark.command='echo 1','echo 2','echo 3','echo 4'",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((user.sweep() / "sweep.json").read_text())
    assert (len(manifest["points"]), len(manifest["allocations"])) == (12, 3)
    for index in range(3):
        events = (user.sweep() / f"allocations/{index:04d}/attempt-0/events.jsonl").read_text().splitlines()
        started = [json.loads(line).get("process") for line in events if '"process_started"' in line]
        assert [name for name in started if name == "etcd"] == ["etcd"]
        assert started.count("decode0") == 1
    assert len(list(user.sweep().glob("points/*/attempt-0/result.json"))) == 12
    user.assert_nothing_left()


def test_apply_returns_at_once_and_the_run_goes_on(user):
    slow = user.write("slow.yaml", QUICK.replace('command: "', 'command: "sleep 3; '))
    done = user.srtctl("apply", "-f", str(slow))
    assert done.returncode == 0, done.stderr
    assert user.status().get("phase") != "done"
    assert user.sweep().name in done.stdout
    user.wait_for("the end", lambda s: s["phase"] == "done")
    assert user.json("results")["rows"][0]["answer"] == 42
    user.assert_nothing_left()


def test_cancel_stops_in_order_and_leaves_nothing(user):
    holding(user)
    done = user.srtctl("cancel")
    assert done.returncode == 0, done.stdout + done.stderr
    assert user.status()["outcome"] in ("cancelled", "ok")
    user.assert_nothing_left()
    assert user.srtctl("cancel").returncode == 0


def test_manual_says_where_and_how_to_stop(user):
    holding(user)
    log = (user.sweep() / "allocations/0000/orchestrator.log").read_text()
    endpoint = user.status()["endpoint"]
    assert f"http://{endpoint}" in log
    assert "srtctl cancel" in log
    user.srtctl("cancel")
    user.assert_nothing_left()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda s: s.name)
def test_a_signal_to_the_orchestrator_leaves_nothing(user, signum):
    holding(user)
    pid = user.status()["pid"]
    subprocess.run(["kill", f"-{signum.value}", str(pid)], check=True)
    user.assert_nothing_left(within_s=6)
    shown = user.json("status")
    state = json.dumps(shown)
    assert ("lost" in state) == (signum is signal.SIGKILL)


def test_ctrl_c_on_wait_detaches(user):
    recipe = user.write("hold.yaml", HOLD)
    process = subprocess.Popen(
        [SRTCTL, "apply", "-f", recipe, "--wait"], cwd=user.home, env=user.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background inherit it ignored
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(user.home.glob("outputs/*/*/sweep.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    user.wait_for("servers up", lambda s: s["phase"] == "measuring")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=10)
    assert "srtctl status --watch" in text
    assert "srtctl cancel" in text
    assert user.status()["phase"] == "measuring"
    assert user.srtctl("cancel").returncode == 0
    user.assert_nothing_left()


def test_two_applies_in_the_same_second(user, quick):
    both = [
        subprocess.Popen([SRTCTL, "apply", "-f", quick, "--wait"], cwd=user.home, env=user.environment)
        for _ in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(list(user.home.glob("outputs/quick/*/sweep.json"))) == 2
    user.assert_nothing_left()


def test_the_setup_script_runs_before_every_worker_here_too(user, quick):
    user.write("setup.sh", "echo prepared >&2\n")
    done = user.srtctl("apply", "-f", str(quick), "--setup-script", "setup.sh", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    logs = user.sweep() / "allocations/0000/attempt-0/logs"
    for worker in ("prefill0", "decode0"):
        assert "prepared" in (logs / f"{worker}.log").read_text()
    assert "prepared" not in (logs / "frontend0.log").read_text()


def test_a_setup_script_that_fails_is_the_workers_failure(user, quick):
    user.write("setup.sh", "echo no driver here >&2\nexit 7\n")
    done = user.srtctl("apply", "-f", str(quick), "--setup-script", "setup.sh", "--wait")
    assert done.returncode == 1
    cause = user.status()["root_cause"]
    assert cause["process"] in ("prefill0", "decode0")
    assert any("no driver here" in line for line in cause["log_tail"])
    assert "no driver here" in user.srtctl("status").stdout
    user.assert_nothing_left()


@pytest.mark.parametrize("victim", ["decode0", "frontend1", "etcd", "nats", "nginx"])
def test_a_lost_server_ends_the_run_with_its_name(user, victim):
    """Killed while requests are under way; what was measured before is kept."""
    recipe = user.write("lose.yaml", QUICK.replace("> result.json", "> result.json; sleep 20"))
    two = "benchmark.command='echo {} > result.json','echo {} > result.json; sleep 20'"
    assert user.srtctl("apply", "-f", str(recipe), two, "-m").returncode == 0
    status = user.wait_for("the second point", lambda s: s["points"][1]["state"] == "running")
    pid = next(process["pid"] for process in status["processes"] if process["name"] == victim)
    killed_at = time.time()
    subprocess.run(["kill", "-9", str(pid)], check=True)
    status = user.wait_for("the end", lambda s: s["phase"] == "done")
    assert status["outcome"] == "failed"
    assert status["root_cause"]["process"] == victim
    events = (user.sweep() / "allocations/0000/attempt-0/events.jsonl").read_text().splitlines()
    seen_at = next(e["t"] for e in map(json.loads, events) if e.get("process") == victim and "exit" in e["event"])
    assert seen_at - killed_at < 1
    assert [point["state"] for point in status["points"]] == ["ok", "failed"]
    assert victim in user.srtctl("status").stdout
    assert user.srtctl("results").returncode == 1
    user.assert_nothing_left()
