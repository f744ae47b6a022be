"""The name of a sweep whose points have names of their own: what a person would call all of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from srtctl.invocation import Invocation, current
from srtctl.sweep import common_name


def name_of(*names: str, recipe: str = "") -> str:
    points: Any = [SimpleNamespace(job=SimpleNamespace(name=name)) for name in names]
    token = current.set(Invocation(recipe=Path(recipe) if recipe else None))
    try:
        return common_name(points)
    finally:
        current.reset(token)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["job"], "job"),
        (["job", "job"], "job"),
        (["sweep-0.8", "sweep-0.85"], "sweep"),
        (["sweep-0.8", "sweep-0.9"], "sweep"),
        (["sweep-0.80"], "sweep-0.80"),
        (["c8", "c64"], "c"),
        (["q_isl1024_c8", "q_isl1024_c16", "q_isl2048_c8"], "q"),
        (["base-job_small", "base-job_smooth"], "base-job"),
        (["qwen3-agg", "qwen3-agg_small"], "qwen3-agg"),
        (["qwen3-agg", "qwen3-aggregated"], "qwen3"),
        (["small", "large"], "small"),
        (["x+1", "x+2"], "x+"),
    ],
)
def test_names(names: list[str], expected: str) -> None:
    assert name_of(*names) == expected
    assert name_of(*reversed(names)) in (expected, names[-1])


def test_a_recipe_names_points_that_have_no_word_in_common() -> None:
    assert name_of("small", "large", recipe="dir/mine.yaml") == "mine"
    assert name_of("c8", "c64", recipe="mine.yaml") == "mine"
    assert name_of("small", "large", recipe="-") == "small"
    assert name_of("a-small", "a-large", recipe="mine.yaml") == "a"
