"""Data files of benchmarks: looked at before anything starts, as far as they are seen from here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from srtctl.site import Site
from srtctl.validate import SiteFacts, build_job
from tests.validate.jobs import MOCKER, SGLANG, changed, findings, rows

TRACE = {"type": "trace-replay", "trace_file": "/data/t.jsonl"}
MMLU = {"type": "mmlu", "dataset_path": "/data/mmlu.csv"}


@pytest.mark.parametrize(("benchmark", "key"), [(TRACE, "benchmark.trace_file"), (MMLU, "benchmark.dataset_path")])
@pytest.mark.parametrize(("executor", "severity"), [("local", "error"), ("slurm", "note")])
def test_a_file_that_is_not_here(benchmark: dict[str, Any], key: str, executor: str, severity: str) -> None:
    path = benchmark[key.rpartition(".")[2]]
    found = findings(SGLANG, {"benchmark": benchmark, "cluster.executor": executor}, SiteFacts(paths={path: False}))
    assert ("missing-path", severity, key) in rows(found)


def test_a_file_whose_content_is_wrong() -> None:
    facts = SiteFacts(paths={"/data/t.jsonl": True}, data_faults={"/data/t.jsonl": "line 3 is not JSON"})
    (problem,) = [p for p in findings(MOCKER, {"benchmark": TRACE}, facts) if p.rule == "data-file"]
    assert (problem.key, problem.message) == ("benchmark.trace_file", "line 3 is not JSON")
    good = SiteFacts(paths={"/data/t.jsonl": True}, data_faults={"/data/t.jsonl": ""})
    assert rows(findings(MOCKER, {"benchmark": TRACE}, good)) == set()


def test_a_relative_path_means_something_else_elsewhere() -> None:
    found = findings(MOCKER, {"benchmark": {**TRACE, "trace_file": "t.jsonl"}})
    assert rows(found) == {("data-file", "error", "benchmark.trace_file")}


def test_windows_that_the_model_does_not_have() -> None:
    long = {"type": "longbenchv2", "dataset_path": "/d.json", "max_tokens": 96}
    window = {"model.max_context_length": 4096}
    found = findings(MOCKER, {"benchmark": {**MMLU, "max_tokens": 4097}, **window})
    assert ("context-length", "error", "benchmark.max_tokens") in rows(found)
    found = findings(MOCKER, {"benchmark": {**long, "max_context_length": 4001}, **window})
    assert ("context-length", "warning", "benchmark.max_context_length") in rows(found)
    found = findings(MOCKER, {"benchmark": {**long, "max_context_length": 4000}, **window})
    assert "context-length" not in {rule for rule, _, _ in rows(found)}


def test_what_the_site_sees(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps({"timestamp": 0, "input_length": 5}))
    bad.write_bytes(b"\xff\xfe")
    site = Site()
    for path, fault in ((good, ""), (bad, "it is not a text in UTF-8"), (tmp_path, "Is a directory")):
        job, _ = build_job(changed(MOCKER, {"benchmark": {**TRACE, "trace_file": str(path)}}))
        assert job is not None
        view, _ = site.view(job)
        assert view.facts.data_faults == {str(path): fault}
        assert view.facts.paths[str(path)]
    job, _ = build_job(changed(MOCKER, {"benchmark": {**TRACE, "trace_file": str(tmp_path / "none")}}))
    assert job is not None
    assert site.view(job)[0].facts.data_faults == {}
