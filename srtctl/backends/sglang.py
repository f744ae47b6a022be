"""SGLang workers, behind Dynamo's runtime or plain behind SGLang's router."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srtctl.backends.base import RankCommand, process_name
from srtctl.backends.dynamo_sglang import DYNAMO_OWNED, FLUSH_PATH, ROUTES, launcher_problems, stop_signal
from srtctl.backends.flags import flag_problems, owned_by_role, to_argv
from srtctl.backends.kv_events import kv_events, kv_events_problems
from srtctl.backends.sglang_command import data_parallel, disaggregation, rendezvous
from srtctl.backends.sglang_flags import choose, container_release, for_parser, layered, role_flags
from srtctl.errors import Problem
from srtctl.plan.demand import is_disaggregated
from srtctl.plan.environment import dynamo_worker, environment_problems
from srtctl.plan.model import Probe, RenderedFile, Worker
from srtctl.plan.ports import (
    KV_EVENTS,
    NCCL,
    SYSTEM,
    SYSTEM_MAX,
    WORKER_HTTP,
    WORKER_HTTP_STRIDE,
    PortBook,
    address,
    host_token,
    interface_token,
)
from srtctl.plan.programs import Programs
from srtctl.schema import BackendConfig, JobConfig, RoleFlags, key
from srtctl.yamltext import dump_sections


@dataclass
class SglangParams(BackendConfig):
    type: str = key("sglang", "Which engine runs in the workers; one of the registered backends.")
    sglang_config: RoleFlags = key(RoleFlags, "Flags of SGLang servers, by role.")
    kv_events_config: Any = key(
        None, "Publish KV cache events: true, or role -> true or {publisher, topic}; what cache-aware routing reads."
    )


OWNED = ("model-path", "host", "port", "nccl-port", "nnodes", "node-rank", "dist-init-addr", "base-gpu-id",
         "disaggregation-bootstrap-port", "config", *DYNAMO_OWNED)  # fmt: skip
MODULES = {"dynamo": "dynamo.sglang", "sglang-router": "sglang.launch_server"}
CONFIG_FILE = "sglang_config.yaml"


class SglangBackend:
    type = "sglang"
    params = SglangParams
    engines_use_gpus = True
    frontends = ("dynamo", "sglang-router")

    def check(self, job: JobConfig) -> list[Problem]:
        params = _params(job)
        owned = owned_by_role(OWNED + (("kv-events-config",) if params.kv_events_config else ()))
        spell = choose(job).release.canonical
        problems = [p for key, flags in role_flags(job) for p in flag_problems(key, flags, owned, spell)]
        for role in ("prefill", "decode") if is_disaggregated(job) else ("aggregated",):
            problems += launcher_problems(job, layered(job, role))
        return problems + kv_events_problems(params.kv_events_config) + environment_problems(job)

    def flags(self, job: JobConfig, role: str) -> Mapping[str, Any]:
        return layered(job, role).values

    def instances(self, job: JobConfig) -> int:
        return 1  # data-parallel ranks of one server register together

    def rank(
        self, job: JobConfig, worker: Worker, rank: int, programs: Programs, ports: PortBook, number: int
    ) -> RankCommand | None:
        slot, name = worker.ranks[rank].slot, process_name(worker, rank)
        flags = layered(job, worker.role)
        mine = _users_flags(job, worker.role, flags.values)
        replicas, attention_ranks = data_parallel(flags.values)
        http = ports.request(f"{name}/http", slot, WORKER_HTTP, stride=WORKER_HTTP_STRIDE)
        argv = [programs.path("sglang_python"), "-m", MODULES[job.frontend.type]]
        argv += ["--model-path", job.model.path, "--served-model-name", str(job.model.served_name)]
        argv += ["--host", host_token(slot), "--port", http]
        if replicas == 1:  # replicas would all try to have the one that is said; left alone, each finds its own
            argv += ["--nccl-port", ports.request(f"{name}/nccl", slot, NCCL + number)]
        argv += disaggregation(worker, rank, ports)
        argv += rendezvous(worker, rank, ports, attention_ranks)
        events = kv_events(_params(job).kv_events_config, worker.role)
        if events:
            ranges = 2 if mine.get("load-publish-endpoint") == "auto" else 1  # it follows the range of the events
            count = replicas * attention_ranks * ranges
            token = ports.request(f"{name}/kv-events", slot, KV_EVENTS + number, count=count)
            argv += ["--kv-events-config", json.dumps({**events, "endpoint": f"tcp://*:{token}"})]
        env = {"SGLANG_HOST_IP": host_token(slot), "GLOO_SOCKET_IFNAME": interface_token(slot)}
        probe, flush = Probe("http", address(slot, f"{name}/http"), "/health"), ""
        if job.frontend.type == "dynamo":
            system = ports.request(f"{name}/system", slot, SYSTEM + number, max_port=SYSTEM_MAX)
            env |= {**dynamo_worker(slot, system), **ROUTES, "DYN_SKIP_SGLANG_LOG_FORMATTING": "1"}
            probe = Probe("http", address(slot, f"{name}/system"), "/health")
            flush = probe.address + FLUSH_PATH
        return RankCommand(
            argv=(*argv, *to_argv(mine)),
            env=env,
            probe=probe if rank == 0 else None,  # a leader is ready only when all its ranks have joined
            flag_sources=flags.described(mine),
            stop_signal=stop_signal(job.frontend.type, rank),
            flush=flush if rank == 0 else "",
        )

    def provenance(self, job: JobConfig) -> dict[str, str | None]:
        chosen = choose(job)
        return {
            "engine_version": job.backend.version or container_release(job),
            "flag_table": chosen.release.version,
            "flag_table_because": chosen.how,
        }

    def files(self, job: JobConfig, workers: Sequence[Worker]) -> tuple[RenderedFile, ...]:
        sections: dict[str, Any] = {}
        for worker in workers:
            if worker.role not in sections:
                flags = _users_flags(job, worker.role, self.flags(job, worker.role))
                sections[worker.role] = _config_section(job, worker, flags)
        return (RenderedFile(CONFIG_FILE, CONFIG_HEAD + dump_sections(sections)),)


def _users_flags(job: JobConfig, role: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that are neither placement's nor said in a key of their own."""
    owned = {*OWNED, "served-model-name", "disaggregation-mode"}
    if kv_events(_params(job).kv_events_config, role):
        owned.add("kv-events-config")
    users = {flag: value for flag, value in flags.items() if flag not in owned}
    return for_parser(users, choose(job).release)


CONFIG_HEAD = """\
# The flags of each role's SGLang servers, as on their command lines. Beside these each process has --host, --port,
# --nccl-port, --dist-init-addr, --node-rank, --disaggregation-bootstrap-port and --kv-events-config of its own.
# A record, which nothing reads. One section by itself is a file for `--config`, where its release reads every kind of
# flag from such a file: not the `--no-` ones, nor those that it calls deprecated.
"""


def _config_section(job: JobConfig, worker: Worker, flags: Mapping[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = {"model-path": job.model.path, "served-model-name": str(job.model.served_name)}
    if worker.role != "aggregated":
        section["disaggregation-mode"] = worker.role
    if len(worker.ranks) > 1:
        section["nnodes"] = len(worker.ranks)
    said = {name: value for name, value in sorted(flags.items()) if value is not None and value is not False}
    # JSON is a text there: releases up to 0.5.13 make Python's own notation of a mapping, and don't understand it then
    texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in said.items()}
    return section | {name: value for name, value in texts.items() if value != []}


def _params(job: JobConfig) -> SglangParams:
    assert isinstance(job.backend, SglangParams)
    return job.backend
