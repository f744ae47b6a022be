"""What a resolved config is written as is read back as the same values, by the reader that recipes go through."""

from __future__ import annotations

import pytest

from srtctl.composition import yamlfile
from srtctl.yamltext import dump_sections

TEXTS = [
    "1e3", "1E5", "6.e2", ".5e1", "-1e-3", "1_000", "0o7", "0x1F", "01", "on", "off", "yes", "null", "~", "true",
    "12:30:45", "4:00:00", "2026-01-01", "", " a", "a ", "#x", "@x", "{a}", "[", "!x", "%x", "&a", "*a", "a: b", "a #b",
    "'q'", '"q"',
    "two\nlines", "tab\t", "ü", "${x}", "=", "<<",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_texts_stay_texts(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(dump_sections({"environment": {"VALUE": text}}))
    assert yamlfile.read(path).data["environment"] == {"VALUE": text}


@pytest.mark.parametrize("number", [1, 1000.0, 1e22, 0.85, 1e-7, -3, True, None])
def test_numbers_stay_numbers(tmp_path, number):
    path = tmp_path / "config.yaml"
    path.write_text(dump_sections({"settings": {"value": number}}))
    value = yamlfile.read(path).data["settings"]["value"]
    assert value == number
    assert type(value) is type(number)


def test_sections_are_the_whole():
    import yaml

    config = {"name": "x", "model": {"path": "p", "list": [1, "1e3"]}, "tags": []}
    assert dump_sections(config) == yaml.safe_dump(config, sort_keys=False).replace("- 1e3", "- '1e3'")
