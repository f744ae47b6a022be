"""What containers need before anything runs in them: the image, once per node, and what is to be installed into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from srtctl.plan.model import Container, Process
from srtctl.plan.programs import Programs
from srtctl.plan.surroundings import Budgets
from srtctl.schema import JobConfig

INSIDE = "python3"  # the interpreter of an image, which brings its packages
ROLE = "setup"
WHEELS = "/srtctl-wheels"


def programs_inside(job: JobConfig, programs: Programs) -> Programs:
    """Engines come with the image: their interpreters are its own, unless the cluster names others."""
    if job.cluster.container_runtime == "none":
        return programs
    tools = job.cluster.tools
    inside = {name: getattr(tools, name) or INSIDE for name in ("dynamo_python", "sglang_python")}
    return replace(programs, paths={**programs.paths, **inside})


def container_of(job: JobConfig, model_path: str, model_inside: str) -> Container:
    """The container of all processes that run in one, with every mount that the config asks for."""
    cluster = job.cluster
    if cluster.container_runtime == "none":
        return Container()
    mounts = []
    if model_path.startswith("/"):
        mounts.append((model_path, model_inside))
    if job.dynamo.install and _wheel(job).startswith("/"):
        mounts.append((_wheel(job), _wheel_inside(job)))
    mounts += cluster.default_mounts.items()
    for text in job.extra_mount:
        host, _, inside = text.partition(":")
        mounts.append((host, inside))
    mounts += job.container_mounts.items()
    return Container(
        runtime=cluster.container_runtime,
        image=cluster.containers.get(job.model.container or "", job.model.container or ""),
        mounts=tuple(mounts),
        workdir=cluster.container_workdir or "",
        writable=cluster.container_writable,
        remap_root=cluster.container_remap_root,
        mount_home=cluster.container_mount_home,
        entrypoint=cluster.container_entrypoint,
        env=tuple(cluster.container_env),
    )


def with_preparation(job: JobConfig, processes: Sequence[Process], client_slot: int) -> list[Process]:
    """The processes, behind tasks that prepare the containers of each node where there are any."""
    if job.cluster.container_runtime == "none":
        return list(processes)
    slots = sorted({client_slot, *(process.slot for process in processes if process.container)})
    users = {process.slot for process in processes if process.container} if job.dynamo.install else set()
    tasks = [_task(f"image{slot}", slot, ("true",)) for slot in slots]
    tasks += [_task(f"dynamo{slot}", slot, _install(job), (f"image{slot}",)) for slot in sorted(users)]
    return [*tasks, *_behind(processes, users)]


def _behind(processes: Iterable[Process], installed: set[int]) -> list[Process]:
    made = []
    for process in processes:
        task = f"dynamo{process.slot}" if process.slot in installed else f"image{process.slot}"
        made.append(replace(process, needs=(*process.needs, task)) if process.container else process)
    return made


def _task(name: str, slot: int, argv: tuple[str, ...], needs: tuple[str, ...] = ()) -> Process:
    return Process(name, ROLE, slot, argv, kind="task", needs=needs, ready_timeout_s=Budgets().prepare_s)


def _install(job: JobConfig) -> tuple[str, ...]:
    wheel = _wheel(job)
    release = f"ai-dynamo=={job.dynamo.version}" if job.dynamo.version else "ai-dynamo"
    what = (_wheel_inside(job) if wheel.startswith("/") else wheel) or release
    # Images are made for one purpose; what a distribution says about its own packages doesn't count there.
    settings = ("PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore", "PIP_DISABLE_PIP_VERSION_CHECK=1")
    return ("env", *settings, job.cluster.tools.dynamo_python or INSIDE, "-m", "pip", "install", what)


def _wheel(job: JobConfig) -> str:
    return job.dynamo.wheel or ""


def _wheel_inside(job: JobConfig) -> str:
    return f"{WHEELS}/{_wheel(job).rpartition('/')[2]}"
