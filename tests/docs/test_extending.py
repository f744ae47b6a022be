"""The benchmark that docs/extending.md shows is one: it runs through composition's schema, planning and parsing."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from srtctl.benchmarks import ClientContext

PAGE = Path(__file__).parent.parent.parent / "docs/extending.md"


def test_benchmark_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "echo_load_of_the_docs.py").write_text(blocks[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    benchmark = importlib.import_module("echo_load_of_the_docs").EchoLoad()
    params = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(benchmark.params), {"requests": 7}))
    assert benchmark.check(params) == []
    steps = benchmark.steps(
        params, ClientContext(endpoint="@host:slot0@:8000", model="tiny", tokenizer="t", config_id="c")
    )
    (step,) = steps.steps
    assert (steps.config_id, steps.benchmark, step.expected_requests) == ("c", "echo-load", 7)
    assert step.argv[1:] == ("--url", "http://@host:slot0@:8000", "--requests", "7")
    (tmp_path / "result.json").write_text(json.dumps({"requests_completed": 7}))
    assert benchmark.parse(tmp_path, step) == [{"requests_completed": 7}]
