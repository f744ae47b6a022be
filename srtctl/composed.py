"""What composition hands on: one plain config per point, and where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from srtctl.errors import Problem


@dataclass(frozen=True)
class Sources:
    """Where values were written: key -> `recipe.yaml:7`, `mode=disagg (conf/mode/disagg.yaml:4)`, `command line`."""

    table: Mapping[str, str] = field(default_factory=dict)

    def of(self, key: str) -> str:
        """The source of `key`, else of its nearest parent that has one, else an empty text."""
        while key:
            if key in self.table:
                return self.table[key]
            key = key.rpartition(".")[0]
        return ""

    def written(self, key: str) -> str:
        """Where the value of exactly this key was written; an empty text when it is the schema's default."""
        return self.table.get(key, "")


@dataclass(frozen=True)
class ComposedPoint:
    """One point of a sweep, as Hydra composed it.

    Attributes:
        index: Its number in the sweep.
        overrides: What distinguishes it and what was said on the command line, as Hydra records it.
        config: Plain dicts, lists and scalars; every interpolation resolved.
        sources: Where the values came from.
        choices: Config group -> chosen option.
        dropped: Recipe keys that a group named on the command line replaced.
        problems: Warnings and notes that composition has about it.
    """

    index: int
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    sources: Sources = Sources()
    choices: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
