"""Cache-aware routing by the real engine's events: two workers of SGLang, which tell Dynamo's router what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.routing import RIVER, STONE, Pair

from .conftest import EngineUser
from .stack import READY_S, job

pytestmark = pytest.mark.timeout(READY_S + 300)


def test_equal_beginnings_meet(here: EngineUser, model: Path) -> None:
    measured = job(model, "dynamo", "agg")
    recipe = here.write("job.yaml", measured[: measured.index("benchmark:")] + "benchmark: {type: manual}\n")
    words = ["resources.agg_workers=2", "frontend.count=1", "frontend.args={router-mode: kv}",
             "backend.kv_events_config=true"]  # fmt: skip
    done = here.srtctl("apply", "-f", str(recipe), *words)
    assert done.returncode == 0, done.stderr
    status = here.wait_for("servers up", lambda s: s["phase"] in ("measuring", "done"), timeout_s=READY_S)
    assert status["phase"] == "measuring", status["root_cause"]
    pair = Pair(status)
    pair.two_at_once()
    river = [pair.who_answers(f"{RIVER}{number}") for number in range(4)]
    stone = [pair.who_answers(f"{STONE}{number}") for number in range(4)]
    assert len(set(river)) == len(set(stone)) == 1
    assert river[0] != stone[0]
    assert here.srtctl("cancel").returncode == 0
    here.assert_nothing_left()
