"""`true` and `false` where text is wanted: YAML and Hydra read them as switches, which as text would become `True`.

On the command line it is known what was typed, and that is taken. Of a file only the switch is known, which may have
been written `yes` or `off`; so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from srtctl.composition.shape import kinds_of
from srtctl.errors import Problem

_SWITCHES = ("true", "false")
_PLAIN = re.compile(r"[A-Za-z0-9_.,+-]+")  # values of a comma list, with nothing that has a meaning of its own


def as_typed(words: Iterable[str]) -> list[str]:
    """Overrides, with `true` and `false` in quotes where the key holds text."""
    return [_as_typed(word) for word in words]


def _as_typed(word: str) -> str:
    key, _, value = word.partition("=")
    parts = value.split(",") if _PLAIN.fullmatch(value) else []
    if not any(part.lower() in _SWITCHES for part in parts) or not _holds_text(key.lstrip("+")):
        return word
    quoted = (f"'{part}'" if part.lower() in _SWITCHES else part for part in parts)
    return f"{key}={','.join(quoted)}"


def in_texts(
    config: Mapping[str, Any], parameters: Mapping[str, Sequence[Any] | str], source: Callable[[str], str]
) -> list[Problem]:
    """Switches under keys of text in a recipe's content.

    Args:
        config: The content.
        parameters: Values of the sweep's parameters and config paths.
        source: Dotted key -> where it is written.
    """
    found = []
    for key, value in _leaves(config, ""):
        if isinstance(value, bool) and _holds_text(key):
            found.append(_problem(key, value, source))
        name = value[len("${sweep.") : -1] if isinstance(value, str) and value.startswith("${sweep.") else ""
        if name in parameters and _holds_text(key):
            found += [_problem(f"sweep.{name}", v, source) for v in parameters[name] if isinstance(v, bool)]
    for path, values in parameters.items():
        if "." in path and _holds_text(path):
            found += [_problem(f"sweep.{path}", v, source) for v in values if isinstance(v, bool)]
    return found


def _problem(key: str, value: bool, source: Callable[[str], str]) -> Problem:
    return Problem(
        "wrong-type",
        "expected text; without quotes YAML reads true, yes and on as a switch",
        key,
        value,
        hint=f"put it in quotes, as the program is to get it: '{str(value).lower()}' or '{int(value)}'",
        source=source(key),
    )


def _holds_text(key: str) -> bool:
    kinds = kinds_of(key)
    return bool(kinds) and all(
        kind.name == "str" or (kind.name == "list" and kind.element is not None and kind.element.name == "str")
        for kind, _ in kinds
    )


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value
