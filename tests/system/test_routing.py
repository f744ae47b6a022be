"""`router-mode: kv`: a prompt goes to the worker that has its beginning in its cache."""

from __future__ import annotations

import pytest

from .conftest import User
from .routing import RIVER, STONE, Pair

JOB = """
name: routing
model: {path: "builtin:tiny"}
resources: {gpus_per_node: 2, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 1}
backend: {type: mocker, speedup_ratio: 1}
frontend: {type: dynamo, count: 1, args: {router-mode: %s}}
benchmark: {type: manual}
"""


@pytest.mark.parametrize("mode", ["kv", "round-robin"])
def test_equal_beginnings_meet(user: User, mode: str) -> None:
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", JOB % mode)))
    assert done.returncode == 0, done.stderr
    status = user.wait_for("servers up", lambda s: s["phase"] in ("measuring", "done"))
    assert status["phase"] == "measuring", status["root_cause"]
    pair = Pair(status)
    pair.two_at_once()
    river, stone = [], []
    for number in range(3):
        for _ in range(2):
            river.append(pair.who_answers(f"{RIVER}{number}"))
        for _ in range(2):
            stone.append(pair.who_answers(f"{STONE}{number}"))
    if mode == "kv":
        assert len(set(river)) == len(set(stone)) == 1
        assert river[0] != stone[0]
    else:
        assert sorted(river) == sorted(stone) == [0, 0, 0, 1, 1, 1]
    assert user.srtctl("cancel").returncode == 0
    user.assert_nothing_left()
