"""What of a plain recipe belongs into which group, and what stays in the recipe."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srtctl.backends import mocker, sglang
from srtctl.backends.sglang_releases import release, releases
from srtctl.composition.ownership import OWNED
from srtctl.composition.placeholders import Placeholders
from srtctl.composition.sweeping import set_path

# Flags that placement decides, by the node that they are written in
OWNED_FLAGS = {"sglang_config": (*sglang.OWNED, "kv-events-config"), "mocker_config": mocker.OWNED}
# Benchmarks whose keys are numbers that other recipes use too; a command or a data set stays in its recipe
_SHARED_BENCHMARKS = ("sa-bench",)


@dataclass
class Parts:
    """A recipe taken apart.

    Attributes:
        options: Group -> content of its option, and a name for it.
        body: What stays.
    """

    options: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def split(config: Mapping[str, Any], name: str, parameters: Sequence[str]) -> Parts:
    """Take a recipe's content apart.

    Args:
        config: In keys of ours, without its sweep.
        name: For options that have no better one.
        parameters: Of the sweep; what holds one of their placeholders stays in the recipe, which alone may hold them.
    """
    parts = Parts(body=copy.deepcopy(dict(config)))
    _take_model(parts, parameters)
    _take_mode(parts, name, parameters)
    _take_benchmark(parts, parameters)
    return parts


def option_name(text: str) -> str:
    """A name that Hydra, a shell and a file system take."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.") or "imported"


def parameters_of(sweep: Any) -> list[str]:
    """The names of a sweep's parameters."""
    if not isinstance(sweep, Mapping):
        return []
    inner = sweep.get("parameters")
    return [str(name) for name in (inner if isinstance(inner, Mapping) else sweep)]


def _take_model(parts: Parts, parameters: Sequence[str]) -> None:
    model = parts.body.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("path"), str) or _held(model["path"], parameters):
        return
    fixed, rest = _divided(model, parameters)
    _leave(parts.body, "model", rest)
    name = option_name(model["path"].rstrip("/").rpartition("/")[2].rpartition(":")[2].lower())
    parts.options["model"] = (name, fixed)


def _take_mode(parts: Parts, name: str, parameters: Sequence[str]) -> None:
    mode: dict[str, Any] = {}
    for path in OWNED["mode"]:
        *parents, last = path.split(".")
        node: Any = parts.body
        for part in parents:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            continue
        fixed, rest = _divided(node[last], parameters)
        if isinstance(fixed, dict) and parents[-1] in OWNED_FLAGS:
            fixed, rest = _without_owned(fixed, rest, OWNED_FLAGS[parents[-1]], last)
        _leave(node, last, rest)
        if fixed is not None and fixed != {}:
            set_path(mode, path, fixed)
    for key in ("resources", "backend"):
        for inner in [inner for inner, value in (parts.body.get(key) or {}).items() if value == {}]:
            del parts.body[key][inner]
        if parts.body.get(key) == {}:
            del parts.body[key]
    if mode:
        parts.options["mode"] = (_shape_name(mode) or name, mode)


def _shape_name(mode: Mapping[str, Any]) -> str:
    """`4p1d-dep8-dep32`: workers of each role and how their GPUs work together; empty where that isn't said."""
    resources = mode.get("resources", {})
    flags = mode.get("backend", {}).get("sglang_config", {})
    roles: tuple[str, ...] = ("aggregated",)
    if resources.get("agg_workers"):
        workers = f"{resources['agg_workers']}a"
    elif resources.get("prefill_workers") and resources.get("decode_workers"):
        workers = f"{resources['prefill_workers']}p{resources['decode_workers']}d"
        roles = ("prefill", "decode")
    else:
        return ""
    sizes = [_sizes(flags.get(role) or {}) for role in roles]
    return option_name("-".join(text for text in (workers, *dict.fromkeys(sizes)) if text))


def _without_owned(
    fixed: Mapping[str, Any], rest: Any, owned: Sequence[str], role: str
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Flags that placement decides stay in the recipe: there they bring a warning, in a group they are an error."""
    kept = {
        name: value
        for name, value in fixed.items()
        if _spelled(name) in owned or (_spelled(name) == "disaggregation-mode" and value != role)
    }
    others = {name: value for name, value in fixed.items() if name not in kept}
    return others, {**(rest or {}), **kept} or None


def _spelled(name: str) -> str:
    """A flag's name, whatever spelling of it a recipe has."""
    return release(releases()[-1]).canonical(name)


def _sizes(flags: Mapping[str, Any]) -> str:
    plain = {_spelled(name): value for name, value in flags.items()}
    size = plain.get("tp-size")
    return "" if size is None else f"dep{size}" if plain.get("dp-size", 1) != 1 else f"tp{size}"


def _take_benchmark(parts: Parts, parameters: Sequence[str]) -> None:
    benchmark = parts.body.get("benchmark")
    if not isinstance(benchmark, dict) or benchmark.get("type") not in _SHARED_BENCHMARKS:
        return
    if _held(benchmark, parameters):
        return
    del parts.body["benchmark"]
    kind = str(benchmark["type"])
    values = {key: value for key, value in benchmark.items() if key != "type"}
    content = {"defaults": [f"/schema/benchmark/{kind}@_here_", "_self_"], **values}
    parts.options["benchmark"] = (_benchmark_name(values), content)


def _benchmark_name(values: Mapping[str, Any]) -> str:
    """`sa-8k1k-c512`: prompts, answers and the highest concurrency."""
    lengths = "".join(_short(values.get(key)) for key in ("isl", "osl"))
    from srtctl.benchmarks.ladder import concurrencies_of

    try:
        most = f"-c{max(concurrencies_of(values.get('concurrencies')))}"
    except ValueError:
        most = ""
    return option_name(f"sa-{lengths}{most}")


def _short(length: Any) -> str:
    if isinstance(length, int) and length and length % 1024 == 0:
        return f"{length // 1024}k"
    return f"{length}t" if isinstance(length, int) else ""


def _divided(value: Any, parameters: Sequence[str]) -> tuple[Any, Any]:
    """`value` without placeholders, and what of it has some; None for nothing."""
    if not _held(value, parameters):
        return value, None
    if not isinstance(value, dict) or _placeholder(value, parameters):
        return None, value
    pairs = {key: _divided(inner, parameters) for key, inner in value.items()}
    fixed = {key: pair[0] for key, pair in pairs.items() if pair[1] is None or pair[0] is not None}
    return fixed, {key: pair[1] for key, pair in pairs.items() if pair[1] is not None}


def _placeholder(value: Mapping[str, Any], parameters: Sequence[str]) -> bool:
    """Unquoted `{ name }`: to YAML a mapping with one null value."""
    return len(value) == 1 and next(iter(value)) in parameters and next(iter(value.values())) is None


def _held(value: Any, parameters: Sequence[str]) -> bool:
    found = Placeholders(set(parameters))
    found.replace(value, "")
    return bool(found.used)


def _leave(node: dict[str, Any], key: str, rest: Any) -> None:
    if rest is None:
        del node[key]
    else:
        node[key] = rest


def quoted_placeholders(value: Any, parameters: Sequence[str]) -> Any:
    """`value` with unquoted placeholders as texts."""
    if isinstance(value, dict):
        if _placeholder(value, parameters):
            return f"{{{next(iter(value))}}}"
        return {key: quoted_placeholders(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [quoted_placeholders(inner, parameters) for inner in value]
    return value
