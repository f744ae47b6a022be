"""Hydra's own flags through our command line, and how argv is rearranged for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from srtctl import compose, recipe
from srtctl.composition.arguments import Arguments, opened, split
from srtctl.composition.shape import adds_keys


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a=1 -m b=2", Arguments(("a=1", "b=2"), (), True)),
        ("--multirun a=1", Arguments(("a=1",), (), True)),
        ("--cfg job a=1 -p model", Arguments(("a=1",), ("--cfg", "job", "-p", "model"))),
        ("--cfg=job a=1", Arguments(("a=1",), ("--cfg=job",))),
        ("--info a=1", Arguments(("a=1",), ("--info",))),
        ("--info defaults-tree a=1", Arguments(("a=1",), ("--info", "defaults-tree"))),
        ("-cd dir a=1 --resolve", Arguments(("a=1",), ("-cd", "dir", "--resolve"))),
        ("-sc query=bash", Arguments(("query=bash",), ("-sc",))),
        ("~a +b=1", Arguments(("~a", "+b=1"), ())),
    ],
)
def test_overrides_first_flags_after(line: str, expected: Arguments) -> None:
    assert split(line.split()) == expected


def test_only_keys_of_the_users_making_are_opened() -> None:
    words = ["environment.A=1", "benchmark.isl=2", "mode=agg", "+x.y=1", "cluster.model_paths={a: b}", "tags=[a]"]
    assert list(opened(words, adds_keys)) == [
        "++environment.A=1",
        "benchmark.isl=2",
        "mode=agg",
        "+x.y=1",
        "++cluster.model_paths={a: b}",
        "tags=[a]",
    ]


def test_cfg_job(capsys: pytest.CaptureFixture[str]) -> None:
    compose.run(["mode=disagg", "-m", "--cfg", "job"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["resources"]["prefill_workers"] == 1
    assert "hydra" not in config


def test_cfg_of_a_part_of_a_recipe(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = write("name: 'x{n}'\nbenchmark: {type: sa-bench, isl: '{n}'}\nsweep: {n: [7, 8]}\n")
    compose.run(["--cfg", "job", "-p", "benchmark", "--resolve"], recipe.load(path))
    assert yaml.safe_load(capsys.readouterr().out)["isl"] == 7


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--info", "defaults-tree", "mode=disagg"], ["mode: disagg", "schema/backend/mocker"]),
        (["--info", "searchpath"], ["conf"]),
        (["--info", "plugins"], ["SrtSweeper", "SrtPreviewLauncher"]),
        (["--hydra-help"], ["--shell-completion", "hydra/launcher:"]),
        (["--help"], ["mode: agg", "benchmark: aiperf, custom"]),
        (["-sc", "install=bash"], ["complete"]),
    ],
)
def test_flags_that_show_something(argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    compose.run(argv)
    shown = capsys.readouterr().out
    for word in words:
        assert word in shown


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Composing writes no file and leaves the process as it was."""
    import logging
    import os
    import sys

    monkeypatch.chdir(tmp_path)
    before = (list(sys.argv), dict(os.environ), list(logging.getLogger().handlers))
    compose.points(["mode=agg,disagg", "-m"])
    assert (list(sys.argv), dict(os.environ), list(logging.getLogger().handlers)) == before
    assert list(tmp_path.iterdir()) == []
