"""The engine's own profiler, started over HTTP while a benchmark runs."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from .conftest import EngineUser
from .stack import READY_S, job

pytestmark = pytest.mark.timeout(READY_S + 300)


@pytest.mark.parametrize("frontend", ["dynamo", "sglang-router"])
def test_steps_are_recorded(here: EngineUser, model: Path, frontend: str) -> None:
    recipe = here.write("job.yaml", job(model, frontend, "agg"))
    # With Python's stacks (SGLang's default) a trace takes minutes to be written, in which the engine stands still.
    words = ["profiling.aggregated={start_step: 12, stop_step: 15}", "+environment.SGLANG_PROFILE_WITH_STACK='false'"]
    done = here.srtctl("apply", "-f", str(recipe), "profiling=torch", *words, "--wait", timeout_s=READY_S + 240)
    assert done.returncode == 0, done.stdout + done.stderr
    attempt = here.sweep() / "points/0000/attempt-0"
    events = [json.loads(e) for e in (here.sweep() / "allocations/0000/attempt-0/events.jsonl").open()]
    started = [event for event in events if event["event"] == "profiler_started"]
    assert [(event["status"], event["start_step"], event["num_steps"]) for event in started] == [(200, 12, 3)] * 2
    for measurement in attempt.joinpath("measurements").iterdir():
        (trace,) = (attempt / "profiles" / "aggregated0" / measurement.name).iterdir()
        with gzip.open(trace, "rt") as file:
            names = {entry.get("name") for entry in json.load(file)["traceEvents"]}
        assert any(str(name).startswith("aten::") for name in names)
    rows = here.json("results")["rows"]
    assert {row["provenance"]["profiler"] for row in rows} == {"torch"}
    here.assert_nothing_left()
