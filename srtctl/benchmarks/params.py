"""The keys of every benchmark: one dataclass per type, each with the meaning and unit of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from srtctl.benchmarks.load import LadderConfig
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
class SaBenchConfig(LadderConfig):
    """`sa-bench`: random prompts at fixed numbers of requests in flight."""

    type: str = key("sa-bench", "Random prompts at a ladder of concurrencies.", allowed=("sa-bench",))
    isl: Optional[int] = key(None, "Longest prompt.", unit="tokens", minimum=1)
    osl: Optional[int] = key(None, "Longest answer.", unit="tokens", minimum=1)
    random_range_ratio: float = key(
        0.8, "Lengths are drawn from ratio x length to length; 1 for fixed ones.", minimum=0
    )
    num_prompts_mult: int = key(10, "Requests of a measurement, in multiples of its concurrency.", minimum=1)
    num_prompts: Optional[int] = key(None, "Fewest requests of a measurement, whatever its concurrency.", minimum=1)
    num_warmup_mult: int = key(2, "Warm-up requests, in multiples of the concurrency; 0 for none.", minimum=0)
    dataset_name: str = key(
        "random", "Where prompts come from: made at random, or a file of yours.", allowed=("random", "custom")
    )
    dataset_path: Optional[str] = key(
        None, "File of your prompts, one JSON object a line, in the client's form; on the client's node."
    )
    reuse_http_connections: bool = key(True, "Keep connections open between requests; false opens one for each.")
    client: str = key("aiperf", "Program that sends the requests.", allowed=("aiperf", "sglang-bench"))
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
