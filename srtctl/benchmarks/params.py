"""The keys of every benchmark: one dataclass per type, each with the meaning and unit of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key


@dataclass
class ManualConfig(BenchmarkConfig):
    """`manual`: nothing is sent; the servers stay up until they are told to stop."""

    type: str = key("manual", "Keep the servers up and send nothing.", allowed=("manual",))
    isl: Optional[int] = key(None, "Accepted from recipes; nothing is sent.", unit="tokens", minimum=1)
    osl: Optional[int] = key(None, "Accepted from recipes; nothing is sent.", unit="tokens", minimum=1)
    concurrencies: Any = key(None, "Accepted from recipes; nothing is sent.")


@dataclass
class SaBenchConfig(BenchmarkConfig):
    """`sa-bench`: random prompts at fixed numbers of requests in flight."""

    type: str = key("sa-bench", "Random prompts at a ladder of concurrencies.", allowed=("sa-bench",))
    isl: Optional[int] = key(None, "Longest prompt.", unit="tokens", minimum=1)
    osl: Optional[int] = key(None, "Longest answer.", unit="tokens", minimum=1)
    concurrencies: Any = key(None, "Requests in flight, one measurement each: a list, or a text such as 1x4x8.")
    req_rate: Any = key("inf", "Request rate, one measurement each: a number, inf, or a list of them.", unit="1/s")
    random_range_ratio: float = key(
        0.8, "Lengths are drawn from ratio x length to length; 1 for fixed ones.", minimum=0
    )
    num_prompts_mult: int = key(10, "Requests of a measurement, in multiples of its concurrency.", minimum=1)
    num_prompts: Optional[int] = key(None, "Fewest requests of a measurement, whatever its concurrency.", minimum=1)
    num_warmup_mult: int = key(2, "Warm-up requests, in multiples of the concurrency; 0 for none.", minimum=0)
    seed: int = key(1, "Seed of lengths, texts and arrivals.", minimum=0)
    ignore_eos: bool = key(True, "Make every answer as long as was asked for.")
    dataset_name: str = key("random", "Where prompts come from.", allowed=("random",))
    use_chat_template: bool = key(True, "Send chat requests; false sends plain completions.")
    reuse_http_connections: bool = key(True, "Keep connections open between requests; false opens one for each.")
    custom_tokenizer: Optional[str] = key(None, "Tokenizer for the prompts, instead of the model's own.")
    client: str = key("aiperf", "Program that sends the requests.", allowed=("aiperf", "sglang-bench"))
    slo_ttft_ms: Optional[float] = key(
        None, "A request is good when its first token came within this.", unit="ms", minimum=0
    )
    slo_tpot_ms: Optional[float] = key(
        None, "A request is good when its time per output token is at most this.", unit="ms", minimum=0
    )
    slo_e2el_ms: Optional[float] = key(
        None, "A request is good when all of it took at most this.", unit="ms", minimum=0
    )
    extra_args: List[str] = key([], "Further arguments of the client program, as they are.")


@dataclass
class CustomConfig(BenchmarkConfig):
    """`custom`: a command of yours, with the servers' addresses in its environment."""

    type: str = key("custom", "Run a command of yours.", allowed=("custom",))
    command: Optional[str] = key(None, "Shell command, run with bash -lc in its measurement directory.")
    env: Dict[str, str] = key({}, "Variables of the command.")
    outputs: List[str] = key([], "Files it must leave, relative to its directory.")
    container_image: Optional[str] = key(None, "Image to run it in; default: the servers' image.")
    settings: Dict[str, Any] = key({}, "Copied into the rows of its result.json, such as concurrency: 8.")
