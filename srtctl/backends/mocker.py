"""Dynamo's engine simulator: workers with real discovery, routing and streams, and no GPU behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from srtctl.schema import BackendConfig, RoleFlags, key


@dataclass
class MockerParams(BackendConfig):
    type: str = key("mocker", "Which engine runs in the workers; one of the registered backends.")
    engine_type: str = key("sglang", "Engine whose scheduler is simulated.", allowed=("sglang", "vllm", "trtllm"))
    speedup_ratio: float = key(100.0, "How much faster than a real engine the simulation runs; 0 for no delays.", minimum=0)
    decode_speedup_ratio: float = key(1.0, "Further speed-up of decode steps only.", minimum=0)
    num_gpu_blocks_override: int = key(16384, "Blocks of the simulated KV cache.", unit="blocks", minimum=1)
    max_num_seqs: int = key(256, "Most sequences in one iteration.", minimum=1)
    max_num_batched_tokens: int = key(8192, "Most tokens in one iteration.", unit="tokens", minimum=1)
    block_size: Optional[int] = key(None, "Tokens of one KV block; unset: the simulated engine's.", unit="tokens", minimum=1)
    data_parallel_size: int = key(1, "Data-parallel replicas inside one worker.", minimum=1)
    num_workers: int = key(1, "Workers simulated by one process.", minimum=1)
    startup_time: Optional[float] = key(None, "Simulated start-up time.", unit="s", minimum=0)
    kv_transfer_bandwidth: Optional[float] = key(None, "Simulated KV transfer speed.", unit="GB/s", minimum=0)
    kv_cache_dtype: Optional[str] = key(None, "Type of the simulated KV cache, such as fp8_e4m3.")
    enable_prefix_caching: Optional[bool] = key(None, "Reuse KV blocks of equal prefixes; unset: the mocker's default.")
    enable_chunked_prefill: Optional[bool] = key(None, "Split long prompts over iterations; unset: the mocker's default.")
    preemption_mode: Optional[str] = key(None, "Which request gives way when memory runs out.", allowed=("lifo", "fifo"))
    mocker_config: RoleFlags = key(RoleFlags, "Further flags of the mocker, by role.")


class MockerBackend:
    type = "mocker"
    params = MockerParams
    engines_use_gpus = False
