"""Profilers on several nodes: what every process has written is put together in the point's directory.

Engine and nsys are stand-ins, the same as in tests/orchestrator; Slurm signals whole steps, so that what nsys does not
survive would show here.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from srtctl.plan.model import Container, Plan, PointSteps, Probe, Process, Profiler, ProfilerTarget, Step, Window
from tests.orchestrator.nsys import fake_nsys
from tests.orchestrator.small import python
from tests.orchestrator.stack import PYTHON, point, port
from tests.orchestrator.test_profiling import CLIENT, ENGINE
from tests.slurm.testcluster import Cluster

from .conftest import Submit
from .job import Job
from .plans import nodes_plan

# Process -> (its worker, its node): a worker over two nodes, and one beside it.
PROCESSES = {"prefill0": ("prefill0", 0), "prefill0-rank1": ("prefill0", 1), "decode0": ("decode0", 1)}
LEADERS = {name: slot for name, (worker, slot) in PROCESSES.items() if name == worker}
PREFIX = "/engine/control"


def address(name: str) -> str:
    return f"@host:slot{LEADERS[name]}@:@port:{name}/http@"


def engine(root: Path, name: str, nsys: str) -> Process:
    """A rank; only leaders are asked anything, and their ranges are those of all their ranks."""
    worker, slot = PROCESSES[name]
    listen = (f"@host:slot{slot}@", f"@port:{name}/http@", PREFIX, str(root / f"{name}.calls"))
    made = replace(python(name, ENGINE, *listen, role=worker[:-1], worker=worker), slot=slot, env={"LEADER": worker})
    made = replace(made, stop_after=() if name == worker else (worker,))
    if name == worker:
        made = replace(made, probe=Probe("http", address(name), "/health"))
    if not nsys:
        return made
    recorder = (nsys, "profile", "--kill=none", f"--output=@attempt@/profiles/{name}/{name}", "--")
    order = json.dumps({"stop": "TERM", "patient": name != worker})
    around = (PYTHON, "-I", "-S", "@allocation@/orchestrator.pyz", "--recorded", order, *recorder)
    return replace(made, argv=(*around, *made.argv), stop_signal="URG", programs=(nsys,))


def plan_of(root: Path, nsys: str = "", **changes: Any) -> Plan:
    targets = tuple(
        ProfilerTarget(name, name[:-1], name, address(name), (f"{PREFIX}/start_profile",), (f"{PREFIX}/stop_profile",))
        for name in LEADERS
    )
    outputs: dict[str, tuple[str, ...]] = {}
    for name, (worker, _) in PROCESSES.items() if nsys else ():
        outputs[worker] = (*outputs.get(worker, ()), f"@attempt@/profiles/{name}")
    profiler = Profiler("torch", targets, activities=("CPU", "GPU"))
    if nsys:
        profiler = Profiler("nsys", targets, outputs, activities=("CUDA_PROFILER",))
    processes = [engine(root, name, nsys) for name in PROCESSES]
    ports = (port("frontend0/http"), *(replace(port(f"{n}/http"), slot=slot) for n, (_, slot) in PROCESSES.items()))
    plan = nodes_plan(*processes, ports=ports, profiler=profiler, **changes)
    return replace(plan, processes=(replace(plan.processes[0], container=False), *plan.processes[1:]))


def steps_of(*names: str) -> PointSteps:
    client = (PYTHON, "-c", CLIENT, "4", *(address(name) for name in LEADERS))
    windows = {name[:-1]: Window(0, 2) for name in LEADERS}
    return point(*(Step(name, "custom", argv=client) for name in names), windows=windows)


def collected(job: Job, index: int = 0) -> list[str]:
    """Files of a point, relative to its directory of profiles."""
    place = job.allocation.path.parent.parent / "points" / f"{index:04d}" / "attempt-0/profiles"
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


@pytest.mark.parametrize("contained", [False, True], ids=["bare", "in-containers"])
def test_nsys(request: pytest.FixtureRequest, submit: Submit, images: Path, tmp_path: Path, contained: bool) -> None:
    cluster: Cluster = request.getfixturevalue("container_slurm" if contained else "slurm")
    nsys = str(fake_nsys(tmp_path))
    changes = {}
    if contained:
        changes["container"] = Container("pyxis", str(images / "engine.sqsh"), ((str(tmp_path), "/opt/nsight"),))
        nsys = "/opt/nsight/nsys"
    job = submit(cluster, plan_of(tmp_path, nsys, **changes), [steps_of("c0001", "c0002"), steps_of("c0001")])
    status = job.ended()
    assert status["outcome"] == "ok", job.log() + job.attempt.log("prefill0-rank1").read_text()
    of_range = {(0, "c0001"): 1, (0, "c0002"): 2, (1, "c0001"): 3}
    for index in (0, 1):
        assert collected(job, index) == sorted(
            f"{worker}/{measurement}/{name}.{number}.nsys-rep"
            for name, (worker, _) in PROCESSES.items()
            for (point_, measurement), number in of_range.items() if point_ == index
        )  # fmt: skip
    assert {job.process(name)["exit_code"] for name in PROCESSES} == {0}
    cluster.wait_clean()


def test_torch_in_containers(container_slurm: Cluster, submit: Submit, images: Path, tmp_path: Path) -> None:
    container = Container("pyxis", str(images / "engine.sqsh"), ((str(tmp_path), str(tmp_path)),))
    job = submit(container_slurm, plan_of(tmp_path, container=container), [steps_of("c0001")])
    status = job.ended()
    assert status["outcome"] == "ok", job.log() + job.attempt.log("decode0").read_text()
    assert collected(job) == ["decode0/c0001/2-TP-0.trace.json", "prefill0/c0001/2-TP-0.trace.json"]
    place = job.allocation.path.parent.parent / "points/0000/attempt-0/profiles/decode0/c0001"
    assert json.loads((place / "2-TP-0.trace.json").read_text())["output_dir"] == str(place)
    container_slurm.wait_clean()
