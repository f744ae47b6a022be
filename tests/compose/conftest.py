"""Composition without the settings of whoever runs the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from srtctl import compose, recipe
from srtctl.composed import ComposedPoint


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SRTCTL_CLUSTER", "SRTCTL_CONF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a recipe; returns its path."""

    def write_(text: str, name: str = "recipe.yaml") -> Path:
        path = tmp_path / name
        path.write_text(dedent(text))
        return path

    return write_


@pytest.fixture
def points_of(write: Callable[..., Path]) -> Callable[..., list[ComposedPoint]]:
    """The points of recipe text with overrides and a selector."""

    def points_(text: str, *argv: str, selector: str = "") -> list[ComposedPoint]:
        path = write(text)
        return compose.points(list(argv), recipe.load(path, selector, list(argv)))

    return points_
