"""Files that hold several jobs: `base` with `override_*` and `zip_override_*`."""

from __future__ import annotations

import copy
import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from srtctl.composition.sweeping import unequal_lists
from srtctl.composition.yamlfile import Document
from srtctl.errors import Problem, SrtctlError, near_words

_PREFIXES = ("override_", "zip_override_")
_INDEXED = re.compile(r"(zip_override_.+)\[(-?\d+)\]")


@dataclass(frozen=True)
class Variant:
    """One job of a file.

    Attributes:
        name: Its selector: `base`, `override_small`, `zip_override_tp[1]`; empty for a file of one job.
        config: Its content.
        lines: Dotted key -> line in the file.
    """

    name: str
    config: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)


def is_multiple(data: Mapping[str, Any]) -> bool:
    """Whether a file holds several jobs."""
    return "base" in data or any(key.startswith(_PREFIXES) for key in data)


def select(document: Document, selector: str) -> list[Variant]:
    """The selected jobs of a file, in order: overrides sorted by name, then zips, each zip's rows in order.

    A file of one job has that one. Without a selector all variants are selected, `base` left out. A glob matches the
    keys; it never matches `base`.

    Raises:
        SrtctlError: The file is not made as such files are, or the selector selects nothing.
    """
    if is_multiple(document.data):
        return _expand(document, selector)
    if not selector:
        return [Variant("", document.data, document.lines)]
    message = f"{document.path.name} has no variants: it holds one job"
    raise SrtctlError(
        Problem(
            "selector",
            message,
            "-f",
            f"{document.path}:{selector}",
            "a file with base and override_NAME keys",
            f"leave `:{selector}` out",
            "command line",
        )
    )


def _expand(document: Document, selector: str) -> list[Variant]:
    data = document.data
    _check_shape(document)
    keys = sorted(k for k in data if k.startswith("override_")) + sorted(k for k in data if k.startswith("zip_"))
    if selector == "base" or (not selector and not keys):
        return [_variant(document, "base", "base", {}, None)]
    indexed = _INDEXED.fullmatch(selector)
    if indexed:
        return [_one_row(document, indexed[1], int(indexed[2]), keys)]
    chosen = _matching(document, selector, keys) if selector else keys
    return [variant for key in chosen for variant in _of_key(document, key)]


def deep_merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`: mappings merge, other values replace, null removes a key; neither input is changed."""
    merged = copy.deepcopy(dict(base))
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = deep_merge(merged[key], value)
        elif isinstance(value, Mapping):
            merged[key] = deep_merge({}, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def zip_rows(changes: Mapping[str, Any], key: str = "", source: str = "") -> list[dict[str, Any]]:
    """The rows of a zip override: all its lists are walked together, lists of one and scalars hold for every row.

    Raises:
        SrtctlError: No list, an empty one, or lists of different lengths.
    """
    lengths = {path: len(values) for path, values in _lists(changes, ())}
    names = {".".join(path): length for path, length in lengths.items()}
    if not names:
        hint = f"say {key.removeprefix('zip_')} for one job, or give lists: one job for each of their rows"
        raise SrtctlError(Problem("zip", "the zip override has no list values", key, hint=hint, source=source))
    empty = [name for name, length in names.items() if length == 0]
    if empty:
        raise SrtctlError(Problem("zip", "the zip override has an empty list", key=f"{key}.{empty[0]}", source=source))
    long = {name: length for name, length in names.items() if length > 1}
    if len(set(long.values())) > 1:
        raise SrtctlError(unequal_lists(key, long, source))
    count = max(names.values())
    return [_row(changes, number) for number in range(count)]


def _lists(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _lists(inner, (*path, key))
        elif isinstance(inner, list):
            yield (*path, key), inner


def _row(value: Any, number: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _row(inner, number) for key, inner in value.items()}
    if isinstance(value, list):
        return copy.deepcopy(value[number if len(value) > 1 else 0])
    return value


def _check_shape(document: Document) -> None:
    problems = []
    for key, value in document.data.items():
        if key != "base" and not key.startswith(_PREFIXES):
            problems.append(
                Problem(
                    "variants",
                    "a file with variants has only these keys at its top",
                    key=key,
                    allowed="base, override_NAME, zip_override_NAME",
                    source=document.source(key),
                    hint=f"move it into base: base.{key}",
                )
            )
        elif not isinstance(value, dict):
            problems.append(Problem("variants", "must be a mapping", key, value, source=document.source(key)))
    if "base" not in document.data:
        problems.append(
            Problem(
                "variants",
                "overrides need something to change: there is no `base`",
                "base",
                allowed="a whole job",
                source=str(document.path),
            )
        )
    if problems:
        raise SrtctlError(problems)


def _of_key(document: Document, key: str) -> list[Variant]:
    changes = document.data[key]
    suffix = _suffix(key)
    if key.startswith("override_"):
        return [_variant(document, key, key, changes, suffix)]
    rows = zip_rows(changes, key, document.source(key))
    listed = isinstance(changes.get("name"), list)
    found = []
    for number, row in enumerate(rows):
        if "name" in row and not listed:
            row["name"] = f"{row['name']}_{number}"
        found.append(_variant(document, f"{key}[{number}]", key, row, f"{suffix}_{number}"))
    return found


def _variant(document: Document, name: str, key: str, changes: Mapping[str, Any], suffix: str | None) -> Variant:
    base = document.data["base"]
    config = deep_merge(base, changes)
    if suffix is not None and "name" not in changes and "name" in base:
        config["name"] = f"{base['name']}_{suffix}"
    lines = _below(document.lines, "base")
    if key != "base":
        lines.update(_below(document.lines, key))
    return Variant(name, config, lines)


def _below(lines: Mapping[str, int], key: str) -> dict[str, int]:
    prefix = f"{key}."
    return {path[len(prefix) :]: line for path, line in lines.items() if path.startswith(prefix)}


def _one_row(document: Document, key: str, number: int, keys: list[str]) -> Variant:
    if key not in keys:
        raise SrtctlError(_not_found(document, f"{key}[{number}]", keys))
    rows = _of_key(document, key)
    if not 0 <= number < len(rows):
        message = f"{key} of {document.path.name} has no row {number}"
        allowed = f"{key}[0] to {key}[{len(rows) - 1}]"
        selector = f"{key}[{number}]"
        raise SrtctlError(Problem("selector", message, "-f", selector, allowed, source="command line"))
    return rows[number]


def _matching(document: Document, selector: str, keys: list[str]) -> list[str]:
    chosen = [key for key in keys if fnmatch.fnmatchcase(key, selector)] or [key for key in keys if key == selector]
    if not chosen:
        raise SrtctlError(_not_found(document, selector, keys))
    return chosen


def _not_found(document: Document, selector: str, keys: list[str]) -> Problem:
    """No variant of the file is selected: which there are, and which one may have been meant."""
    rows = ", zip_override_NAME[N] for one row" if any(key.startswith("zip_") for key in keys) else ""
    is_glob = "*" in selector or "?" in selector
    return Problem(
        "selector",
        f"no variant of {document.path.name} matches" if is_glob else f"{document.path.name} has no such variant",
        "-f",
        selector,
        f"{', '.join(['base', *keys])}{rows}, or a glob such as override_*",
        _suggestion(selector, keys),
        "command line",
    )


def _suggestion(selector: str, keys: list[str]) -> str:
    """The nearest variant, be it named with its prefix or without."""
    word, index = selector.partition("[")[:2]
    if index and word in keys:
        return f"only zip_override_NAME has rows: {word}" if not word.startswith("zip_") else f"a number: {word}[0]"
    names = {**{key: key for key in ["base", *keys]}, **{_suffix(key): key for key in keys}}
    close = near_words(word.strip("*?"), names)
    return f"did you mean {names[close[0]]}?" if close else ""


def _suffix(key: str) -> str:
    return key.removeprefix("zip_").removeprefix("override_")
