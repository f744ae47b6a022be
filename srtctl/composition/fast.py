"""Points without composing each: Hydra composes once per choice of groups, value overrides go into a plain copy.

A value still goes through OmegaConf's own update of the typed config once, so that conversion and refusal are
Hydra's; what comes out is put into a copy of the resolved dict that shares everything else with it. Values that
depend on others by interpolation are read again from the typed config, for each point.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from srtctl.composition.ownership import GROUPS

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from srtctl.composition.points import Axis

Path = tuple[Any, ...]

# Texts whose meaning in Hydra's override grammar is certain; all others are left to its parser, which is slow.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_NOT_TEXT = frozenset({"true", "false", "null", "nan", "inf"})


def cannot_be_fast(axes: Sequence[Axis]) -> bool:
    """Whether this sweep has to be composed by stock Hydra, point by point.

    The shortcut applies the swept values last, so no other override may touch the same part of the config; and it
    knows plain changes of values only.
    """
    swept = [axis for axis in axes if axis.swept and not axis.group]
    if any(not axis.plain for axis in axes if axis.swept):
        return True
    if any("${" in text or "[" in axis.key for axis in swept for text in axis.texts):
        return True
    if any(text.startswith(f"{axis.key}={{") for axis in swept for text in axis.texts if axis.key != "sweep"):
        return True
    keys = [axis.key.lstrip("+~").split(".") for axis in axes if not axis.group]
    ours = [axis.key.lstrip("+").split(".") for axis in swept]
    return any(sum(_overlap(mine, other) for other in keys) > 1 for mine in ours)


def _overlap(left: list[str], right: list[str]) -> bool:
    shared = min(len(left), len(right))
    return left[:shared] == right[:shared]


class Base:
    """One composed config and the points that differ from it in values only.

    Attributes:
        plain: The job, resolved: dicts, lists and scalars.
        choices: Group -> option.
        types: Top-level key -> its dataclass, for nodes that have one.
    """

    def __init__(self, config: DictConfig):
        from omegaconf import OmegaConf

        self._config = config
        self._live: DictConfig | None = None
        self._applied: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._dependents: list[Path] | None = None
        self.plain = to_plain(config)
        self.choices = choices_of(config)
        self.types: dict[str, type] = {}
        for name in ("backend", "benchmark"):
            if name in config and OmegaConf.is_config(config[name]):
                self.types[name] = OmegaConf.get_type(config, name) or dict

    def with_overrides(self, texts: Sequence[str]) -> dict[str, Any] | None:
        """The job with the overrides `texts` applied; None where only stock Hydra can tell.

        The result shares whatever is not overridden with other points: it must not be changed.
        """
        if not texts:
            return self.plain
        changes: list[tuple[Path, Any]] = []
        for text in texts:
            key = text.partition("=")[0]
            path = tuple(key.lstrip("+").split("."))
            if not self._reachable(path):
                return None
            changes.append((path, self._value(key, path, text)))
        for path in self._interpolated(changes):
            changes.append((path, _read(self._live, path)))
        return _changed(self.plain, changes)

    def _reachable(self, path: Path) -> bool:
        """All parents are mappings of this config's own (no lists, nothing that is referred to)."""
        from omegaconf import DictConfig, OmegaConf

        node: Any = self._live if self._live is not None else self._config
        for part in path[:-1]:
            if not isinstance(node, DictConfig) or part not in node or OmegaConf.is_interpolation(node, part):
                return False
            node = node[part]
        return isinstance(node, DictConfig)

    def _value(self, key: str, path: Path, text: str) -> Any:
        """What the override leaves at `path`, converted to the type that the schema wants."""
        from omegaconf import OmegaConf

        if self._live is None:
            self._live = copy.deepcopy(self._config)
        needed = text not in self._values or bool(self._dependents_of_config())
        if needed and self._applied.get(key) != text:
            self._applied.pop(key, None)
            force = key.startswith("++")
            OmegaConf.update(self._live, key.lstrip("+"), parse_value(text), merge=True, force_add=force)
            self._applied[key] = text
        if text not in self._values:
            self._values[text] = _read(self._live, path)
        return self._values[text]

    def _dependents_of_config(self) -> list[Path]:
        """Paths of values that refer to others."""
        if self._dependents is None:
            self._dependents = list(_find_references(_unresolved(self._config), ()))
        return self._dependents

    def _interpolated(self, changes: Sequence[tuple[Path, Any]]) -> list[Path]:
        overridden = [path for path, _ in changes]
        return [path for path in self._dependents_of_config() if not any(path[: len(o)] == o for o in overridden)]


def parse_value(text: str) -> Any:
    """The value of the override `text`, as Hydra's grammar reads it."""
    value = text.partition("=")[2]
    if _INTEGER.fullmatch(value):
        return int(value)
    if _FLOAT.fullmatch(value):
        return float(value)
    if _WORD.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(text).value()


def to_plain(config: DictConfig) -> dict[str, Any]:
    """The job's part of a composed config, resolved; values that are still missing stay `???`."""
    return {str(key): _read(config, (key,)) for key in config if key != "hydra"}


def choices_of(config: DictConfig) -> dict[str, str]:
    """Group -> option, for srtctl's groups; a recipe's `type` keys count as choices."""
    found = {}
    for group, option in config.hydra.runtime.choices.items():
        name = str(group)
        if name.startswith("schema/"):
            name = name.removeprefix("schema/").partition("@")[0]
        if name in GROUPS and option is not None:
            found[name] = str(option)
    return found


def _read(config: Any, path: Path) -> Any:
    from omegaconf import Container, OmegaConf

    for part in path[:-1]:
        config = config[part]
    if OmegaConf.is_missing(config, path[-1]):
        return "???"
    value = config[path[-1]]
    return OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value


def _unresolved(config: DictConfig) -> dict[str, Any]:
    from omegaconf import OmegaConf

    found: dict[str, Any] = {}
    for key in config:
        if key != "hydra":
            if OmegaConf.is_interpolation(config, key):
                found[str(key)] = "${"
            elif not OmegaConf.is_missing(config, key):
                value = config[key]
                found[str(key)] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return found


def _find_references(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, str):
        if "${" in value:
            yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _find_references(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _find_references(inner, (*path, number))


def _changed(plain: dict[str, Any], changes: Sequence[tuple[Path, Any]]) -> dict[str, Any]:
    """A copy with `changes` made, sharing what they don't touch."""
    root = dict(plain)
    fresh: dict[Path, Any] = {(): root}
    for path, value in changes:
        node = root
        for depth, part in enumerate(path[:-1], 1):
            prefix = path[:depth]
            if prefix not in fresh:
                fresh[prefix] = copy.copy(node[part])
                node[part] = fresh[prefix]
            node = fresh[prefix]
        node[path[-1]] = value
    return root
