"""The result file of sglang.bench_serving, written by hand with its field names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.plan.model import Step

RESULT = {
    "backend": "sglang-oai-chat", "duration": 2.0, "completed": 2, "request_throughput": 1.0,
    "input_lens": [10, 20, 30], "output_lens": [3, 2, 0], "ttfts": [0.1, 0.2, 0.0],
    "itls": [[0.05, 0.15], [0.3], []], "generated_texts": ["a", "b", ""], "errors": ["", "", "Service Unavailable"],
}  # fmt: skip


def parse(directory: Path) -> dict[str, Any]:
    settings = {"client": "sglang-bench", "requests": 3, "warmup_requests": 2}
    (found,) = BENCHMARKS["sa-bench"].parse(directory, Step("c", "sa-bench", settings=settings))
    return found


def test_figures_by_hand(tmp_path: Path) -> None:
    # the file is appended to: only the last line is this measurement
    (tmp_path / "bench_serving.jsonl").write_text("{}\n" + json.dumps(RESULT) + "\n")
    found = parse(tmp_path)
    assert (found["requests_completed"], found["requests_failed"], found["requests_missing"]) == (2, 1, 0)
    assert found["ttft_mean_ms"] == pytest.approx(150.0)
    assert found["e2el_max_ms"] == pytest.approx(500.0)  # 0.2 + 0.3
    assert found["tpot_min_ms"] == pytest.approx(100.0)  # (0.3 - 0.1) / 2
    assert found["output_tok_s"] == 2.5
    assert found["duration_s"] == 2.0
    assert found["client"]["name"] == "sglang.bench_serving"


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"input_lens": [1]}'])
def test_no_result(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "bench_serving.jsonl").write_text(text)
    with pytest.raises(ValueError, match=r"bench_serving\.jsonl"):
        parse(tmp_path)
