"""The benchmarks that can be run, by type. Adding one is one file here and one line in `BENCHMARKS`."""

from __future__ import annotations

from srtctl.benchmarks.base import Benchmark, ClientContext
from srtctl.benchmarks.custom import Custom
from srtctl.benchmarks.manual import Manual
from srtctl.benchmarks.sa_bench import SaBench

BENCHMARKS: dict[str, Benchmark] = {benchmark.type: benchmark for benchmark in (SaBench(), Custom(), Manual())}

__all__ = ["BENCHMARKS", "Benchmark", "ClientContext"]
