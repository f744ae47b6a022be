"""The benchmarks that can be run, by type. Adding one is one file here and one line in `BENCHMARKS`."""

from __future__ import annotations

from srtctl.benchmarks.aiperf import Aiperf
from srtctl.benchmarks.base import Benchmark, ClientContext
from srtctl.benchmarks.custom import Custom
from srtctl.benchmarks.gpqa import Gpqa
from srtctl.benchmarks.gsm8k import Gsm8k
from srtctl.benchmarks.lm_eval import LmEval
from srtctl.benchmarks.longbenchv2 import LongBenchV2
from srtctl.benchmarks.manual import Manual
from srtctl.benchmarks.mmlu import Mmlu
from srtctl.benchmarks.router import Router
from srtctl.benchmarks.sa_bench import SaBench
from srtctl.benchmarks.sglang_bench import SglangBench
from srtctl.benchmarks.trace_replay import MooncakeRouter, TraceReplay

_ALL: tuple[Benchmark, ...] = (
    SaBench(),
    SglangBench(),
    Aiperf(),
    TraceReplay(),
    MooncakeRouter(),
    Router(),
    Mmlu(),
    Gpqa(),
    Gsm8k(),
    LongBenchV2(),
    LmEval(),
    Custom(),
    Manual(),
)
BENCHMARKS: dict[str, Benchmark] = {benchmark.type: benchmark for benchmark in _ALL}

__all__ = ["BENCHMARKS", "Benchmark", "ClientContext"]
