"""What containers need before anything runs in them: the image, once per node, and what is to be installed into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from srtctl.plan.model import ROLES, Container, Process
from srtctl.plan.ports import scratch_token
from srtctl.plan.programs import Programs
from srtctl.plan.surroundings import Budgets
from srtctl.plan.tokens import ORCHESTRATOR
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


def container_of(job: JobConfig, of_model: Iterable[tuple[str, str]]) -> Container:
    """The container of all processes that run in one, with every mount that the config asks for, and the model's."""
    cluster = job.cluster
    if cluster.container_runtime == "none":
        return Container()
    mounts = list(of_model)
    wheel = job.dynamo.wheel or ""
    if job.dynamo.install and wheel.startswith("/"):
        mounts.append((wheel, _wheel_inside(wheel)))
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


def nginx_image(job: JobConfig) -> str:
    """The image that nginx runs in; empty for nginx of the bare node."""
    named = job.frontend.nginx_container if job.cluster.container_runtime != "none" else None
    return job.cluster.containers.get(named, named) if named else ""


def with_preparation(
    job: JobConfig, processes: Sequence[Process], client_slot: int, programs: Programs
) -> list[Process]:
    """The processes, behind tasks that prepare their nodes where something is to be prepared.

    Each image is imported once per node, and what is to be installed is installed once per node. All nodes do so side
    by side; what runs on the bare node does not wait for it.
    """
    made = list(processes)
    tasks: list[Process] = []
    if job.dynamo.install:
        tasks += _installations(job, made, programs)
        made = [_behind(process, f"dynamo{process.slot}") if _serves(process) else process for process in made]
        if job.cluster.container_runtime == "none":
            made = [_in_new_environment(process, _base(job, programs)) for process in made]
    if job.cluster.container_runtime != "none":
        imports = _imports([*tasks, *made], client_slot)
        names = {(task.slot, task.image): task.name for task in imports}
        tasks, made = (
            [_behind(p, names[p.slot, p.image]) if p.container else p for p in group] for group in (tasks, made)
        )
        tasks = [*imports, *tasks]
    return [*tasks, *made]


def _imports(processes: Iterable[Process], client_slot: int) -> list[Process]:
    """One task for each image on each node: a step that does nothing, in a container that stays for all others."""
    wanted = {(client_slot, ""), *((p.slot, p.image) for p in processes if p.container)}
    return [
        _task(f"image{slot}" + ("-nginx" if image else ""), slot, ("true",), image) for slot, image in sorted(wanted)
    ]


def _installations(job: JobConfig, processes: Iterable[Process], programs: Programs) -> list[Process]:
    slots = sorted({process.slot for process in processes if _serves(process)})
    return [_installation(job, slot, programs) for slot in slots]


def _serves(process: Process) -> bool:
    """Whether it runs what is in the image: a worker or a frontend."""
    return process.role in (*ROLES, "frontend")


def _behind(process: Process, task: str) -> Process:
    return replace(process, needs=(*process.needs, task))


def _in_new_environment(process: Process, python: str) -> Process:
    """Without containers Dynamo is installed on the node's own disk, over the environment that was there."""
    if not _serves(process):
        return process
    return replace(process, argv=(_environment(process.slot) + "/bin/python", *process.argv[1:]))


def _environment(slot: int) -> str:
    return f"{scratch_token(slot)}/dynamo"


def _base(job: JobConfig, programs: Programs) -> str:
    """The interpreter without containers, whose packages stay visible: an engine comes from there."""
    engine = programs.paths.get("sglang_python") if job.backend.type == "sglang" else job.cluster.tools.dynamo_python
    return engine or job.cluster.python or INSIDE


def _task(name: str, slot: int, argv: tuple[str, ...], image: str = "") -> Process:
    return Process(name, ROLE, slot, argv, kind="task", image=image, ready_timeout_s=Budgets().prepare_s)


def _installation(job: JobConfig, slot: int, programs: Programs) -> Process:
    wheel = job.dynamo.wheel or ""
    release = f"ai-dynamo=={job.dynamo.version}" if job.dynamo.version else "ai-dynamo"
    if job.cluster.container_runtime == "none":
        argv = (_base(job, programs), "-I", ORCHESTRATOR, "--install", _environment(slot), wheel or release)
        return _task(f"dynamo{slot}", slot, argv)
    what = (_wheel_inside(wheel) if wheel.startswith("/") else wheel) or release
    # Images are made for one purpose; what a distribution says about its own packages doesn't count there.
    settings = ("PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore", "PIP_DISABLE_PIP_VERSION_CHECK=1")
    pip = ("env", *settings, programs.path("dynamo_python"), "-m", "pip", "install")
    if not wheel:
        return _task(f"dynamo{slot}", slot, (*pip, what))
    # First what it needs; then the wheel itself, even where the image has the same release.
    task = _task(f"dynamo{slot}", slot, (*pip, "--force-reinstall", "--no-deps", what))
    return replace(task, setup=(*pip, what))


def _wheel_inside(wheel: str) -> str:
    return f"{WHEELS}/{wheel.rpartition('/')[2]}"
