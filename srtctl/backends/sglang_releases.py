"""What each release of SGLang takes: its flags and the environment variables it reads, from tables in `assets/sglang`.

The tables are made from the published packages by `srtctl/assets/make_sglang_tables`. Each name has its history: the
releases in which something about it changed, and what it has been from there on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from srtctl.backends.flags import canonical

FLAGS = Path(__file__).resolve().parent.parent / "assets" / "sglang" / "flags.json"
VARIABLES = FLAGS.with_name("variables.json")

# Abbreviations that recipes use although some releases find them ambiguous.
SHORT = {"tp": "tp-size", "dp": "dp-size", "pp": "pp-size", "ep": "ep-size"}
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(?:\.?(a|b|rc|post|dev)(\d+))?")
_STAGES = {"dev": -4, "a": -3, "b": -2, "rc": -1, None: 0, "post": 1}


@cache
def order(version: str) -> tuple[tuple[int, ...], int, int]:
    """What releases are sorted by: 0.5.9 < 0.5.10rc0 < 0.5.10 < 0.5.10.post1; unreadable text comes first."""
    match = _VERSION.match(version)
    if match is None:
        return ((), 0, 0)
    return tuple(int(part) for part in match[1].split(".")), _STAGES[match[2]], int(match[3] or 0)


@dataclass(frozen=True)
class Flag:
    """One flag of one release.

    Attributes:
        name: Canonical spelling, the same in every release that has it.
        kind: `switch` (takes no value), `toggle` (a switch with a `--no-` twin), `str`, `int`, `float`, `human-int`
            (an integer, or 8k), `json`, `ignored` (taken without effect), `refused`, or a type only SGLang knows.
        nargs: argparse's: `+` and `*` take several values, `?` none or one; None: one.
        choices: What is accepted; empty where anything of its kind is.
        default: The release's own.
        deprecated: None, or what the release names in its place (`--flag=value`), which may be an empty text.
    """

    name: str
    kind: str
    aliases: tuple[str, ...] = ()
    nargs: str | None = None
    choices: tuple[Any, ...] = ()
    default: Any = None
    deprecated: str | None = None


@dataclass(frozen=True)
class Release:
    """The flags and variables of one release of SGLang."""

    version: str

    @cached_property
    def flags(self) -> Mapping[str, Flag]:
        """Canonical name -> flag."""
        return {name: _flag(name, spec) for name, spec in raw_flags(self.version).items()}

    @cached_property
    def spellings(self) -> Mapping[str, str]:
        """Every spelling that the release's parser has -> canonical name."""
        found = dict(SHORT)
        for name, flag in self.flags.items():
            found |= dict.fromkeys((name, *flag.aliases), name)
        return found

    def canonical(self, written: str) -> str:
        """The one spelling of a flag: kebab-case without dashes in front, by the name it has in every release.

        A beginning that fits a single flag is that flag, as the release's own parser has it.
        """
        plain = canonical(written)
        if plain in self.spellings:
            return self.spellings[plain]
        if plain.startswith("no-") and self.is_toggle(plain[3:]):
            return plain
        fits = {name for spelling, name in self.spellings.items() if spelling.startswith(plain)}
        return fits.pop() if len(fits) == 1 else plain

    def is_toggle(self, name: str) -> bool:
        """Whether the flag has a `--no-` twin."""
        return name in self.flags and self.flags[name].kind == "toggle"

    @cached_property
    def variables(self) -> frozenset[str]:
        """Environment variables that the release reads."""
        return frozenset(raw_variables(self.version))


def _flag(name: str, spec: Mapping[str, Any]) -> Flag:
    lists = {key: tuple(spec.get(key, ())) for key in ("aliases", "choices")}
    return Flag(name, **{**spec, **lists})


@cache
def _table(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def release(version: str) -> Release:
    """The tables of a release that is among `releases`."""
    return Release(version)


def releases() -> list[str]:
    """Releases with a table, oldest first."""
    return list(_table(FLAGS)["releases"])


def flag_history(name: str) -> dict[str, Any]:
    """First release -> what the flag has been from there on, None where it was gone; empty when it never was."""
    found: dict[str, Any] = _table(FLAGS)["flags"].get(name, {})
    return found


def raw_flags(version: str) -> dict[str, Any]:
    """Flag -> what the table says about it, of one release."""
    found = ((name, _at(history, version)) for name, history in _table(FLAGS)["flags"].items())
    return {name: spec for name, spec in found if spec is not None}


def raw_variables(version: str) -> dict[str, bool]:
    """The variables of one release; a variable's history is the releases where it came and went, in turn."""
    wanted = order(version)
    table: dict[str, list[str]] = _table(VARIABLES)["variables"]
    return {name: True for name, turns in table.items() if sum(order(turn) <= wanted for turn in turns) % 2}


def variable_turns(name: str) -> list[str]:
    """The releases where a variable came and went, in turn; empty when it never was."""
    return list(_table(VARIABLES)["variables"].get(name, ()))


def renamed_variables() -> dict[str, str]:
    """Old name -> new name of variables, as some release said it."""
    return dict(_table(VARIABLES)["renamed"])


def _at(history: Mapping[str, Any], version: str) -> Any:
    found, wanted = None, order(version)
    for since, spec in history.items():
        if order(since) > wanted:
            break
        found = spec
    return found
