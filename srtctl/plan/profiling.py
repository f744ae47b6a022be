"""How a profiler is put around workers and where it is told to record: the wrapper is the deployment's, the steps the
workload's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from srtctl.plan.model import ROLES, Budgets, PortRequest, Process, Profiler, ProfilerTarget, Window, Worker
from srtctl.plan.ports import address, answers_on
from srtctl.plan.programs import Programs
from srtctl.plan.tokens import ORCHESTRATOR
from srtctl.schema import JobConfig

BY_STEPS = ("torch", "nsys")
REPORT_WAIT_S = 120.0  # nsys writes its report after its program has ended: gigabytes for a large engine
DIRECTORY = "@attempt@/profiles"

# What an engine is asked to record: kernels and the host with torch; with nsys only the marks of its capture range.
ACTIVITIES = {"torch": ("CPU", "GPU"), "nsys": ("CUDA_PROFILER",)}

# Dynamo's workers listen on their system port, plain servers on their own. Releases of Dynamo from 0.8 to 1.1 have the
# shorter path, 1.4 and later ones the longer.
_PREFIXES = {"system": ("/engine/control", "/engine"), "http": ("",)}


def nsys_argv(job: JobConfig, program: str, process: str) -> tuple[str, ...]:
    """What stands before the command of a process that nsys records.

    By steps there are several reports, one for each range; by the clock there is one. nsys does not end the worker, but
    waits for it: `orchestrator/recorded.py` says what it does not do, and stands around it for that reason.
    """
    profiling = job.profiling
    argv = [program, "profile", "--trace=cuda,nvtx", "--cuda-graph-trace=node", "--force-overwrite=true"]
    argv += ["--kill=none", "--wait=primary"]
    # Dynamo's workers start their engine by fork and exec.
    argv += ["--trace-fork-before-exec=true"] if job.frontend.type == "dynamo" else []
    if profiling.type == "nsys":
        argv += ["--capture-range=cudaProfilerApi", "--capture-range-end=repeat"]
    else:
        argv += [f"--delay={profiling.delay_secs:g}"] if profiling.delay_secs else []
        argv += [f"--duration={profiling.duration_secs or 0:g}"]
    return (*argv, *profiling.extra_nsys_args, f"--output={DIRECTORY}/{process}/{process}")


def with_profiler(job: JobConfig, process: Process, programs: Programs) -> Process:
    """A worker's process with the profiler around it."""
    if job.profiling.type == "none" or not process.worker:
        return process
    if job.profiling.type == "torch":
        # Where a recording goes that somebody starts by hand; ours name their own directory.
        own = {"SGLANG_TORCH_PROFILER_DIR": f"{DIRECTORY}/{process.name}"}
        return replace(process, env={**own, **process.env})
    inside = job.cluster.container_runtime != "none"
    program = job.cluster.tools.nsys or ("nsys" if inside else programs.path("nsys"))
    # Ranks that don't lead end as their leader does, before they are told to.
    order = json.dumps({"stop": process.stop_signal, "patient": bool(process.stop_after)})
    around = (process.argv[0], "-I", "-S", ORCHESTRATOR, "--recorded", order)
    return replace(
        process,
        argv=(*around, *nsys_argv(job, program, process.name), "--", *process.argv),
        programs=(program,),
        stop_signal="URG",  # nsys would not survive SIGTERM
        stop_wait_s=process.stop_wait_s + REPORT_WAIT_S,
    )


def profiler(
    job: JobConfig, workers: Iterable[Worker], processes: Iterable[Process], ports: Iterable[PortRequest]
) -> Profiler:
    """What records the workers of a deployment."""
    kind = job.profiling.type
    if kind == "none":
        return Profiler()
    named = {request.name for request in ports}
    targets = tuple(_target(worker, named) for worker in workers) if kind in BY_STEPS else ()
    outputs: dict[str, tuple[str, ...]] = {}
    for process in processes if kind != "torch" else ():
        if process.worker:
            outputs[process.worker] = (*outputs.get(process.worker, ()), f"{DIRECTORY}/{process.name}")
    return Profiler(
        type=kind,
        targets=targets,
        outputs=outputs,
        activities=ACTIVITIES.get(kind, ()),
        delay_s=float(job.profiling.delay_secs or 0),
        duration_s=float(job.profiling.duration_secs or 0),
    )


def _target(worker: Worker, ports: set[str]) -> ProfilerTarget:
    port = answers_on(worker.name, ports)
    purpose = port.rpartition("/")[2]
    start, stop = ([f"{prefix}/{verb}_profile" for prefix in _PREFIXES[purpose]] for verb in ("start", "stop"))
    where = address(worker.ranks[0].slot, port)
    return ProfilerTarget(worker.name, worker.role, worker.name, where, tuple(start), tuple(stop))


def windows(job: JobConfig) -> Mapping[str, Window]:
    """Role -> steps to record: a point's part."""
    if job.profiling.type not in BY_STEPS:
        return {}
    found = {}
    for role in ROLES:
        phase = getattr(job.profiling, role)
        if phase is not None:
            start = phase.start_step or 0
            found[role] = Window(start, None if phase.stop_step is None else phase.stop_step - start)
    return found


def with_time_for_reports(job: JobConfig, budgets: Budgets, workers: Iterable[Worker]) -> Budgets:
    """Deadlines that leave nsys the time to write: for the ranks of a worker after its leader."""
    if not job.profiling.type.startswith("nsys"):
        return budgets
    wait_s = REPORT_WAIT_S * (2 if any(len(worker.ranks) > 1 for worker in workers) else 1)
    return replace(budgets, stop_s=budgets.stop_s + wait_s, early_warning_s=budgets.early_warning_s + wait_s)
