"""The recipes of tests/data/recipes, on the cluster of tests/data/recipes-cluster."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from srtctl import compose, recipe
from srtctl.prepare import PreparedPoint, prepare
from srtctl.site import Site

DATA = Path(__file__).parent.parent / "data"
RECIPES = DATA / "recipes"
CLUSTER = DATA / "recipes-cluster" / "srtslurm.yaml"
FILES = sorted(path.name for path in RECIPES.glob("*.yaml"))
HOME = "/home/somebody"  # what the variable RECIPE_HOME of a recipe stands for


def on_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the recipes' cluster."""
    monkeypatch.setenv("SRTSLURM_CONFIG", str(CLUSTER))
    monkeypatch.setenv("RECIPE_HOME", HOME)


@cache
def prepared(path: Path, selector: str = "", *argv: str) -> list[PreparedPoint]:
    """The points of a recipe, checked and planned; once for all tests, as the cluster is always the same.

    Its nodes are like this machine: GPUs that stand beside another processor would ask for programs for that one.
    """
    words = [*argv, f"cluster.architecture={os.uname().machine}"]
    return prepare(compose.points(words, recipe.load(path, selector, words)), Site(path))
