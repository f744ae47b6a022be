"""The two kinds of recipe: plain files, which say everything themselves, and files with a `defaults:` list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from srtctl.composition import reading
from srtctl.composition.ownership import GROUPS
from srtctl.composition.registration import default_cluster
from srtctl.errors import Problem, Severity, SrtctlError, errors_of
from srtctl.schema import JobConfig
from srtctl.validate.fieldplan import plan_of, registered_types

# The order in which groups are composed: what a mode says about the backend comes after the backend itself.
BASE = "recipe_base"
GROUP_ORDER = ("cluster", "model", "backend", "frontend", "mode", "benchmark", "profiling")

_REFERENCE = re.compile(r"(\\*)\$\{([^}]*)")


@dataclass
class Prepared:
    """A recipe's content and what it extends.

    Attributes:
        config: The content, without `defaults`.
        entries: Defaults list between the base and `_self_`, for the primary config.
        base: What it extends.
        overrides: Entries of the defaults list that override others; they come last.
        dropped: Dotted keys that groups named on the command line replaced.
        warnings: What is odd about it.
        errors: What is wrong with it, and has been left out.
        after_self: Entries behind `_self_`, where the recipe has put it before others.
    """

    config: dict[str, Any]
    entries: list[Any]
    base: list[str]
    overrides: list[Any] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    errors: list[Problem] = field(default_factory=list)
    has_self: bool = False

    def defaults(self) -> list[Any]:
        """The defaults list of a primary config."""
        own = [] if self.has_self else ["_self_"]
        return [*self.base, *self.entries, *own, *self.overrides]

    def nested_defaults(self) -> list[Any]:
        """The defaults list of an option: absolute groups, and without those that the primary config chooses."""
        absolute = [
            {f"/{key}": value for key, value in entry.items()}
            for entry in self.entries
            if isinstance(entry, Mapping) and "???" not in entry.values()
        ]
        return [*absolute, "_self_"]


def prepare_plain(config: dict[str, Any], source: Callable[[str], str], named: set[str]) -> Prepared:
    """A plain recipe: it extends the schema alone, and its `type` keys choose the shape of their nodes.

    Args:
        config: The content; changed in place.
        source: Dotted key -> where it is written.
        named: Groups chosen on the command line (or swept); what they own has been taken out.
    """
    resolved = config.pop("srtctl", None) is not None
    found = [] if resolved else reading.read(config, source)
    problems, warnings = errors_of(found), [problem for problem in found if problem.severity is not Severity.ERROR]
    config = {key: _escape(value, everything=resolved) for key, value in config.items()}
    entries = _shape(config, source, named, {}, problems)
    return Prepared(config, entries, [BASE], warnings=warnings, errors=problems)


def _shape(
    config: dict[str, Any],
    source: Callable[[str], str],
    named: set[str],
    chosen: Mapping[str, Any],
    problems: list[Problem],
) -> list[Any]:
    """Defaults of a recipe that extends the schema alone: a cluster, and the nodes that its `type` keys mean.

    Args:
        chosen: Group -> option that the recipe itself chooses.
        problems: What is wrong already; a `type` that does not exist is added.
    """
    groups: dict[str, Any] = {**dict(chosen), **dict.fromkeys(named, "???")}
    entries: list[Any] = []
    cluster = _cluster_entry(config, set(groups))
    if cluster is not None:
        entries.append({"cluster": cluster})
    for group, default in (("backend", "sglang"), ("benchmark", "manual")):
        if group not in groups:
            option = _type_of(config, group, default, source, problems)
            entries.append({f"schema/{group}@{group}": option})
    return [*entries, *({group: groups[group]} for group in GROUP_ORDER if group in groups)]


def prepare_with_defaults(config: dict[str, Any], source: Callable[[str], str], named: set[str]) -> Prepared:
    """A recipe with a defaults list: it extends conf/config.yaml, so its choices of groups override that one's.

    With `recipe_base` in the list it extends the schema alone, as a plain recipe does, and its groups are all it gets.

    Raises:
        SrtctlError: The list is no list, or includes the recipe itself.
    """
    raw = config.pop("defaults")
    if not isinstance(raw, list):
        allowed = "[mode: disagg, benchmark: sa-1k1k]"
        raise SrtctlError(Problem("defaults", "must be a list", "defaults", raw, allowed, source=source("defaults")))
    if BASE in raw:
        return _on_base(config, raw, source, named)
    entries: list[Any] = []
    overrides: list[Any] = []
    for number, entry in enumerate(raw):
        where = source(f"defaults.{number}")
        if isinstance(entry, str):
            _refuse_itself(entry, where)
            if entry != "config":
                entries.append(entry)
        elif isinstance(entry, dict) and len(entry) == 1:
            _sort_entry(entry, entries, overrides)
        else:
            raise SrtctlError(_no_entry(number, entry, source))
    return Prepared(config, entries, ["config"], overrides, has_self="_self_" in entries)


def _on_base(config: dict[str, Any], raw: list[Any], source: Callable[[str], str], named: set[str]) -> Prepared:
    chosen: dict[str, Any] = {}
    others: list[Any] = []
    for number, entry in enumerate(raw):
        single = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else None
        if single is not None and single[0] in GROUPS:
            chosen[single[0]] = single[1]
        elif single is not None:
            others.append({str(single[0]): single[1]})
        elif isinstance(entry, str):
            _refuse_itself(entry, source(f"defaults.{number}"))
            others += [] if entry in (BASE, "_self_") else [entry]
        else:
            raise SrtctlError(_no_entry(number, entry, source))
    problems: list[Problem] = []
    entries = [*others, *_shape(config, source, named, chosen, problems)]
    return Prepared(config, entries, [BASE], errors=problems)


def _no_entry(number: int, entry: Any, source: Callable[[str], str]) -> Problem:
    where = source(f"defaults.{number}")
    return Problem("defaults", "must be a name or one `group: option`", f"defaults.{number}", entry, source=where)


def _sort_entry(entry: Mapping[str, Any], entries: list[Any], overrides: list[Any]) -> None:
    key, value = next(iter(entry.items()))
    words = str(key).split()
    group = words[-1].lstrip("/")
    if "override" in words:
        overrides.append({str(key): value})
    elif group in GROUPS:  # conf/config.yaml has chosen already: choosing again means overriding
        overrides.append({f"override {group}": value})
    else:
        entries.append({str(key): value})


def _refuse_itself(entry: str, where: str) -> None:
    file = where.rpartition(":")[0].rpartition("/")[2]
    stem = file.rpartition(".")[0]
    if entry in (stem, file, f"./{file}", "srtctl_recipe") and stem != "config":
        raise SrtctlError(
            Problem(
                "recursive-defaults",
                "the recipe includes itself",
                key="defaults",
                value=entry,
                allowed="names of other configs; `config` is always there",
                source=where,
            )
        )


def _type_of(
    config: dict[str, Any], group: str, default: str, source: Callable[[str], str], problems: list[Problem]
) -> str:
    """The type that a node has; where there is no such type, the default, with the keys that all types share."""
    from srtctl.validate.types import unknown_type

    node = config.get(group)
    value = node.get("type", default) if isinstance(node, dict) else default
    if value in registered_types(group):
        return str(value)
    if not any(problem.key == f"{group}.type" for problem in problems):  # else it was refused by name
        problems.append(unknown_type(group, value, source(f"{group}.type")))
    shared = plan_of(plan_of(JobConfig)[group].kind.node or JobConfig)
    config[group] = {key: inner for key, inner in (node or {}).items() if key in shared and key != "type"}
    return default


def _cluster_entry(config: dict[str, Any], named: set[str]) -> str | None:
    """The option of the cluster group; None where the recipe holds a cluster of its own."""
    if "cluster" in named:
        return None
    written = config.get("cluster")
    if isinstance(written, str):
        del config["cluster"]
        return written
    return None if isinstance(written, dict) else default_cluster()


def escaped(value: Any) -> Any:
    """A value whose every `${` is meant as it stands."""
    return _escape(value, everything=True)


def escape_texts(value: Any) -> Any:
    """A value of a plain recipe as composition wants it: `${VARIABLE}` of a shell stays as it stands."""
    return _escape(value, everything=False)


def _escape(value: Any, *, everything: bool) -> Any:
    """Keep `${VARIABLE}` of a shell from being read as a reference to another key.

    Args:
        value: Part of a recipe.
        everything: Escape every `${`; otherwise only those that can't be meant as a reference.
    """
    if isinstance(value, dict):
        return {key: _escape(inner, everything=everything) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escape(inner, everything=everything) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value

    def one(match: re.Match[str]) -> str:
        slashes, inside = match[1], match[2]
        if not everything and (len(slashes) % 2 or _is_reference(inside)):
            return match[0]
        return f"{slashes * 2}\\${{{inside}"

    return _REFERENCE.sub(one, value)


def _is_reference(inside: str) -> bool:
    """Whether `${inside}` can be meant for OmegaConf: a key of the job, a relative key, or a known resolver."""
    from omegaconf import OmegaConf

    from srtctl.composition.shape import top_keys

    name, colon, _ = inside.partition(":")
    if colon:
        return OmegaConf.has_resolver(name.strip())
    first = re.split(r"[.\[]", inside.strip(), maxsplit=1)[0]
    return inside.startswith(".") or first in top_keys()
