"""Which sweep is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from srtctl.errors import SrtctlError
from srtctl.results.select import read_manifest, select_sweep
from srtctl.rundir import output_directory

from .conftest import Writer


@pytest.fixture
def three(output_dir: Path) -> Path:
    Writer(output_dir, "nightly", "20260101-120000-aaaaaa")
    Writer(output_dir, "quick", "20260102-120000-bbbbbb")
    Writer(output_dir, "quick", "20260103-120000-cccccc")
    Writer(output_dir, "dry-runs", "x")
    for manifest in list(output_dir.glob("*/*")):
        (manifest / "sweep.json").write_text('{"points": []}')
    return output_dir


@pytest.mark.parametrize(
    ("wanted", "sweep_id"),
    [
        (None, "20260103-120000-cccccc"),
        ("20260102-120000-bbbbbb", "20260102-120000-bbbbbb"),
        ("quick/20260102-120000-bbbbbb", "20260102-120000-bbbbbb"),
        ("20260101", "20260101-120000-aaaaaa"),
        ("bbbbbb", "20260102-120000-bbbbbb"),
        ("quick", "20260103-120000-cccccc"),  # the latest of that name
        ("night", "20260101-120000-aaaaaa"),
        ("outputs/nightly/20260101-120000-aaaaaa", "20260101-120000-aaaaaa"),
    ],
)
def test_selection(three: Path, wanted: str | None, sweep_id: str) -> None:
    assert select_sweep(wanted, three).sweep_id == sweep_id


def test_a_path_inside_a_sweep(three: Path) -> None:
    inside = three / "nightly/20260101-120000-aaaaaa/points/0000/attempt-0"
    inside.mkdir(parents=True)
    assert select_sweep(str(inside), Path("/nowhere")).sweep_id == "20260101-120000-aaaaaa"


def test_unknown_names_get_a_suggestion(three: Path) -> None:
    with pytest.raises(SrtctlError, match="did you mean nightly") as caught:
        select_sweep("nigthly", three)
    assert caught.value.exit_code == 2


def test_nothing_there(output_dir: Path) -> None:
    with pytest.raises(SrtctlError, match="no run under"):
        select_sweep(None, output_dir)


def test_a_damaged_manifest(three: Path) -> None:
    sweep = select_sweep("nightly", three)
    for text in ("{", "[]", "{}"):
        sweep.manifest.write_text(text)
        with pytest.raises(SrtctlError, match="can't be read"):
            read_manifest(sweep)


def test_where_runs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert output_directory("here") == Path("here")
    monkeypatch.setenv("SRTCTL_OUTPUT_DIR", "/there")
    assert output_directory(None, "/the/cluster's") == Path("/there")
    monkeypatch.delenv("SRTCTL_OUTPUT_DIR")
    assert output_directory(None, "/the/cluster's") == Path("/the/cluster's")
    assert output_directory(None) == Path("outputs")
