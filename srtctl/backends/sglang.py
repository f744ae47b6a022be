"""SGLang workers, behind Dynamo's runtime or plain behind SGLang's router."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from srtctl.backends.base import RankCommand, process_name
from srtctl.backends.flags import Layered, flag_problems, layer, owned_by_role, to_argv
from srtctl.errors import Problem
from srtctl.plan.environment import dynamo_worker, environment_problems
from srtctl.plan.model import ROLES, Probe, Worker
from srtctl.plan.ports import (
    BOOTSTRAP,
    DIST_INIT,
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
    port_token,
)
from srtctl.plan.programs import Programs
from srtctl.schema import BackendConfig, JobConfig, RoleFlags, key


@dataclass
class SglangParams(BackendConfig):
    type: str = key("sglang", "Which engine runs in the workers; one of the registered backends.")
    sglang_config: RoleFlags = key(RoleFlags, "Flags of SGLang servers, by role.")
    kv_events_config: Any = key(
        None, "Publish KV cache events: true, or role -> true or {publisher, topic}; what cache-aware routing reads."
    )


OWNED = ("model-path", "host", "port", "nccl-port", "nnodes", "node-rank", "dist-init-addr",
         "disaggregation-bootstrap-port", "config")  # fmt: skip
MODULES = {"dynamo": "dynamo.sglang", "sglang-router": "sglang.launch_server"}
DIST_INIT_SPAN = (
    8  # SGLang counts its other internal ports up from the rendezvous port, one more per data-parallel rank
)


class SglangBackend:
    type = "sglang"
    params = SglangParams
    engines_use_gpus = True
    frontends = ("dynamo", "sglang-router")

    def check(self, job: JobConfig) -> list[Problem]:
        params = _params(job)
        owned = owned_by_role(OWNED + (("kv-events-config",) if params.kv_events_config else ()))
        problems = flag_problems("model.engine_flags", job.model.engine_flags, owned)
        problems += flag_problems("backend.sglang_config", params.sglang_config, owned)
        return problems + kv_events_problems(params.kv_events_config) + environment_problems(job)

    def flags(self, job: JobConfig, role: str) -> Mapping[str, Any]:
        return self._layered(job, role).values

    def instances(self, job: JobConfig) -> int:
        return 1  # data-parallel ranks of one server register together

    def rank(
        self, job: JobConfig, worker: Worker, rank: int, programs: Programs, ports: PortBook, number: int
    ) -> RankCommand | None:
        slot, name = worker.ranks[rank].slot, process_name(worker, rank)
        flags = self._layered(job, worker.role)
        dp_ranks = _data_parallel_ranks(flags.values)
        http = ports.request(f"{name}/http", slot, WORKER_HTTP, stride=WORKER_HTTP_STRIDE)
        nccl = ports.request(f"{name}/nccl", slot, NCCL + number)
        argv = [programs.path("sglang_python"), "-m", MODULES[job.frontend.type]]
        argv += ["--model-path", job.model.path, "--served-model-name", str(job.model.served_name)]
        argv += ["--host", host_token(slot), "--port", http, "--nccl-port", nccl]
        argv += _disaggregation(worker, rank, ports)
        argv += _multi_node(worker, rank, ports, dp_ranks)
        events = kv_events(_params(job).kv_events_config, worker.role)
        if events:
            token = ports.request(f"{name}/kv-events", slot, KV_EVENTS + number, count=dp_ranks)
            argv += ["--kv-events-config", json.dumps({**events, "endpoint": f"tcp://*:{token}"})]
        owned = {*OWNED, "served-model-name", "disaggregation-mode"} | ({"kv-events-config"} if events else set())
        mine = {flag: value for flag, value in flags.values.items() if flag not in owned}
        env = {"SGLANG_HOST_IP": host_token(slot), "GLOO_SOCKET_IFNAME": interface_token(slot)}
        probe = Probe("http", address(slot, f"{name}/http"), "/health")
        if job.frontend.type == "dynamo":
            system = ports.request(f"{name}/system", slot, SYSTEM + number, max_port=SYSTEM_MAX)
            env |= {**dynamo_worker(slot, system), "DYN_SKIP_SGLANG_LOG_FORMATTING": "1"}
            probe = Probe("http", address(slot, f"{name}/system"), "/health")
        return RankCommand(
            argv=(*argv, *to_argv(mine)),
            env=env,
            probe=probe if rank == 0 else None,  # a leader is ready only when all its ranks have joined
            flag_sources={flag: source for flag, source in flags.sources.items() if flag in mine},
        )

    def _layered(self, job: JobConfig, role: str) -> Layered:
        layers = [("model.engine_flags", job.model.engine_flags),
                  ("backend.sglang_config", _params(job).sglang_config)]  # fmt: skip
        return layer(role, layers)


def _data_parallel_ranks(flags: Mapping[str, Any]) -> int:
    """Ranks that open ports of their own; what is no number is refused by the checks."""
    sizes = (str(flags.get(name, 1)) for name in ("dp-size", "attn-dp-size"))
    return max([1, *(int(size) for size in sizes if size.isdecimal())])


def _disaggregation(worker: Worker, rank: int, ports: PortBook) -> list[str]:
    if worker.role == "aggregated":
        return []
    argv = ["--disaggregation-mode", worker.role]
    if worker.role == "prefill":
        name = f"{worker.name}/bootstrap"  # one for all ranks: the server that listens there is the leader's
        token = port_token(name) if rank else ports.request(name, worker.ranks[0].slot, BOOTSTRAP)
        argv += ["--disaggregation-bootstrap-port", token]
    return argv


def _multi_node(worker: Worker, rank: int, ports: PortBook, dp_ranks: int) -> list[str]:
    if len(worker.ranks) == 1:
        return []
    leader, name = worker.ranks[0].slot, f"{worker.name}/dist-init"
    if rank == 0:
        ports.request(name, leader, DIST_INIT, count=DIST_INIT_SPAN + dp_ranks)
    return ["--dist-init-addr", address(leader, name), "--nnodes", str(len(worker.ranks)), "--node-rank", str(rank)]


def kv_events(setting: Any, role: str) -> dict[str, str] | None:
    """Publisher and topic of a role's KV events, None where it publishes none."""
    wanted = setting.get(role) if isinstance(setting, dict) else setting
    if not wanted:
        return None
    own = wanted if isinstance(wanted, dict) else {}
    return {"publisher": str(own.get("publisher", "zmq")), "topic": str(own.get("topic", "kv-events"))}


def kv_events_problems(setting: Any) -> list[Problem]:
    """What is wrong with the shape of `backend.kv_events_config`."""
    key, allowed = "backend.kv_events_config", "true, or role -> true or {publisher, topic}"
    if setting is None or isinstance(setting, bool):
        return []
    if not isinstance(setting, dict):
        return [Problem("kv-events", "not a mapping", key, setting, allowed)]
    problems = []
    for role, value in setting.items():
        if role not in ROLES:
            problems.append(Problem("kv-events", "no such role", f"{key}.{role}", value, ", ".join(ROLES)))
        elif not isinstance(value, (bool, dict, type(None))) or (
            isinstance(value, dict) and set(value) - {"publisher", "topic"}
        ):
            problems.append(Problem("kv-events", "not understood", f"{key}.{role}", value, allowed))
    return problems


def _params(job: JobConfig) -> SglangParams:
    assert isinstance(job.backend, SglangParams)
    return job.backend
