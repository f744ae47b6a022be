"""The flags that are given to `sglang.bench_serving`, against what its releases declare."""

from __future__ import annotations

import re
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.sglang_bench import _OWNED
from srtctl.plan.programs import Programs

from .packages import unpacked

CONTEXT = ClientContext("@host:slot0@:@port:nginx/http@", "tiny", "/t", programs=Programs({"sglang_python": "/py"}))
PACE = {"isl": 8, "osl": 8, "concurrencies": [2], "req_rate": 5}
OWN = {"dataset_name": "custom", "dataset_path": "/data/p.jsonl"}
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("sglang-bench", {**PACE, "ignore_eos": False, "use_chat_template": False}),
    ("sglang-bench", {**PACE, **OWN}),
    ("sa-bench", {**PACE, "client": "sglang-bench"}),
    ("sa-bench", {**PACE, **OWN, "client": "sglang-bench"}),
]


@pytest.mark.parametrize("version", ["0.5.5.post2", "0.5.8.post1", "0.5.14", "0.5.23"])
def test_flags_of_sglangs_client_are_there(version: str) -> None:
    package = unpacked("sglang", version) / "sglang"
    sources = [package / "bench_serving.py", package / "benchmark" / "serving.py"]
    text = "".join(source.read_text() for source in sources if source.exists())
    declared = set(re.findall(r'"--([a-z0-9-]+)"', text))
    choices = text.partition('"--dataset-name"')[2].partition("help=")[0]
    for name, keys in COMMANDS:
        benchmark = BENCHMARKS[name]
        for step in benchmark.steps(benchmark.params(**keys), CONTEXT).steps:
            flags = {word[2:] for word in step.argv if word.startswith("--")}
            assert flags <= declared, flags - declared
            dataset = step.argv[step.argv.index("--dataset-name") + 1]
            assert (f'"{dataset}"' in choices) == (dataset != "custom" or version != "0.5.5.post2")
    written = set(re.findall(r'"(\w+)": ', text))
    assert {"duration", "input_lens", "output_lens", "ttfts", "itls", "errors"} <= written
    assert set(_OWNED) - {"served-model-name"} <= declared
