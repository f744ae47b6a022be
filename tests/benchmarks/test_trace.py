"""Traces on disk: what is wrong with them, and how many requests they hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.trace_replay import trace_fault
from srtctl.plan.model import Step

# The example of the format's authors, and one of each other form of a prompt.
LINE = '{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47, 2353, 2354]}'
RECORDED = Path(__file__).parent.parent / "data" / "aiperf" / "good"


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"{LINE}\n\n{LINE}\n",
        '{"timestamp": 0.5, "text_input": "hello"}',
        '{"timestamp": 0, "messages": [{"role": "user", "content": "hello"}], "output_length": 4}',
        '{"session_id": "a", "timestamp": 0, "input_length": 5}\n{"session_id": "a", "delay": 5, "input_length": 6}',
    ],
)
def test_good_traces(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    assert trace_fault(path) == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no requests"),
        ("\n\n", "holds no requests"),
        (f"{LINE}\n{{", "line 2 is not JSON"),
        (f"{LINE}\n[1]", "line 2 is no object"),
        ('{"timestamp": 5, "output_length": 5}', "line 1 needs one of input_length, text_input, messages, payload"),
        ('{"timestamp": 5, "input_length": 5, "text_input": "x"}', "and has input_length and text_input"),
        ('{"timestamp": -1, "input_length": 5}', "line 1 has timestamp=-1"),
        ('{"timestamp": "now", "input_length": 5}', "line 1 has timestamp='now'"),
        ('{"timestamp": 5, "input_length": true}', "line 1 has input_length=True"),
        ('{"input_length": 5}', "line 1 has no timestamp"),
        (f'{LINE}\n{{"input_length": 5}}', "line 2 has no timestamp"),
    ],
)
def test_faulty_traces(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    assert fault in trace_fault(path)


@pytest.mark.parametrize(("options", "missing"), [({}, 4), ({"synthesis-max-isl": 100}, 0)])
def test_requests_of_the_trace_that_the_client_never_reported_are_missing(
    tmp_path: Path, options: dict[str, int], missing: int
) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text(f"{LINE}\n" * 20)  # the recorded client measured 16
    shutil.copytree(RECORDED, tmp_path / "m")
    settings = {"trace_file": str(trace), "slo_ttft_ms": 1e9, **({"aiperf_args": options} if options else {})}
    (found,) = BENCHMARKS["trace-replay"].parse(tmp_path / "m", Step("trace", "trace-replay", settings=settings))
    assert (found["requests_completed"], found["requests_missing"]) == (16, missing)
    assert found["slo_attainment"] == 16 / (16 + missing)
    assert json.dumps(found)
