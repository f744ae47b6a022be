"""`-f DIRECTORY` and `-f -`."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from srtctl import cli, recipe
from srtctl.errors import SrtctlError
from tests.compose.files import FILES, RECIPES, on_cluster

TINY = """\
name: {name}
model: {{path: "builtin:tiny"}}
resources: {{agg_workers: 1, gpus_per_agg: 1}}
backend: {{type: mocker}}
"""


def directory(tmp_path: Path, **files: str) -> Path:
    place = tmp_path / "recipes"
    for name, text in files.items():
        file = place / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return place


def dry_run(*words: str, tmp_path: Path) -> int:
    return cli.main(["dry-run", *words, "-o", str(tmp_path / "out"), "--json"])


def manifest(tmp_path: Path) -> dict[str, object]:
    found = list((tmp_path / "out").rglob("sweep.json"))
    assert len(found) == 1
    loaded: dict[str, object] = json.loads(found[0].read_text())
    return loaded


def test_every_recipe_below_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = directory(
        tmp_path,
        b=TINY.format(name="second") + "benchmark: {type: sa-bench, isl: '{i}', osl: 8, concurrencies: [1]}\n"
        "sweep: {i: [8, 16]}\n",
        a=TINY.format(name="first"),
        deep__c="base:\n  " + TINY.format(name="third").replace("\n", "\n  ") + "\noverride_x: {environment: {A: b}}\n",
        conf__model__m="path: /somewhere\n",
        srtslurm="cluster: lab\n",
    )
    (place / "notes.yml").write_text("not: a recipe")
    assert dry_run("-f", str(place), "health_check.max_attempts=7", tmp_path=tmp_path) == 0
    written = manifest(tmp_path)
    points = written["points"]
    assert isinstance(points, list)
    assert [point["overrides"][0] for point in points] == [
        "recipe=a.yaml", "recipe=b.yaml", "recipe=b.yaml", "recipe=deep/c.yaml",
    ]  # fmt: skip
    assert [point["index"] for point in points] == [0, 1, 2, 3]
    assert all("health_check.max_attempts=7" in point["overrides"] for point in points)
    assert written["name"] == "recipes"
    sums = "".join(
        f"{hashlib.sha256((place / f).read_bytes()).hexdigest()}  {f}\n" for f in ("a.yaml", "b.yaml", "deep/c.yaml")
    )
    record = written["recipe"]
    assert isinstance(record, dict)
    assert record["sha256"] == hashlib.sha256(sums.encode()).hexdigest()


def test_one_bad_file_stops_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    place = directory(
        tmp_path,
        a=TINY.format(name="good"),
        b=TINY.format(name="bad") + "resuorces: {}\n",
        c=TINY.format(name="huge").replace("agg_workers: 1", "agg_workers: 100000000"),
        d="name: [broken\n",
    )
    assert dry_run("-f", str(place), tmp_path=tmp_path) == 2
    assert "d.yaml:" in capsys.readouterr().err  # what can't be read is said before anything else
    (place / "d.yaml").unlink()
    assert dry_run("-f", str(place), tmp_path=tmp_path) == 2
    said = capsys.readouterr().err
    assert "resuorces" in said
    assert "b.yaml:5" in said
    assert "resources.agg_workers" in said
    assert "c.yaml:3" in said
    assert not (tmp_path / "out").exists()


def test_a_directory_without_recipes(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("name: x")
    with pytest.raises(SrtctlError, match="holds no recipe") as caught:
        recipe.named(str(tmp_path))
    assert caught.value.problems[0].hint == "recipes end in .yaml; rename a.yml"
    with pytest.raises(SrtctlError, match="no variants"):
        recipe.named(f"{tmp_path}:override_x")


@pytest.mark.parametrize("word", ["--cfg=job", "hydra/sweeper=basic"])
def test_what_needs_one_file(tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = directory(tmp_path, a=TINY.format(name="good"))
    assert cli.main(["dry-run", "-f", str(place), word]) == 2
    assert "name one file: -f DIRECTORY/FILE.yaml" in capsys.readouterr().err


def test_paths_lie_beside_each_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    place = directory(
        tmp_path,
        x__a=TINY.format(name="one") + "setup_script: s.sh\n",
        y__a=TINY.format(name="two") + "setup_script: s.sh\n",
    )
    (place / "x/s.sh").write_text("echo x\n")
    (place / "y/s.sh").write_text("echo y\n")
    assert dry_run("-f", str(place), tmp_path=tmp_path) == 0
    texts = {p.parent.name: p.read_text() for p in (tmp_path / "out").rglob("points/*/setup_script.sh")}
    assert texts == {"0000": "echo x\n", "0001": "echo y\n"}


def test_the_published_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_cluster(monkeypatch)
    chosen = [name for name in FILES if name.startswith(("qwen3", "mocker", "sweep"))]
    place = tmp_path / "published"
    place.mkdir()
    for name in chosen:
        (place / name).write_text((RECIPES / name).read_text())
    assert dry_run("-f", str(place), tmp_path=tmp_path) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {point["overrides"][0] for point in shown["points"]} == {f"recipe={name}" for name in chosen}


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    text = TINY.format(name="piped")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert dry_run("-f", "-", tmp_path=tmp_path) == 0
    record = manifest(tmp_path)["recipe"]
    assert record == {"path": "-", "sha256": hashlib.sha256(text.encode()).hexdigest(), "selector": ""}
    monkeypatch.setattr("sys.stdin", io.StringIO("name: x\nresuorces: 3\n"))
    capsys.readouterr()
    assert dry_run("-f", "-", tmp_path=tmp_path) == 2
    assert "stdin:2" in capsys.readouterr().err


def test_a_variant_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("base: {name: x}\noverride_a: {}\noverride_b: {}\n"))
    assert list(recipe.named("-:override_b").recipes[0].contents) == ["override_b"]
