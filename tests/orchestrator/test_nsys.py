"""What is done around nsys: its program is told to stop and it is not, and its end is not its program's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srtctl.plan.model import Plan, Step

from .nsys import fake_nsys
from .stack import PYTHON, Running, point, write_allocation
from .test_profiling import plan_of, point_dir, steps_of, told

Start = Callable[..., Running]

ORDER = '{"stop": "TERM", "patient": false}'
# Longer than the orchestrator waits for what explains an end.
SLOW = "import json, time; time.sleep(1.5); json.dump({'answer': 42}, open('result.json', 'w'))"
DIRECTORY = "@attempt@/profiles/aggregated0"


@pytest.fixture
def nsys(tmp_path: Path) -> Path:
    return fake_nsys(tmp_path)


def nsys_plan(root: Path, pyz: Path, nsys: Path, *options: str, **profiler: Any) -> Plan:
    recorder = (str(nsys), "profile", *options, f"--output={DIRECTORY}/aggregated0", "--")
    wrapper = (PYTHON, "-I", "-S", str(pyz), "--recorded", ORDER, *recorder)
    values = {"type": "nsys", "activities": ("CUDA_PROFILER",), "outputs": {"aggregated0": (DIRECTORY,)}, **profiler}
    return plan_of(root, workers=1, wrappers={"aggregated0": wrapper}, **values)


def test_a_report_of_each_measurement(tmp_path: Path, start: Start, pyz: Path, nsys: Path) -> None:
    points = [steps_of(4, names, workers=1, num_steps=2) for names in (("c0001", "c0002"), ("c0001",))]
    run = start(write_allocation(tmp_path, nsys_plan(tmp_path, pyz, nsys), points))
    assert run.wait() == 0, run.log()
    found = [
        sorted(str(p.relative_to(point_dir(run, i))) for p in point_dir(run, i).rglob("*.nsys-rep")) for i in (0, 1)
    ]
    assert found == [
        ["profiles/aggregated0/c0001/aggregated0.1.nsys-rep", "profiles/aggregated0/c0002/aggregated0.2.nsys-rep"],
        ["profiles/aggregated0/c0001/aggregated0.3.nsys-rep"],
    ]
    assert told(tmp_path)[0][2]["activities"] == ["CUDA_PROFILER"]
    log = run.attempt.log("aggregated0").read_text()
    assert log.count("engine ends") == 1, "it was told to stop, once"
    assert run.state_of("aggregated0")["exit_code"] == 0


def test_no_report_fails_the_point(tmp_path: Path, start: Start, pyz: Path, nsys: Path) -> None:
    steps = [steps_of(4, workers=1, start_step=99, num_steps=2)]
    run = start(write_allocation(tmp_path, nsys_plan(tmp_path, pyz, nsys), steps))
    assert run.wait() == 1
    assert run.result()["state"] == "failed"
    assert run.result()["reason"] == "c0001: nsys has left no report of aggregated0 (its log says more)"
    assert run.status()["points"][0]["state"] == "failed"
    assert run.status()["outcome"] == "failed"


def test_by_the_clock(tmp_path: Path, start: Start, pyz: Path, nsys: Path) -> None:
    """The report belongs to the point that is measured then; the worker goes on when nsys has ended."""
    values = {"type": "nsys-time", "targets": (), "activities": (), "delay_s": 3600.0, "duration_s": 1.0}
    plan = nsys_plan(tmp_path, pyz, nsys, "--duration=0.1", **values)
    points = [point(*steps_of(1, workers=1).steps), point(Step("c0001", "custom", argv=(PYTHON, "-c", SLOW)))]
    run = start(write_allocation(tmp_path, plan, points))
    assert run.wait() == 0, run.log()
    assert not list(point_dir(run, 0).rglob("*.nsys-rep"))
    assert (point_dir(run, 1) / "profiles/aggregated0/aggregated0.nsys-rep").exists()
    assert told(tmp_path) == [], "nobody asks the engine"
    assert [path.name for path in (run.attempt.path / "profiles/aggregated0").iterdir()] == ["argv.json"]


def test_a_worker_that_is_killed_is_named_with_its_signal(tmp_path: Path, start: Start, pyz: Path, nsys: Path) -> None:
    steps = steps_of(10**9, workers=1, num_steps=2)  # it would never end
    run = start(write_allocation(tmp_path, nsys_plan(tmp_path, pyz, nsys), [steps]))
    run.event("measurement_started")
    pid = run.attempt.log("aggregated0").read_text().split("engine is ")[1].split()[0]
    os.kill(int(pid), signal.SIGKILL)
    assert run.wait() == 1
    cause = run.status()["root_cause"]
    assert (cause["process"], "SIGKILL" in cause["what"]) == ("aggregated0", True), cause


def recorded(pyz: Path, *words: str, order: str = ORDER, **more: Any) -> subprocess.CompletedProcess[str]:
    argv = [PYTHON, "-I", "-S", str(pyz), "--recorded", order, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, **more)


def test_the_programs_own_exit_code(tmp_path: Path, pyz: Path, nsys: Path) -> None:
    words = (str(nsys), "profile", "--duration=0.01", f"--output={tmp_path}/x", "--", "sh", "-c", "sleep 0.5; exit 7")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert recorded(pyz, *words, env={**os.environ, "TMPDIR": str(scratch)}).returncode == 7
    assert not list(scratch.iterdir())
    assert json.loads((tmp_path / "argv.json").read_text())[-3:] == ["sh", "-c", "sleep 0.5; exit 7"]


def test_a_rank_that_ends_with_its_leader_has_time_for_its_report(tmp_path: Path, pyz: Path) -> None:
    """Nobody has asked it to end: otherwise it would be told within 2 s, before what stands for nsys has written."""
    report = tmp_path / "report"
    slow = ("sh", "-c", f'"$@"; sleep 3; touch {report}', "nsys")
    done = recorded(pyz, *slow, "--", "sh", "-c", "exit 9", order='{"stop": "HUP", "patient": true}')
    assert (done.returncode, report.exists()) == (9, True)


def test_an_order_that_is_given_again_reaches_it_however_early_the_first_was(pyz: Path) -> None:
    argv = [PYTHON, "-I", "-S", str(pyz), "--recorded", ORDER, "sh", "-c", '"$@"', "nsys", "--", "sleep", "30"]
    with subprocess.Popen(argv) as process:
        try:
            for _ in range(600):
                process.send_signal(signal.SIGURG)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    assert process.wait(0.1) == -signal.SIGTERM
                    break
            assert process.poll() is not None
        finally:
            process.kill()


def test_what_cannot_be_started(tmp_path: Path, pyz: Path, nsys: Path) -> None:
    done = recorded(pyz, str(tmp_path / "none"), "profile", "--", "true")
    assert (done.returncode, done.stdout) == (
        127, f"error: {tmp_path}/none could not be started: No such file or directory\n",
    )  # fmt: skip
    done = recorded(pyz, str(nsys), "profile", f"--output={tmp_path}/x", "--", "/no/engine")
    assert (done.returncode, done.stdout) == (
        127, "error: /no/engine could not be started: No such file or directory\n",
    )  # fmt: skip
    done = recorded(pyz, "sh", "-c", "echo unrecognised option; exit 1", "--", "true")  # nsys refuses its options
    assert (done.returncode, done.stdout) == (1, "unrecognised option\n")
