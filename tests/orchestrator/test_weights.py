"""Copying a model to a node's disk, and getting one from the hub with the real library from a server of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from srtctl.orchestrator import staging
from srtctl.orchestrator.staging import MARK, RefusedError, stage
from srtctl.plan.programs import Programs
from tests.hub import Hub, commit_of, folder, hub


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model whose weights are links, as in the hub's cache."""
    root, blobs = tmp_path / "shared" / "big", tmp_path / "shared" / "blobs"
    (root / "sub").mkdir(parents=True)
    blobs.mkdir()
    (root / "config.json").write_text("{}")
    (root / "sub" / "more.json").write_text("[]")
    (root / ".git").mkdir()
    (root / ".git" / "objects").write_text("large")
    (blobs / "1").write_bytes(b"w" * 100_000)
    (root / "model.safetensors").symlink_to(blobs / "1")
    return root


def names(directory: Path) -> list[str]:
    return sorted(name for name, _ in staging.files_of(directory) if name != f"{MARK}.lock")


def test_everything_is_copied_once(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "raid" / "big"
    assert stage(source, target) == 100_004
    assert names(target) == [MARK, "config.json", "model.safetensors", "sub/more.json"]
    assert (target / "model.safetensors").read_bytes() == b"w" * 100_000
    assert not (target / "model.safetensors").is_symlink()
    assert stage(source, target) == 0


def test_only_what_is_missing_or_different(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "raid"
    stage(source, target)
    weights = (target / "model.safetensors").stat()
    (source / "config.json").write_text('{"a": 1}')
    (target / "sub" / "more.json").unlink()
    (target / "old.safetensors").write_text("of another release")
    assert stage(source, target) == 10
    assert names(target) == [MARK, "config.json", "model.safetensors", "sub/more.json"]
    assert (target / "model.safetensors").stat().st_ino == weights.st_ino
    assert (target / "config.json").read_text() == '{"a": 1}'


def test_a_file_of_the_same_size_is_told_by_its_time(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "raid"
    stage(source, target)
    (source / "config.json").write_text("[]")
    os.utime(source / "config.json", (1e9, 1e9))
    assert stage(source, target) == 2
    assert (target / "config.json").read_text() == "[]"


def test_the_mark_is_there_only_when_all_is(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "raid"
    stage(source, target)
    (source / "new.safetensors").write_text("x")
    copy = shutil.copystat

    def fails(one: Path, other: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "copystat", fails)
    with pytest.raises(RefusedError, match="Input/output error"):
        stage(source, target)
    assert not (target / MARK).exists()
    monkeypatch.setattr(shutil, "copystat", copy)
    assert stage(source, target) == 1
    assert MARK in names(target)
    assert not [name for name in names(target) if name.endswith(staging.PARTIAL)]


def test_too_little_space(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 3 << 30))
    monkeypatch.setattr(staging, "SPARE_BYTES", 3 << 30)
    with pytest.raises(RefusedError) as refused:
        stage(source, tmp_path / "raid")
    assert str(refused.value) == (
        f"{tmp_path}/raid has not enough space: 0.0 GiB are to be copied, 3.0 GiB are free; "
        "free some, or set model.stage_dir to another disk"
    )
    assert names(tmp_path / "raid") == []


def test_nothing_to_copy(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedError, match="there is nothing in"):
        stage(tmp_path / "empty", tmp_path / "raid")


def test_two_at_a_time(tmp_path: Path, source: Path, pyz: Path) -> None:
    order = {"source": str(source), "target": str(tmp_path / "raid"), "record": str(tmp_path / "r" / "slot0.json")}
    argv = [sys.executable, "-I", "-S", str(pyz), "--stage", json.dumps(order)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("copied 3 of 3 files" in text for text in said) == 1
    assert sum("is complete: nothing to copy" in text for text in said) == 1


FILES = {"config.json": b"{}", "tokenizer.json": b"[1]", "model.safetensors": b"w" * 5000, "original/x.pth": b"y"}
OTHER = {**FILES, "config.json": b'{"release": 2}'}


@pytest.fixture
def server() -> Iterator[Hub]:
    with hub({"acme/big": {"main": FILES, "v2": OTHER}, "acme/words": {"main": FILES}}) as made:
        yield made


def fetch(
    pyz: Path, tmp_path: Path, python: str, models: list[dict[str, Any]], **env: str
) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, what it said, and its record."""
    record = tmp_path / "weights" / "slot0.json"
    order = json.dumps({"models": models, "record": str(record)})
    base = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env = {**base, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **env}
    argv = [python, str(pyz), "--fetch", order]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    found = json.loads(record.read_text()) if record.exists() else []
    return done.returncode, done.stdout + done.stderr, found


def test_a_model_is_fetched_once(tmp_path: Path, pyz: Path, programs: Programs, server: Hub) -> None:
    python, link, words = programs.path("dynamo_python"), tmp_path / "scratch" / "big", tmp_path / "words"
    models = [{"repo": "acme/big", "weights": True, "link": str(link)}, {"repo": "acme/words", "tokenizer": str(words)}]
    code, said, record = fetch(pyz, tmp_path, python, models, HF_ENDPOINT=server.url)
    assert code == 0, said
    wanted = {name: content for name, content in FILES.items() if name != "original/x.pth"}
    assert folder(link) == wanted
    assert folder(words) == {"config.json": b"{}", "tokenizer.json": b"[1]"}
    assert not (words / "config.json").is_symlink()
    assert [(one["repo"], one["commit"], one["path"]) for one in record] == [
        ("acme/big", commit_of(FILES), str(link)), ("acme/words", commit_of(FILES), str(words)),
    ]  # fmt: skip
    assert len(server.got()) == 5
    for env in ({"HF_ENDPOINT": server.url}, {"HF_HUB_OFFLINE": "1"}):  # another node that shares the cache
        other = tmp_path / "other"
        code, said, _ = fetch(pyz, tmp_path, python, [{**models[0], "link": str(other)}], **env)
        assert code == 0, said
        assert folder(other) == wanted
    assert len(server.got()) == 5


def test_a_revision_and_a_copy(tmp_path: Path, pyz: Path, programs: Programs, server: Hub) -> None:
    models = [{"repo": "acme/big", "revision": "v2", "weights": True, "stage": str(tmp_path / "raid")}]
    code, said, record = fetch(pyz, tmp_path, programs.path("dynamo_python"), models, HF_ENDPOINT=server.url)
    assert code == 0, said
    assert (tmp_path / "raid" / "config.json").read_bytes() == OTHER["config.json"]
    assert not (tmp_path / "raid" / "model.safetensors").is_symlink()
    assert record[0]["commit"] == commit_of(OTHER)


REFUSED: Mapping[str, tuple[dict[str, Any], dict[str, str], list[str]]] = {
    "no such model": ({"repo": "acme/none"}, {}, ["acme/none could not be downloaded", "correct model.path"]),
    "no such revision": ({"repo": "acme/big", "revision": "v9"}, {}, ["correct model.revision, which is v9"]),
    "no hub": (
        {"repo": "acme/big"}, {"HF_ENDPOINT": "http://127.0.0.1:9"},
        ["acme/big could not be downloaded", "is the hub reached from this node (HF_ENDPOINT, a proxy)"]),
    "offline and not in the cache": (
        {"repo": "acme/big"}, {"HF_HUB_OFFLINE": "1"}, ["or give its directory as model.path"]),
}  # fmt: skip


@pytest.mark.parametrize(("model", "env", "texts"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_said_in_one_line(
    tmp_path: Path, pyz: Path, programs: Programs, server: Hub,
    model: dict[str, Any], env: dict[str, str], texts: list[str],
) -> None:  # fmt: skip
    models, python = [{**model, "weights": True}], programs.path("dynamo_python")
    code, said, _ = fetch(pyz, tmp_path, python, models, **{"HF_ENDPOINT": server.url, **env})
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert all(text in line for text in texts), line
    assert "Traceback" not in said


def test_a_gated_model_needs_the_token(tmp_path: Path, pyz: Path, programs: Programs) -> None:
    models, python = [{"repo": "acme/big", "weights": True}], programs.path("dynamo_python")
    with hub({"acme/big": {"main": FILES}}, token="hf_secret") as server:
        code, said, _ = fetch(pyz, tmp_path, python, models, HF_ENDPOINT=server.url)
        assert (code, "name the token: pass_environment: [HF_TOKEN]" in said) == (1, True), said
        code, said, _ = fetch(pyz, tmp_path, python, models, HF_ENDPOINT=server.url, HF_TOKEN="hf_secret")
        assert code == 0, said
        assert "hf_secret" not in said


def test_an_interpreter_without_the_library(tmp_path: Path, pyz: Path) -> None:
    base = sys._base_executable  # type: ignore[attr-defined]
    code, said, _ = fetch(pyz, tmp_path, base, [{"repo": "acme/big"}], PYTHONNOUSERSITE="1")
    assert code == 1
    assert f"error: {base} has no huggingface_hub" in said
    assert "give its directory as model.path" in said
