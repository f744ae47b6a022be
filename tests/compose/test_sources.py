"""Where values came from, as `dry-run --sources` shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srtctl import compose
from srtctl.composed import ComposedPoint

RECIPE = """\
name: r
model: {path: "builtin:tiny"}
resources:
  agg_nodes: 1
  agg_workers: 1
backend: {type: mocker}
benchmark: {type: sa-bench, isl: "{isl}", osl: 8,
            concurrencies: [1]}
sweep: {isl: [64]}
"""


def test_a_default_is_not_said_to_stand_in_the_recipe(points_of: Callable[..., list[ComposedPoint]]) -> None:
    sources = points_of(RECIPE)[0].sources
    assert sources.written("resources.spread_workers") == ""
    assert sources.written("model.name") == ""
    assert sources.written("resources.agg_nodes").endswith("recipe.yaml:4")
    assert sources.written("benchmark.concurrencies").endswith("recipe.yaml:8")
    # An error about a key that is missing still names the nearest place that the user wrote.
    assert sources.of("resources.spread_workers").endswith("recipe.yaml:3")


def test_the_keys_inside_a_mapping_given_on_the_command_line(points_of: Callable[..., list[ComposedPoint]]) -> None:
    word = "profiling.decode={start_step: 1, stop_step: 2}"
    sources = points_of(RECIPE, word, "backend.speedup_ratio=3")[0].sources
    assert sources.written("profiling.decode.stop_step").startswith("command line: profiling.decode={")
    assert sources.written("backend.speedup_ratio") == "command line: backend.speedup_ratio=3"
    assert sources.written("backend.decode_speedup_ratio") == ""


def test_what_a_group_took_from_the_recipe_is_the_groups(points_of: Callable[..., list[ComposedPoint]]) -> None:
    text = """\
    name: r
    model: {path: "builtin:tiny"}
    resources: {agg_nodes: 1, agg_workers: 1}
    backend:
      type: sglang
      sglang_config:
        aggregated: {tp-size: 8}
    benchmark: {type: manual}
    """
    flag = "backend.sglang_config.aggregated.tp-size"
    assert points_of(text)[0].sources.written(flag).endswith("recipe.yaml:7")
    sources = points_of(text, "mode=h200-agg-tp8")[0].sources
    for key in (flag, "resources.agg_workers"):
        assert sources.written(key).startswith("mode=h200-agg-tp8 ("), key
    assert sources.written("backend.type").endswith("recipe.yaml:5")


def test_dry_run_shows_them(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    words = [sys.executable, "-m", "srtctl", "dry-run", "-f", "recipe.yaml", "cluster=local", "--sources"]
    shown = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
    sources = dict(re.findall(r"^(\S+): .*?  # (.*)$", shown, flags=re.MULTILINE))
    assert sources["resources.agg_nodes"] == "recipe.yaml:4"
    assert sources["resources.spread_workers"] == "schema default"


def test_points_that_differ_in_values_look_their_groups_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    looked_up = []
    own = ConfigLoaderImpl.compute_defaults_list

    def counted(self: ConfigLoaderImpl, *arguments: Any, **more: Any) -> Any:
        looked_up.append(arguments)
        return own(self, *arguments, **more)

    found = compose.points(["mode=agg,disagg", "benchmark.isl=range(1,21)", "-m"])
    monkeypatch.setattr(ConfigLoaderImpl, "compute_defaults_list", counted)
    said = [point.sources.of("resources.gpus_per_agg") for point in found]
    assert len(set(said)) == 2
    assert len(looked_up) == 2
    assert [point.sources.of("benchmark.isl") for point in found[:2]] == [
        "command line: benchmark.isl=1",
        "command line: benchmark.isl=2",
    ]
