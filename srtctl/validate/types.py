"""From a plain dict to a typed job: unknown keys, wrong types and missing values, all of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from srtctl.errors import UNSET, Problem, near_words, suggestion
from srtctl.schema import MISSING, JobConfig
from srtctl.validate.fieldplan import REGISTERED, FieldPlan, Kind, plan_of, registered_types, walk
from srtctl.validate.secrecy import looks_secret

_INTEGER = re.compile(r"[+-]?\d+")
_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_BAD = object()


def build_job(config: Mapping[str, Any]) -> tuple[JobConfig | None, list[Problem]]:
    """A composed config as a typed job.

    Maps and lists are shared with `config`, not copied. Scalars are converted as composition does it: `"4"` is an
    integer where one is wanted, `30` is text where text is wanted, an integer is a number.

    Args:
        config: Plain dicts, lists and scalars. The keys under `backend` and `benchmark` are those of their `type`.

    Returns:
        The job, or None when there is a problem; and everything that is wrong, with dotted keys.
    """
    job, problems = build_partial_job(config)
    return (None if problems else job), problems


def build_partial_job(config: Mapping[str, Any]) -> tuple[JobConfig, list[Problem]]:
    """Like `build_job`, with the schema's default in place of every value that is wrong."""
    problems: list[Problem] = []
    job: JobConfig = _build_node(JobConfig, config, "", problems)
    for node in REGISTERED:  # absent or no mapping at all: then it is the default type, with that type's keys
        plan = plan_of(JobConfig)[node]
        if type(getattr(job, node)) is plan.kind.node:
            setattr(job, node, _build_registered(plan, {}, node, problems))
    return job, problems


def _build_node(cls: type, config: Mapping[str, Any], prefix: str, problems: list[Problem]) -> Any:
    plans = plan_of(cls)
    values: dict[str, Any] = {}
    for name, value in config.items():
        plan = plans.get(name)
        if plan is None:
            problems.append(_unknown_key(prefix, name, value, plans))
        elif type(value) in plan.exact and value != MISSING:
            values[name] = value
        else:
            value = _build_value(plan, value, prefix + name, problems)
            if value is not _BAD:
                values[name] = value
    for name, plan in plans.items():
        if plan.mandatory and name not in values and config.get(name, MISSING) == MISSING:
            problems.append(_missing(prefix + name, plan))
    return cls(**values)


def _build_value(plan: FieldPlan, value: Any, key: str, problems: list[Problem]) -> Any:
    if type(value) is str and value == MISSING:
        if not plan.mandatory:  # a mandatory key is reported once, with those that are not there at all
            problems.append(_missing(key, plan))
        return _BAD
    if plan.kind.node is None:
        return _convert(plan.kind, value, key, problems)
    if value is None and plan.kind.optional:
        return None
    if not isinstance(value, Mapping):
        problems.append(_wrong_type(plan.kind, value, key))
        return _BAD
    if key in REGISTERED:
        return _build_registered(plan, value, key, problems)
    return _build_node(plan.kind.node, value, f"{key}.", problems)


def _build_registered(plan: FieldPlan, value: Mapping[str, Any], key: str, problems: list[Problem]) -> Any:
    base = plan.kind.node
    assert base is not None
    chosen = value.get("type", plan_of(base)["type"].default())
    types = _registry(key)
    if isinstance(chosen, str) and chosen in types:
        return _build_node(types[chosen], {"type": chosen, **value}, f"{key}.", problems)
    if chosen == MISSING:
        problems.append(_missing(f"{key}.type", plan_of(base)["type"]))
    else:
        problems.append(unknown_type(key, chosen))
    # its own keys can't be judged; those that all types share can
    known = {name: v for name, v in value.items() if name in plan_of(base) and name != "type"}
    stand_in = types.get(plan_of(base)["type"].default(), base)
    return _build_node(stand_in, known, f"{key}.", problems)


def unknown_type(node: str, chosen: Any, source: str = "") -> Problem:
    """`backend` or `benchmark` has no such type."""
    types = _registry(node)
    return Problem(
        "unknown-option",
        f"there is no such {node}",
        f"{node}.type",
        chosen,
        ", ".join(types),
        suggestion(str(chosen), types),
        source,
    )


@cache
def _registry(node: str) -> dict[str, type]:
    return registered_types(node)


def _convert(kind: Kind, value: Any, key: str, problems: list[Problem]) -> Any:
    """`value` as its kind, or `_BAD` after a problem was noted."""
    if kind.name == "any" or (value is None and kind.optional):
        return value
    if kind.name == "map":
        return _convert_map(kind, value, key, problems)
    if kind.name == "list":
        return _convert_list(kind, value, key, problems)
    converted = _SCALARS[kind.name](value)
    if converted is _BAD:
        problems.append(_wrong_type(kind, value, key))
    return converted


def _convert_map(kind: Kind, value: Any, key: str, problems: list[Problem]) -> Any:
    if not isinstance(value, Mapping):
        problems.append(_wrong_type(kind, value, key))
        return _BAD
    element = kind.element
    assert element is not None
    exact, converted, changed = element.exact, {}, False
    anything = element.name == "any"
    for name, item in value.items():
        if type(name) is not str:
            name, changed = str(name), True
        if not anything and type(item) not in exact:
            item, changed = _convert(element, item, f"{key}.{name}", problems), True
        if item is not _BAD:
            converted[name] = item
    return converted if changed else value


def _convert_list(kind: Kind, value: Any, key: str, problems: list[Problem]) -> Any:
    if not isinstance(value, (list, tuple)):
        problems.append(_wrong_type(kind, value, key))
        return _BAD
    element = kind.element
    assert element is not None
    items = [
        item if type(item) in element.exact else _convert(element, item, f"{key}[{index}]", problems)
        for index, item in enumerate(value)
    ]
    return [item for item in items if item is not _BAD]


def _to_text(value: Any) -> Any:
    return str(value) if isinstance(value, (str, int, float, bool)) else _BAD


def _to_integer(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) < 20 else _BAD


def _to_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return _BAD
    try:
        return float(value)
    except (ValueError, OverflowError):
        return _BAD


def _to_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(value.lower(), _BAD) if isinstance(value, str) else _BAD


_SCALARS = {"str": _to_text, "int": _to_integer, "float": _to_number, "bool": _to_boolean}


def _missing(key: str, plan: FieldPlan) -> Problem:
    meaning = plan.help.rstrip(".")
    return Problem("missing-key", "a value is needed here", key, hint=meaning[:1].lower() + meaning[1:])


def _wrong_type(kind: Kind, value: Any, key: str) -> Problem:
    hint = ""
    if kind.name == "str" and value is None:
        hint = "leave the key out, or write '' for an empty text"
    elif kind.name == "str" and isinstance(value, (Mapping, list, tuple)):
        hint = "put the whole value in quotes, so that it is text and not YAML structure"
    elif kind.name == "list" and isinstance(value, str):
        hint = f"write it as a list: [{', '.join(part.strip() for part in value.split(','))}]"
    return Problem("wrong-type", f"expected {kind.expected}", key, _shown(key, value), hint=hint)


def _shown(key: str, value: Any) -> Any:
    return UNSET if looks_secret(key.rpartition(".")[2], value) else value


def _unknown_key(prefix: str, name: Any, value: Any, plans: Mapping[str, FieldPlan]) -> Problem:
    near = near_words(str(name), plans)
    meant = [prefix + word for word in near] or list(_keys_by_last_part().get(str(name), ()))[:3]
    hint = f"did you mean {' or '.join(near or meant)}?" if meant else ""
    if prefix == "slurm." and not meant:
        hint = f"other options of sbatch: sbatch_directives.{str(name).replace('_', '-')}"
    shown = _shown(str(name), value) if not isinstance(value, (Mapping, list)) else UNSET
    where = prefix.rstrip(".") or "the job"
    # what decides the keys of a node is asked for by everything else
    affects = tuple(key for key in meant if not key.endswith(".type"))
    return Problem(
        "unknown-key", f"{where} has no such key", f"{prefix}{name}", shown, _listed(plans), hint, affects=affects
    )


@cache
def _keys_by_last_part() -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for key, _ in walk():
        if "." in key:
            keys.setdefault(key.rpartition(".")[2], []).append(key)
    for node in REGISTERED:
        for cls in _registry(node).values():
            for key, _ in walk(cls, f"{node}."):
                known = keys.setdefault(key.rpartition(".")[2], [])
                if key not in known:
                    known.append(key)
    return keys


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
