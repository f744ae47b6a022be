"""The real nsys around a stand-in engine: srtctl's own command line, its stop, and the reports that it collects.

Run by `make test-nsys`; what the stand-in of tests/orchestrator does instead of nsys was seen here. There is no GPU, so
a capture range is one of NVTX instead of CUDA's profiler API: nsys treats both alike.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from srtctl.orchestrator import proctree
from srtctl.plan.model import Plan, Step
from srtctl.plan.profiling import nsys_argv
from srtctl.schema import JobConfig, ProfilingConfig
from tests.orchestrator.conftest import pyz, start  # noqa: F401 - fixtures
from tests.orchestrator.stack import PYTHON, Running, point, write_allocation
from tests.orchestrator.test_profiling import ENGINE, plan_of, point_dir, steps_of

pytestmark = [pytest.mark.nsys, pytest.mark.timeout(300)]

ROOT = Path(os.environ.get("NSYS_ENV", ".venv/tools/nsys-2023.4.4")).resolve()
PROGRAM = ROOT / "target-linux-x64/nsys"
NVTX = ROOT / "nvtx/nvidia/nvtx/lib/libnvToolsExt.so.1"

MARKS = f"""
import ctypes
_nvtx = ctypes.CDLL("{NVTX}")
def cuda(what):
    if what == "start": _nvtx.nvtxRangePushA(b"recorded")
    else: _nvtx.nvtxRangePop()
signal.signal(signal.SIGTERM, leave)
"""
SLOW = "import json, time; time.sleep({}); json.dump({{'answer': 42}}, open('result.json', 'w'))"


def plan(root: Path, pyz: Path, profiling: ProfilingConfig, **profiler: Any) -> Plan:  # noqa: F811
    job = JobConfig(profiling=profiling)
    job.frontend.type = "dynamo"
    recorder = [argument.replace("cudaProfilerApi", "nvtx") for argument in nsys_argv(job, str(PROGRAM), "aggregated0")]
    if profiling.type == "nsys":
        recorder.insert(-1, "--nvtx-capture=recorded")
    order = '{"stop": "TERM", "patient": false}'
    wrapper = (PYTHON, "-I", "-S", str(pyz), "--recorded", order, *recorder, "--")
    outputs = {"aggregated0": ("@attempt@/profiles/aggregated0",)}
    made = plan_of(root, workers=1, wrappers={"aggregated0": wrapper}, type=profiling.type, outputs=outputs, **profiler)
    marked = ENGINE.replace("signal.signal(signal.SIGTERM, leave)\n", MARKS)
    engine = made.process("aggregated0")
    argv = tuple(marked if argument == ENGINE else argument for argument in engine.argv)
    assert argv != engine.argv
    env = {**engine.env, "NSYS_NVTX_PROFILER_REGISTER_ONLY": "0"}
    engine = replace(engine, argv=argv, env=env, stop_wait_s=90.0)
    budgets = replace(made.budgets, stop_s=100.0)
    processes = tuple(engine if one.name == engine.name else one for one in made.processes)
    return replace(made, processes=processes, budgets=budgets)


def reports(run: Running, index: int = 0) -> list[str]:
    place = point_dir(run, index) / "profiles"
    found = sorted(place.rglob("*.nsys-rep"))
    assert all(path.stat().st_size > 10_000 for path in found)
    return [str(path.relative_to(place)) for path in found]


def nothing_is_left() -> None:
    """No agent either, although it has a session of its own."""
    commands = []
    for pid in proctree.table():
        with contextlib.suppress(OSError):
            commands.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    assert not [command for command in commands if command.startswith(bytes(ROOT))]


def test_by_steps(tmp_path: Path, start: Any, pyz: Path) -> None:  # noqa: F811
    made = plan(tmp_path, pyz, ProfilingConfig("nsys"), activities=("CUDA_PROFILER",))
    run = start(write_allocation(tmp_path, made, [steps_of(4, ("c0001", "c0002"), workers=1, num_steps=2)]))
    assert run.wait(200) == 0, run.log() + run.attempt.log("aggregated0").read_text()
    assert reports(run) == ["aggregated0/c0001/aggregated0.1.nsys-rep", "aggregated0/c0002/aggregated0.2.nsys-rep"]
    assert run.attempt.log("aggregated0").read_text().count("engine ends") == 1
    nothing_is_left()


@pytest.mark.parametrize(("measured_s", "window_s"), [(8, 1), (2, 60)], ids=["its-window-ends", "it-is-stopped"])
def test_by_the_clock(tmp_path: Path, start: Any, pyz: Path, measured_s: int, window_s: int) -> None:  # noqa: F811
    profiling = ProfilingConfig("nsys-time", delay_secs=1, duration_secs=window_s)
    made = plan(tmp_path, pyz, profiling, targets=(), activities=(), delay_s=1.0, duration_s=float(window_s))
    measured = point(Step("c0001", "custom", argv=(PYTHON, "-c", SLOW.format(measured_s))))
    run = start(write_allocation(tmp_path, made, [measured]))
    assert run.wait(200) == 0, run.log() + run.attempt.log("aggregated0").read_text()
    assert reports(run) == ["aggregated0/aggregated0.nsys-rep"]
    nothing_is_left()
