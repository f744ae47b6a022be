"""`trace-replay`: requests at the times, with the lengths and the shared prefixes that a trace recorded.

A trace is a file of JSON objects, one a line, in Mooncake's format:

    {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 2353]}

`timestamp` is in milliseconds; each of `hash_ids` stands for a block of the prompt (512 tokens unless `block_size`
says otherwise), and equal ids are equal texts. `text_input` or `messages` may stand in the place of `input_length`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Type

from srtctl.benchmarks import aiperf_client
from srtctl.benchmarks.base import ClientContext, DataFile
from srtctl.benchmarks.load import (
    AiperfArguments,
    LoadConfig,
    aiperf_step,
    argument_problems,
    arguments,
    chosen,
    missing,
)
from srtctl.benchmarks.options import Options
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_WORKLOADS = ("mooncake", "conversation", "synthetic", "toolagent")
_PROMPTS = ("input_length", "text_input", "messages", "payload")
_FILTERS = frozenset(
    {"synthesis-max-isl", "fixed-schedule-start-offset", "fixed-schedule-end-offset", "request-count"}
    | {"num-dataset-entries", "benchmark-duration", "conversation-num"}
)


@dataclass
class TraceReplayConfig(AiperfArguments, LoadConfig):
    """`trace-replay`: a recorded trace, replayed by its timestamps."""

    type: str = key("trace-replay", "A recorded trace, replayed by its timestamps.", allowed=("trace-replay",))
    trace_file: Optional[str] = key(None, "Trace in Mooncake's JSONL format: a path on the client's node.")
    speedup: float = key(1.0, "How much faster than recorded requests are sent.", minimum=0)
    block_size: Optional[int] = key(None, "Tokens that one of hash_ids stands for; default: 512.", minimum=1)
    concurrency: Optional[int] = key(None, "Most requests in flight; default: no limit but the schedule.", minimum=1)
    ttft_threshold_ms: Optional[float] = key(2000, "Good requests: first token within this.", unit="ms", minimum=0)
    itl_threshold_ms: Optional[float] = key(
        25, "Good requests: time per output token at most this.", unit="ms", minimum=0
    )


@dataclass
class MooncakeRouterConfig(TraceReplayConfig):
    """`mooncake-router`: one of Mooncake's published traces."""

    type: str = key("mooncake-router", "One of Mooncake's published traces, replayed.", allowed=("mooncake-router",))
    mooncake_workload: str = key("mooncake", "Which of the traces `trace_file` holds.", allowed=_WORKLOADS)


class TraceReplay:
    """Registry entry."""

    type = "trace-replay"
    params: Type[BenchmarkConfig] = TraceReplayConfig
    programs = ("aiperf",)

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        problems = argument_problems(params)
        if not params.trace_file:
            problems.append(missing(self.type, "trace_file", self._hint(params)))
        if not params.speedup > 0:
            message = "is how much faster than recorded requests are sent"
            problems.append(Problem("speedup", message, "benchmark.speedup", params.speedup, "above 0"))
        return problems

    def _hint(self, params: Any) -> str:
        return "give the file: benchmark.trace_file=/data/trace.jsonl"

    def data_files(self, params: Any) -> list[DataFile]:
        """The trace."""
        return [DataFile("benchmark.trace_file", params.trace_file, trace_fault)] if params.trace_file else []

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step: the whole trace."""
        settings = {
            "concurrency": params.concurrency,
            "req_rate": "trace",
            "client": "aiperf",
            **chosen(params, "trace_file", "speedup", "block_size", "seed", "ignore_eos", "use_chat_template"),
            **({"mooncake_workload": params.mooncake_workload} if self.type == "mooncake-router" else {}),
            **_limits(params),
            **({"aiperf_args": arguments(params)} if params.aiperf_args else {}),
        }
        step = aiperf_step(self.type, params, context, "trace", settings, _options(params))
        step = aiperf_client.with_cached_tokenizer(step, context)
        return PointSteps(context.config_id, self.type, (step,), unset_env=aiperf_client.UNSET_ENV)

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurement; as many requests are expected as the trace has, where it is seen from here."""
        return [aiperf_client.parse(directory, step.name, {**_expected(step.settings), **step.settings})]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Requests done so far."""
        return aiperf_client.progress(directory, state)


class MooncakeRouter(TraceReplay):
    """Registry entry."""

    type = "mooncake-router"
    params: Type[BenchmarkConfig] = MooncakeRouterConfig

    def _hint(self, params: Any) -> str:
        place = "FAST25-release/traces (or arxiv-trace) of github.com/kvcache-ai/Mooncake"
        return f"nothing is downloaded at run time: get the trace once from {place}, and give benchmark.trace_file=…"


def trace_fault(path: Path) -> str:
    """What is wrong with a trace; empty when nothing is.

    Raises:
        OSError: It can't be read.
    """
    sessions: set[object] = set()
    empty = True
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                fault = _line_fault(line, sessions)
                if fault:
                    return f"line {number} {fault}"
                empty = False
    return "holds no requests" if empty else ""


def _line_fault(line: str, sessions: set[object]) -> str:
    """`sessions` are those that have begun: only their later requests need no time of their own."""
    try:
        entry = json.loads(line)
    except ValueError:
        return "is not JSON"
    if not isinstance(entry, dict):
        return "is no object"
    given = [name for name in _PROMPTS if entry.get(name) is not None]
    if len(given) != 1:
        return f"needs one of {', '.join(_PROMPTS)}, and has {' and '.join(given) or 'none'}"
    for name in ("timestamp", "input_length", "output_length"):
        value = entry.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            return f"has {name}={value!r}, which is no number from 0"
    session = str(entry["session_id"]) if entry.get("session_id") is not None else None
    if entry.get("timestamp") is None and session not in sessions:
        return "has no timestamp"
    if session is not None:
        sessions.add(session)
    return ""


def _limits(params: Any) -> dict[str, Any]:
    named = {"slo_ttft_ms": params.ttft_threshold_ms, "slo_tpot_ms": params.itl_threshold_ms}
    return {name: value for name, value in named.items() if value is not None}


def _options(params: Any) -> Options:
    return {
        **aiperf_client.endpoint(params.use_chat_template),
        "use-server-token-count": True,
        "input-file": params.trace_file,
        "custom-dataset-type": "mooncake_trace",
        "fixed-schedule": True,
        "fixed-schedule-auto-offset": True,
        "synthesis-speedup-ratio": None if params.speedup == 1 else params.speedup,
        "isl-block-size": params.block_size,
        "concurrency": params.concurrency,
        "extra-inputs": "ignore_eos:true" if params.ignore_eos else None,
        "random-seed": params.seed,
    }


def _expected(settings: Mapping[str, Any]) -> dict[str, int]:
    """How many requests the trace holds, unless an option takes some away or the file is not seen from here."""
    if _FILTERS & settings.get("aiperf_args", {}).keys():
        return {}
    try:
        with Path(str(settings["trace_file"])).open(encoding="utf-8") as file:
            return {"requests": sum(bool(line.strip()) for line in file)}
    except (OSError, UnicodeDecodeError):
        return {}
