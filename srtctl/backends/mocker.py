"""Dynamo's engine simulator: workers with real discovery, routing and streams, and no GPU behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from srtctl.backends.base import RankCommand
from srtctl.backends.flags import Layered, flag_problems, layer, owned_by_role, to_argv
from srtctl.errors import Problem
from srtctl.plan.environment import dynamo_worker, environment_problems
from srtctl.plan.model import Probe, RenderedFile, Worker
from srtctl.plan.ports import BOOTSTRAP, SYSTEM, SYSTEM_MAX, PortBook, address
from srtctl.plan.programs import Programs
from srtctl.schema import BackendConfig, JobConfig, RoleFlags, key


@dataclass
class MockerParams(BackendConfig):
    type: str = key("mocker", "Which engine runs in the workers; one of the registered backends.")
    engine_type: str = key("sglang", "Engine whose scheduler is simulated.", allowed=("sglang", "vllm", "trtllm"))
    speedup_ratio: float = key(
        100.0, "How much faster than a real engine the simulation runs; 0 for no delays.", minimum=0
    )
    decode_speedup_ratio: float = key(1.0, "Further speed-up of decode steps only.", minimum=0)
    num_gpu_blocks_override: int = key(16384, "Blocks of the simulated KV cache.", unit="blocks", minimum=1)
    max_num_seqs: int = key(256, "Most sequences in one iteration.", minimum=1)
    max_num_batched_tokens: int = key(8192, "Most tokens in one iteration.", unit="tokens", minimum=1)
    block_size: Optional[int] = key(
        None, "Tokens of one KV block; unset: the simulated engine's.", unit="tokens", minimum=1
    )
    data_parallel_size: int = key(1, "Data-parallel replicas inside one worker.", minimum=1)
    num_workers: int = key(1, "Workers simulated by one process.", minimum=1)
    startup_time: Optional[float] = key(None, "Simulated start-up time.", unit="s", minimum=0)
    kv_transfer_bandwidth: Optional[float] = key(None, "Simulated KV transfer speed.", unit="GB/s", minimum=0)
    kv_cache_dtype: Optional[str] = key(None, "Type of the simulated KV cache, such as fp8_e4m3.")
    enable_prefix_caching: Optional[bool] = key(None, "Reuse KV blocks of equal prefixes; unset: the mocker's default.")
    enable_chunked_prefill: Optional[bool] = key(
        None, "Split long prompts over iterations; unset: the mocker's default."
    )
    preemption_mode: Optional[str] = key(
        None, "Which request gives way when memory runs out.", allowed=("lifo", "fifo")
    )
    mocker_config: RoleFlags = key(RoleFlags, "Further flags of the mocker, by role.")


OWN_KEYS = (
    "engine_type", "speedup_ratio", "decode_speedup_ratio", "num_gpu_blocks_override", "max_num_seqs",
    "max_num_batched_tokens", "block_size", "data_parallel_size", "num_workers", "startup_time",
    "kv_transfer_bandwidth", "kv_cache_dtype", "preemption_mode",
)  # fmt: skip
SWITCHES = ("enable_prefix_caching", "enable_chunked_prefill")
OWNED = ("model-path", "model-name", "endpoint", "bootstrap-ports", "discovery-backend", "is-prefill-worker",
         "is-decode-worker", "num-workers")  # fmt: skip


class MockerBackend:
    type = "mocker"
    params = MockerParams
    engines_use_gpus = False
    frontends = ("dynamo",)

    def check(self, job: JobConfig) -> list[Problem]:
        params = _params(job)
        owned = owned_by_role(OWNED)
        problems = flag_problems("backend.mocker_config", params.mocker_config, owned)
        if params.speedup_ratio == 0 and params.decode_speedup_ratio == 0:
            text = "both speed-ups are 0: one of them must say how fast decoding is"
            problems.append(Problem("mocker-speed", text, "backend.decode_speedup_ratio", 0.0, "more than 0"))
        return problems + environment_problems(job)

    def flags(self, job: JobConfig, role: str) -> Mapping[str, Any]:
        return self._layered(job, role).values

    def provenance(self, job: JobConfig) -> dict[str, str | None]:
        return {"engine_version": job.backend.version}

    def instances(self, job: JobConfig) -> int:
        return _params(job).num_workers

    def rank(
        self, job: JobConfig, worker: Worker, rank: int, programs: Programs, ports: PortBook, number: int
    ) -> RankCommand | None:
        if rank > 0:
            return None  # one process simulates a worker, however many nodes the real one would span
        slot, name = worker.ranks[0].slot, worker.name
        system = ports.request(f"{name}/system", slot, SYSTEM + number, max_port=SYSTEM_MAX)
        argv = [programs.path("dynamo_python"), "-m", "dynamo.mocker"]
        argv += ["--model-path", job.model.path, "--model-name", str(job.model.served_name)]
        if worker.role != "aggregated":
            argv += ["--disaggregation-mode", worker.role]
        if worker.role == "prefill":
            wanted = [f"{name}/bootstrap"] + [f"{name}/bootstrap{n}" for n in range(1, _params(job).num_workers)]
            argv += ["--bootstrap-ports", ",".join(ports.request(each, slot, BOOTSTRAP) for each in wanted)]
        flags = self._layered(job, worker.role)
        return RankCommand(
            argv=(*argv, *to_argv(flags.values)),
            env=dynamo_worker(slot, system),
            probe=Probe("http", address(slot, f"{name}/system"), "/health"),
            flag_sources=flags.sources,
        )

    def files(self, job: JobConfig, workers: Sequence[Worker]) -> tuple[RenderedFile, ...]:
        return ()

    def _layered(self, job: JobConfig, role: str) -> Layered:
        """Own keys under `mocker_config`; the model's flags are a real engine's and do not apply."""
        params = _params(job)
        own = {key.replace("_", "-"): getattr(params, key) for key in OWN_KEYS}
        for switch in SWITCHES:
            value = getattr(params, switch)
            if value is not None:
                own[("" if value else "no-") + switch.replace("_", "-")] = True
        sources = {name: f"backend.{name.removeprefix('no-').replace('-', '_')}" for name in own}
        more = layer(role, [("backend.mocker_config", params.mocker_config)])
        not_ours = {name: value for name, value in more.values.items() if name not in owned_by_role(OWNED)[role]}
        values = {name: value for name, value in {**own, **not_ours}.items() if value is not None}
        return Layered(values, {name: {**sources, **more.sources}[name] for name in values})


def _params(job: JobConfig) -> MockerParams:
    assert isinstance(job.backend, MockerParams)
    return job.backend
