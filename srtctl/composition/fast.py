"""Points without composing each: Hydra composes once per choice of groups, value overrides go into a plain copy.

A value still goes through OmegaConf's own update of the typed config once, so that conversion and refusal are
Hydra's; what comes out is put into a copy of the resolved dict that shares everything else with it. Values that
depend on others by interpolation are read again from the typed config, for each point.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srtctl.composition.ownership import GROUPS

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from srtctl.composition.axis import Axis

Path = tuple[Any, ...]

# Texts whose meaning in Hydra's override grammar is certain; all others are left to its parser, which is slow.
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)\}")
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
        self._memory: dict[tuple[Any, ...], Any] = {}
        self._references: dict[Path, tuple[str, ...] | None] | None = None
        self._plans: dict[tuple[str, ...], _Plan | None] = {}
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
        keys = tuple(text.partition("=")[0] for text in texts)
        if keys not in self._plans:
            self._plans[keys] = self._plan(keys)
        plan = self._plans[keys]
        if plan is None:
            return None
        changes = [
            (path, self._remembered((path, text), path, texts)) for path, text in zip(plan.paths, texts, strict=True)
        ]
        for path, parts in plan.dependents:
            memory = None if parts is None else (path, *(texts[part] for part in parts))
            changes.append((path, self._remembered(memory, path, texts)))
        return _changed(self.plain, changes)

    def _plan(self, keys: tuple[str, ...]) -> _Plan | None:
        """What has to be read again when `keys` are overridden; None where that can't be said."""
        paths = [tuple(key.lstrip("+").split(".")) for key in keys]
        if not all(self._reachable(path) for path in paths):
            return None
        if self._references is None:
            self._references = dict(_find_references(_unresolved(self._config), ()))
        names = {".".join(path): number for number, path in enumerate(paths)}
        dependents: list[tuple[Path, tuple[int, ...] | None]] = []
        for path, referred in self._references.items():
            if any(path[: len(own)] == own for own in paths):
                continue  # overridden itself
            if referred is None or not all(self._is_settled(name, names) for name in referred):
                dependents.append((path, None))
            else:
                dependents.append((path, tuple(names[name] for name in referred if name in names)))
        return _Plan(tuple(paths), tuple(dependents))

    def _is_settled(self, name: str, overridden: Mapping[str, int]) -> bool:
        """Whether the value at `name` depends on the override of `name` alone, or on none."""
        if name in overridden:
            return True
        path = name.split(".")
        others = [*(other.split(".") for other in overridden), *(list(map(str, p)) for p in self._references or {})]
        return not any(_overlap(path, other) for other in others)

    def _reachable(self, path: Path) -> bool:
        """All parents are mappings of this config's own (no lists, nothing that is referred to)."""
        from omegaconf import DictConfig, OmegaConf

        node: Any = self._config
        for part in path[:-1]:
            if not isinstance(node, DictConfig) or part not in node or OmegaConf.is_interpolation(node, part):
                return False
            node = node[part]
        return isinstance(node, DictConfig)

    def _remembered(self, memory: tuple[Any, ...] | None, path: Path, texts: Sequence[str]) -> Any:
        """The value at `path` of the point with the overrides `texts`, converted as the schema wants it.

        Args:
            memory: What the value depends on; None when it has to be read each time.
            path: Which value.
            texts: The overrides.
        """
        if memory is not None and memory in self._memory:
            return self._memory[memory]
        self._bring_up(texts)
        value = _read(self._live, path)
        if memory is not None:
            self._memory[memory] = value
        return value

    def _bring_up(self, texts: Sequence[str]) -> None:
        """Make the typed config that of the point with the overrides `texts`."""
        from omegaconf import OmegaConf

        if self._live is None:
            self._live = copy.deepcopy(self._config)
        for text in texts:
            key = text.partition("=")[0]
            if self._applied.get(key) != text:
                self._applied.pop(key, None)
                force = key.startswith("++")
                OmegaConf.update(self._live, key.lstrip("+"), parse_value(text), merge=True, force_add=force)
                self._applied[key] = text


@dataclass(frozen=True)
class _Plan:
    """What overriding certain keys changes.

    Attributes:
        paths: The overridden ones.
        dependents: Those that refer to others, with the numbers of the overrides that they depend on; None: unknown.
    """

    paths: tuple[Path, ...]
    dependents: tuple[tuple[Path, tuple[int, ...] | None], ...]


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

    job = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return {str(key): value for key, value in OmegaConf.to_container(job).items()}  # type: ignore[union-attr]


def _find_references(value: Any, path: Path) -> Iterator[tuple[Path, tuple[str, ...] | None]]:
    """Paths of values that refer to others, with the keys they name; None where that takes more than reading them."""
    if isinstance(value, str):
        if "${" in value:
            names = _REFERENCE.findall(value)
            simple = value.count("${") == len(names) and "\\" not in value
            yield path, tuple(names) if simple else None
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
