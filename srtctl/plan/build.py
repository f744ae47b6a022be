"""The plan of a deployment, and the steps of a point that runs on it. Pure: the same job gives the same plan."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from srtctl.backends import BACKENDS
from srtctl.backends.base import Backend, RankCommand, process_name
from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.base import ClientContext
from srtctl.frontends import FRONTENDS, Frontend
from srtctl.frontends.base import FrontendPlace
from srtctl.frontends.nginx import PORT as NGINX_PORT
from srtctl.frontends.nginx import nginx_file, nginx_process
from srtctl.plan import environment, services
from srtctl.plan.duration import parse_time_limit
from srtctl.plan.model import (
    ROLES,
    Budgets,
    Census,
    Plan,
    PointSteps,
    Process,
    RenderedFile,
    Worker,
)
from srtctl.plan.ports import FRONTEND, PUBLIC, PortBook, address, answers_on, host_token, port_token
from srtctl.plan.preparation import container_of, nginx_image, programs_inside, with_preparation
from srtctl.plan.profiling import profiler, windows, with_profiler, with_time_for_reports
from srtctl.plan.programs import Programs
from srtctl.plan.provenance import gpu_counts, provenance
from srtctl.plan.surroundings import ENGINE_STOP_S
from srtctl.plan.topology import Topology, place
from srtctl.plan.versions import with_version_checks
from srtctl.plan.weights import PREPARE_S, TOKENIZER, Weights, tokenizer_paths, weights, with_tokenizer
from srtctl.schema import JobConfig

SETUP_SCRIPT = "setup_script.sh"


@dataclass
class _Draft:
    """What a plan is made from; the lists grow in the order in which processes are started."""

    job: JobConfig
    topology: Topology
    programs: Programs
    model: Weights
    backend: Backend
    frontend: Frontend
    setup: tuple[str, ...]
    ports: PortBook
    processes: list[Process] = field(default_factory=list)
    files: list[RenderedFile] = field(default_factory=list)
    flag_sources: dict[str, Mapping[str, str]] = field(default_factory=dict)
    flush_workers: list[str] = field(default_factory=list)

    @property
    def ready_s(self) -> float:
        return self.job.health_check.max_attempts * self.job.health_check.interval_seconds

    @property
    def needs(self) -> tuple[str, ...]:
        return services.NAMES if self.frontend.discovery else ()


def build_plan(
    job: JobConfig,
    programs: Programs,
    deployment_id: str,
    *,
    model_path: str,
    tokenizer_path: str,
    setup_script_text: str | None = None,
) -> Plan:
    """The servers of a job.

    Args:
        job: A job without errors.
        programs: Where programs are.
        model_path: `model.path` with aliases resolved: a path, or the name of a model on the hub.
        tokenizer_path: Likewise, for clients.
        setup_script_text: What runs before every worker.

    Raises:
        SrtctlError: The job can't be placed.
    """
    job = replace(job, model=replace(job.model, path=model_path, served_name=served_name(job, model_path)))
    draft = _draft(job, programs_inside(job, programs), model_path, tokenizer_path, setup_script_text)
    topology, frontends = draft.topology, _add_frontends(draft)
    return Plan(
        name=job.name,
        deployment_id=deployment_id,
        backend=job.backend.type,
        frontend=job.frontend.type,
        model=str(job.model.served_name),
        slots=topology.slots,
        workers=topology.workers,
        processes=_prepared(draft),
        ports=tuple(draft.ports.requests),
        census=Census(draft.frontend.type, frontends, _expected(draft), str(job.model.served_name)),
        endpoint=address(topology.head, _public_port(topology)),
        public_port=_public_port(topology),
        files=tuple(draft.files),
        container=container_of(job, draft.model.mounts),
        directories=draft.model.directories,
        budgets=_budgets(draft),
        flush_paths=draft.frontend.flush_paths,
        flush_workers=tuple(draft.flush_workers),
        pass_environment=tuple(job.pass_environment),
        denominators=gpu_counts(topology.workers),
        flag_sources=draft.flag_sources,
        provenance=provenance(job, draft.programs, model_path, tokenizer_path),
        executor=job.cluster.executor,
        network_interface=job.cluster.network_interface,
        srun_options={**job.cluster.srun_options, **job.srun_options},
        profiler=profiler(job, topology.workers, draft.processes, draft.ports.requests),
    )


def _draft(
    job: JobConfig, programs: Programs, model_path: str, tokenizer_path: str, setup_script_text: str | None
) -> _Draft:
    """The services and the workers, on which the frontends are put."""
    topology = place(job)
    model = weights(job, topology.workers, topology.client, programs, model_path, tokenizer_path)
    setup = ("bash", SETUP_SCRIPT) if setup_script_text is not None else ()
    backend, frontend = BACKENDS[job.backend.type], FRONTENDS[job.frontend.type]
    ports = PortBook(one_host=job.cluster.nodes_share_host)
    leader = topology.workers[0].ranks[0].slot  # the others' nodes call it the same, but for a model of the hub
    job = replace(job, model=replace(job.model, path=model.paths[leader]))
    draft = _Draft(job, topology, programs, model, backend, frontend, setup, ports)
    if setup_script_text is not None:
        draft.files.append(RenderedFile(SETUP_SCRIPT, setup_script_text, 0o755))
    _add_services(draft)
    _add_workers(draft)
    return draft


def _prepared(draft: _Draft) -> tuple[Process, ...]:
    """All processes with what belongs around them."""
    job, programs = draft.job, draft.programs
    processes = with_preparation(job, draft.processes, draft.topology.client, programs)
    return tuple(with_profiler(job, with_version_checks(job, one, programs), programs) for one in processes)


def build_steps(job: JobConfig, plan: Plan, programs: Programs, config_id: str, *, tokenizer_path: str) -> PointSteps:
    """The measurements of one point on the servers of `plan`."""
    client = next(slot.index for slot in plan.slots if "client" in slot.serves)
    named = {request.name for request in plan.ports}
    endpoints: dict[str, list[str]] = {role: [] for role in ROLES}
    for worker in plan.workers:
        endpoints[worker.role].append(address(worker.ranks[0].slot, answers_on(worker.name, named)))
    context = ClientContext(
        endpoint=plan.endpoint,
        model=plan.model,
        tokenizer=TOKENIZER,
        slot=client,
        worker_endpoints={role: found for role, found in endpoints.items() if found},
        frontend_endpoints=plan.census.frontends,
        programs=programs_inside(job, programs),
        config_id=config_id,
        python=job.cluster.python or sys.executable,
    )
    point = BENCHMARKS[job.benchmark.type].steps(job.benchmark, context)
    paths = tokenizer_paths(job, plan.provenance["model_path"], tokenizer_path, client)
    return replace(point, steps=tuple(with_tokenizer(job, step, *paths) for step in point.steps), windows=windows(job))


def served_name(job: JobConfig, model_path: str) -> str:
    """The name that clients ask for: as said, else the engine flags' own, the model's name, its directory's."""
    if job.model.served_name:
        return job.model.served_name
    for role in ("prefill", "aggregated", "decode"):
        value = BACKENDS[job.backend.type].flags(job, role).get("served-model-name")
        if value:
            return str(value)
    path = model_path if job.model.path in job.cluster.model_paths else job.model.path
    return job.model.name or path.rstrip("/").rpartition("/")[2].rpartition(":")[2]


def _budgets(draft: _Draft) -> Budgets:
    budgets = Budgets(ready_s=draft.ready_s, time_limit_s=_time_limit(draft.job))
    if draft.backend.engines_use_gpus:
        budgets = replace(budgets, stop_s=budgets.stop_s + ENGINE_STOP_S)
    if draft.model.tasks:
        budgets = replace(budgets, prepare_s=PREPARE_S)
    return with_time_for_reports(draft.job, budgets, draft.topology.workers)


def _add_services(draft: _Draft) -> None:
    if draft.frontend.discovery:
        draft.processes += services.services(draft.job, draft.topology.infra, draft.programs, draft.ports)
        draft.files.append(services.nats_file(draft.job))
    if draft.topology.nginx is not None:  # the first to ask for the public number
        draft.ports.request(NGINX_PORT, draft.topology.nginx, PUBLIC)


def _add_workers(draft: _Draft) -> None:
    number = 0
    draft.files += draft.backend.files(draft.job, draft.topology.workers)
    draft.processes += draft.model.tasks.values()
    for worker in draft.topology.workers:
        for rank, place_ in enumerate(worker.ranks):
            job = replace(draft.job, model=replace(draft.job.model, path=draft.model.paths[place_.slot]))
            command = draft.backend.rank(job, worker, rank, draft.programs, draft.ports, number)
            number += 1
            if command is not None:
                draft.processes.append(_worker_process(draft, worker, rank, command))
                draft.flag_sources.setdefault(worker.role, dict(command.flag_sources))
                draft.flush_workers += [command.flush] if command.flush else []


def _worker_process(draft: _Draft, worker: Worker, rank: int, command: RankCommand) -> Process:
    job, place_ = draft.job, worker.ranks[rank]
    ours = environment.base()
    if draft.frontend.discovery:
        ours |= environment.dynamo(job, place_.slot, draft.topology.infra)
    gpus_there = job.cluster.gpus_per_node or draft.topology.slots[place_.slot].gpus
    ours |= {**command.env, **environment.visible_gpus(place_.gpus, gpus_there)}
    of_role = environment.of_role(job, worker.role, place_.slot)
    return Process(
        name=process_name(worker, rank),
        role=worker.role,
        slot=place_.slot,
        gpus=place_.gpus,
        argv=command.argv,
        env=environment.merge(ours, job.cluster.environment, of_role, environment.filled(job.environment, place_.slot)),
        needs=(*draft.needs, *draft.model.needs(place_.slot)),
        probe=command.probe,
        ready_timeout_s=draft.ready_s,
        worker=worker.name,
        setup=draft.setup,
        stop_signal=command.stop_signal,
        stop_after=(process_name(worker, 0),) if rank else (),
        stop_wait_s=ENGINE_STOP_S if draft.backend.engines_use_gpus else Process.stop_wait_s,
    )


def _add_frontends(draft: _Draft) -> tuple[str, ...]:
    """Frontends, and nginx before them; returns their `host:port`."""
    job, topology = draft.job, draft.topology
    addresses = []
    for index, slot in enumerate(topology.frontends):
        name = f"frontend{index}"
        public = topology.nginx is None
        draft.ports.request(f"{name}/http", slot, PUBLIC if public else FRONTEND)
        listen = _listen(job, slot) if public else host_token(slot)
        where = FrontendPlace(name, slot, listen)
        command = draft.frontend.command(job, where, topology.workers, draft.programs, draft.ports)
        ours = environment.base() | dict(command.env)
        if draft.frontend.discovery:
            ours |= environment.dynamo(job, slot, topology.infra)
        theirs = environment.filled({**job.environment, **job.frontend.env}, slot)
        env = environment.merge(ours, job.cluster.environment, theirs)
        draft.processes.append(
            Process(name, "frontend", slot, command.argv, env=env, needs=draft.needs, probe=command.probe,
                    ready_timeout_s=draft.ready_s, stop_signal=command.stop_signal)
        )  # fmt: skip
        addresses.append(address(slot, f"{name}/http"))
    if topology.nginx is not None:
        listen = f"{_listen(job, topology.nginx)}:{port_token(NGINX_PORT)}"
        draft.files.append(nginx_file(job, listen, topology.nginx, addresses))
        draft.processes.append(
            nginx_process(topology.nginx, draft.programs, services.READY_TIMEOUT_S, nginx_image(job))
        )
    return tuple(addresses)


def _listen(job: JobConfig, slot: int) -> str:
    """Where the public entrance listens: on a cluster also on the node's loopback, for tunnels and commands there."""
    return host_token(slot) if job.cluster.nodes_share_host else "0.0.0.0"  # noqa: S104 - meant to be reached


def _public_port(topology: Topology) -> str:
    return NGINX_PORT if topology.nginx is not None else "frontend0/http"


def _expected(draft: _Draft) -> dict[str, int]:
    """Entries of each role in a frontend's list of workers, when all are there."""
    counts = {role: sum(worker.role == role for worker in draft.topology.workers) for role in ROLES}
    each = draft.backend.instances(draft.job)
    return {
        role: count * each * draft.frontend.entries(draft.job, draft.backend.flags(draft.job, role))
        for role, count in counts.items()
        if count
    }


def _time_limit(job: JobConfig) -> float | None:
    """Of one point; the allocation's is made of it (see `render.allocation_time_s`)."""
    limit = job.slurm.time_limit or job.cluster.time_limit
    return None if limit is None else float(parse_time_limit(limit))
