"""What the names in a job stand for on this machine."""

from __future__ import annotations

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
def test_engines_and_client_get_the_hub_id_without_its_mark(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """`hf:` is this format's; on the hub `hf:Qwen/Qwen3-32B` is no valid name."""
    point = prepared(base, changes)
    workers = [process.argv for process in point.plan.processes if "--model-path" in process.argv]
    assert {argv[argv.index("--model-path") + 1] for argv in workers} == {"Qwen/Qwen3-32B"}
    steps = point.steps.steps
    assert {step.argv[step.argv.index("--tokenizer") + 1] for step in steps} == {"Qwen/Qwen3-0.6B"}
