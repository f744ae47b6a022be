"""Files that are no recipes, and what YAML makes of what people write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from srtctl import recipe
from srtctl.composition import yamlfile
from srtctl.errors import Problem, SrtctlError


def problems_of(path: Path) -> list[Problem]:
    with pytest.raises(SrtctlError) as caught:
        recipe.load(path)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("content", "rule", "words", "line"),
    [
        (b"", "recipe-file", "empty", None),
        (b"# only a comment\n", "recipe-file", "empty", None),
        (b"- a\n- b\n", "recipe-file", "list", None),
        (b"just text\n", "recipe-file", "single text", None),
        (b"\x7fELF\x00\x01", "recipe-file", "binary", None),
        (b"name: caf\xe9\n", "recipe-file", "not UTF-8: byte 0xe9 at offset 9", 1),
        (b"a: 1\nname: caf\xe9\n", "recipe-file", "not UTF-8", 2),
        (b"\xff\xfen\x00a\x00", "recipe-file", "binary", None),
        (b"a: 1\nb: [1, 2\nc: 3\n", "yaml-syntax", "broken YAML", 3),
        (b"a: 1\n\tb: 2\n", "yaml-syntax", "broken YAML", 2),
        (b"a: 'x\n", "yaml-syntax", "broken YAML", 2),
        (b"a: &a [*b]\n", "yaml-syntax", "alias", 1),
        (b"a: 1\n---\nb: 2\n", "yaml-syntax", "document", 2),
        (b"a: !!python/object/apply:os.system [ls]\n", "yaml-tag", "os.system", 1),
        (b"a: !!python/name:os.system\n", "yaml-syntax", "could not determine a constructor", 1),
        (b"a: &x [*x]\n", "yaml-aliases", "inside", 1),
        (b"name: a\nname: b\n", "duplicate-key", "lines 1 and 2", 2),
        (b"on: 1\n", "yaml-key", "not text", 1),
        (b"a: {b: {c: 1, c: 2}}\n", "duplicate-key", "written twice", 1),
    ],
)
def test_no_recipes(tmp_path: Path, content: bytes, rule: str, words: str, line: int | None) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    found = problems_of(path)[0]
    assert found.rule == rule
    assert words in found.message
    if line is not None:
        assert found.source == f"{path}:{line}"


def test_all_duplicates_at_once(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nmodel:\n  path: x\n  path: y\nname: b\n")
    assert sorted((p.key, p.source) for p in problems_of(path)) == [("model.path", f"{path}:4"), ("name", f"{path}:5")]


def test_directory_missing_and_suggestion(tmp_path: Path) -> None:
    assert "directory" in problems_of(tmp_path)[0].message
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    missing = problems_of(tmp_path / "recip.yaml")[0]
    assert "no such file" in missing.message
    assert missing.hint == f"did you mean {tmp_path / 'recipe.yaml'}?"


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: x\n")

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "can't be read: Permission denied" in problems_of(path)[0].message


@pytest.mark.parametrize("size", [yamlfile.MAX_BYTES + 1, 10_000_000])
def test_large_files_are_refused_unread(tmp_path: Path, size: int) -> None:
    path = tmp_path / "recipe.yaml"
    with path.open("wb") as file:
        file.truncate(size)
    found = problems_of(path)[0]
    assert "too large" in found.message
    assert found.allowed == "at most 1 MiB"


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    path.write_text("\n".join(lines))
    assert problems_of(path)[0].rule == "yaml-aliases"


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("a: " + "[" * 5000 + "]" * 5000)
    assert problems_of(path)[0].rule in ("yaml-depth", "yaml-syntax")


@pytest.mark.parametrize(
    "text",
    """on no yes off 1e3 1_000 0x10 010 0.85 .5 -1 +2 ~ null 2026-11-23 1. 1e-5 .inf 4x '4' "on" fp8_e4m3 1x4x8 0b11
    12e03 1.5e3""".split(),
)
def test_values_are_what_omegaconf_reads(text: str) -> None:
    ours = yamlfile.parse(Path("r.yaml"), f"key: {text}\n").data["key"]
    theirs = OmegaConf.to_container(OmegaConf.create(f"key: {text}\n"))["key"]  # type: ignore[index, call-overload]
    assert (ours, type(ours)) == (theirs, type(theirs))


def test_times_stay_text() -> None:
    data = yamlfile.parse(Path("r.yaml"), "a: 4:00:00\nb: 10:30\nc: .nan\n").data
    assert (data["a"], data["b"]) == ("4:00:00", "10:30")
    assert math.isnan(data["c"])


def test_lines_of_every_key() -> None:
    document = yamlfile.parse(Path("r.yaml"), "name: x\nmodel:\n  path: p\n\n  name: n\nlist:\n  - a: 1\n")
    assert document.lines == {
        "name": 1,
        "model": 2,
        "model.path": 3,
        "model.name": 5,
        "list": 6,
        "list.0": 7,
        "list.0.a": 7,
    }
    assert document.source("model.path.deeper") == "r.yaml:3"


def test_merge_keys_work() -> None:
    text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n"
    assert yamlfile.parse(Path("r.yaml"), text).data["y"] == {"a": 1, "b": 3}
