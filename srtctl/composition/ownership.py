"""Which parts of a job each config group decides, so that naming a group replaces all of them and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_ROLES = ("prefill", "decode", "aggregated")
_MODE_KEYS = (
    *(f"resources.{role}_{what}" for role in ("prefill", "decode", "agg") for what in ("nodes", "workers")),
    *(f"resources.gpus_per_{role}" for role in ("prefill", "decode", "agg")),
    "resources.spread_workers",
    *(f"backend.{config}.{role}" for config in ("sglang_config", "mocker_config") for role in _ROLES),
    *(f"backend.{role}_environment" for role in _ROLES),
)

# group -> the config paths that it decides
OWNED: Mapping[str, tuple[str, ...]] = {
    "model": ("model",),
    "cluster": ("cluster",),
    "mode": _MODE_KEYS,
    "backend": ("backend",),
    "frontend": ("frontend",),
    "benchmark": ("benchmark",),
    "profiling": ("profiling",),
}
GROUPS = tuple(OWNED)

_GROUP_OVERRIDE = re.compile(rf"({'|'.join(GROUPS)})=(?!\s*\{{)")


def named_groups(overrides: Iterable[str]) -> dict[str, str]:
    """Group -> the text after `=`, for every group that an override chooses (`model={...}` sets values instead)."""
    found = {}
    for override in overrides:
        match = _GROUP_OVERRIDE.match(override)
        if match:
            found[match[1]] = override[match.end() :]
    return found


def drop_owned(config: dict[str, Any], groups: Iterable[str]) -> list[str]:
    """Take out of `config` (changed in place) what `groups` decide; returns the dotted keys that were there."""
    dropped = []
    for group in groups:
        for path in OWNED[group]:
            removed = _remove(config, path.split("."))
            if removed is not None:
                dropped += [path] if not isinstance(removed, dict) else [f"{path}.{leaf}" for leaf in leaves(removed)]
    return dropped


def leaves(config: Mapping[str, Any]) -> list[str]:
    """Dotted paths of everything in `config` that is not a mapping with keys."""
    found = []
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found += [f"{key}.{leaf}" for leaf in leaves(value)]
        else:
            found.append(str(key))
    return found


def _remove(config: dict[str, Any], path: list[str]) -> Any:
    for part in path[:-1]:
        inner = config.get(part)
        if not isinstance(inner, dict):
            return None
        config = inner
    return config.pop(path[-1], None)
