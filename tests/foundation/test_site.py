"""What the names in a job stand for on this machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from srtctl.composed import ComposedPoint
from srtctl.prepare import PreparedPoint, prepare
from tests.validate.jobs import MOCKER, SGLANG, changed

HUB = {"model.path": "hf:Qwen/Qwen3-32B", "model.tokenizer_path": "hf:Qwen/Qwen3-0.6B"}
ALIAS = {"cluster.model_paths.dsr1": "hf:Qwen/Qwen3-32B", "model.tokenizer_path": "hf:Qwen/Qwen3-0.6B"}


def prepared(base: dict[str, Any], changes: dict[str, Any]) -> PreparedPoint:
    return prepare([ComposedPoint(0, (), changed(base, changes))])[0]


@pytest.mark.parametrize(
    ("base", "changes"), [(MOCKER, HUB), (SGLANG, HUB), (SGLANG, ALIAS)], ids=["mocker", "sglang", "alias"]
)
def test_the_hub_is_asked_for_the_id_without_its_mark(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """`hf:` is this format's; on the hub `hf:Qwen/Qwen3-32B` is no valid name."""
    point = prepared(base, changes)
    orders = [json.loads(process.argv[-1]) for process in point.plan.processes if "--fetch" in process.argv]
    asked = {model["repo"] for order in orders for model in order["models"]}
    assert asked == {"Qwen/Qwen3-32B", "Qwen/Qwen3-0.6B"}
    assert {process.argv[-1].count("hf:") for process in point.plan.processes} == {0}
    steps = point.steps.steps
    found = {step.argv[step.argv.index("--tokenizer") + 1] for step in steps}
    assert found == {"@scratch:slot0@/tokenizers/Qwen3-0.6B"}
