"""Ids that say what was measured: equal ids, equal configuration, whichever release of srtctl computed them.

An id is the start of the SHA-256 of a canonical JSON text: the id version, the config without what does not change
the measurement (transient keys) and without keys that equal their schema default, and the SHA-256 of every referenced
file instead of its path. Sixteen hexadecimal digits (64 bits) are kept: short enough for a directory name and a table,
and among a million configurations the chance of two equal ids is 3 in 10^8.

What is equal and what is not:

* The order of keys, and whether a default is written out, do not matter.
* A typed key is compared as its type: `interval_seconds: 10` is `10.0`. In free maps, such as engine flags, 1, 1.0
  and true stay different, because they become different words on a command line.
* An alias (`cluster.model_paths`, `cluster.containers`) is what it stands for; the tables themselves do not count.
* `backend.type` and `benchmark.type` always count, since the other keys' defaults are theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from srtctl.errors import SrtctlError
from srtctl.schema import BenchmarkConfig, JobConfig, ProfilingPhase
from srtctl.validate.fieldplan import Kind, plan_of
from srtctl.validate.types import build_job

ID_VERSION = 1
ID_DIGITS = 16

_PLACEMENT = ("client_placement", "client_dedicated_node", "colocate_with_frontend")
"""Keys of every benchmark that decide which servers stand where."""

_NOT_OF_THE_JOB = ("model_paths", "containers", "nodes")
"""Keys of a cluster that say what may be asked for, not what was."""


def config_id(job: JobConfig | Mapping[str, Any], *, file_hashes: Mapping[str, str]) -> str:
    """The id of a point.

    Args:
        job: A typed job, or a composed config of plain dicts.
        file_hashes: Dotted key that names a local file (`setup_script`) -> SHA-256 of the file, in hexadecimal.

    Returns:
        Sixteen hexadecimal digits.

    Raises:
        SrtctlError: A plain config does not fit the schema.
    """
    return _digest(canonical_config(job, file_hashes=file_hashes))


def deployment_id(job: JobConfig | Mapping[str, Any], *, file_hashes: Mapping[str, str]) -> str:
    """The id of the servers of a point: all of it but the workload. See `config_id`."""
    return _digest(canonical_config(job, file_hashes=file_hashes, deployment=True))


def canonical_config(
    job: JobConfig | Mapping[str, Any], *, file_hashes: Mapping[str, str], deployment: bool = False
) -> dict[str, Any]:
    """What an id is made of; to be shown when someone asks why two ids differ. See `config_id`."""
    typed = job if isinstance(job, JobConfig) else _typed(job)
    config = _reduced(typed, deployment)
    _resolve_aliases(config, typed)
    files = {}
    for key, digest in sorted(file_hashes.items()):
        if deployment and key.startswith("benchmark."):
            continue
        files[key] = digest
        _drop(config, key)
    return {"id_version": ID_VERSION, "config": config, "files": files}


def _digest(canonical: Mapping[str, Any]) -> str:
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def _typed(config: Mapping[str, Any]) -> JobConfig:
    job, problems = build_job(config)
    if job is None:
        raise SrtctlError(problems)
    return job


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of a node as an id sees it."""

    name: str
    kind: Kind
    default: Any
    always: bool


@cache
def _keys(cls: Any, node: str, deployment: bool) -> tuple[_Key, ...]:
    """The keys of a node that count, with their defaults."""
    keys = []
    for name, plan in plan_of(cls).items():
        if not plan.transient and _counts(cls, node, name, deployment):
            always = name == "type" and node in ("backend", "benchmark")
            default = None if plan.kind.node is not None else _canonical(plan.kind, plan.default())
            keys.append(_Key(name, plan.kind, default, always))
    return tuple(keys)


def _counts(cls: type, node: str, name: str, deployment: bool) -> bool:
    if node == "cluster" and name in _NOT_OF_THE_JOB:
        return False
    if not deployment:
        return True
    if issubclass(cls, BenchmarkConfig):
        return name in _PLACEMENT
    return not issubclass(cls, ProfilingPhase)


def _reduced(value: Any, deployment: bool, node: str = "") -> dict[str, Any]:
    """The keys of a node that count and differ from their default, as JSON values."""
    found: dict[str, Any] = {}
    cls: Any = type(value)
    for key in _keys(cls, node, deployment):
        item = getattr(value, key.name)
        if key.kind.node is not None:
            if item is not None:
                inner = _reduced(item, deployment, key.name)
                # a part that may be absent differs from one that is there and has nothing but defaults
                if inner or key.kind.optional:
                    found[key.name] = inner
        elif key.always or item != key.default or type(item) is not type(key.default):
            item = _canonical(key.kind, item)
            if key.always or item != key.default or type(item) is not type(key.default):
                found[key.name] = item
    return found


def _canonical(kind: Kind, value: Any) -> Any:
    """A value in the one form that stands for all its spellings."""
    if kind.name == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind.name in ("any", "map", "list"):
        return _plain(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def _resolve_aliases(config: dict[str, Any], job: JobConfig) -> None:
    for node, name, table in (
        ("model", "path", job.cluster.model_paths),
        ("model", "container", job.cluster.containers),
        ("frontend", "nginx_container", job.cluster.containers),
        ("benchmark", "container_image", job.cluster.containers),
    ):
        values = config.get(node, {})
        word = values.get(name)
        if isinstance(word, str) and word in table:
            values[name] = table[word]


def _drop(config: dict[str, Any], key: str) -> None:
    """Take a dotted key out, if it is there."""
    *nodes, last = key.split(".")
    for node in nodes:
        inner = config.get(node)
        if not isinstance(inner, dict):
            return
        config = inner
    config.pop(last, None)
