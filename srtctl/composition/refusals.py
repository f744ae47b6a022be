"""What composition refuses although Hydra would accept it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from srtctl.composition.ownership import OWNED
from srtctl.errors import Problem, SrtctlError

_COMMAND_LINE = "command line"


def mismatched_types(config: Mapping[str, Any], types: Mapping[str, type]) -> list[Problem]:
    """`backend.type` and `benchmark.type` set to something else than the group that was chosen."""
    from srtctl.validate.fieldplan import registered_types
    from srtctl.validate.types import unknown_type

    problems = []
    for name, cls in types.items():
        field = getattr(cls, "__dataclass_fields__", {}).get("type")
        node = config.get(name)
        found = node.get("type") if isinstance(node, Mapping) else None
        if field is None or cls.__name__ in ("BackendConfig", "BenchmarkConfig") or found == field.default:
            continue
        if found not in registered_types(name):
            problems.append(replace(unknown_type(name, found), affects=(name,)))
            continue
        problems.append(
            Problem(
                "type-of-group",
                f"the keys of {name} are those of {name}={field.default}; choose the group instead of the key",
                key=f"{name}.type",
                value=found,
                allowed=str(field.default),
                hint=f"{name}={found}",
                affects=(name,),
            )
        )
    return problems


def is_sweep(word: str) -> bool:
    """Whether an override stands for several values; one that can't be read does not."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if not any(mark in word.partition("=")[2] for mark in ",("):
        return False
    try:
        return bool(OverridesParser.create().parse_override(word).is_sweep_override())
    except HydraException:
        return False  # Hydra refuses it in a moment, and says why


def ambiguous(words: Iterable[str]) -> dict[str, Problem]:
    """Overrides that sweep although no sweep was asked for: a typo must not become allocations."""
    return {word: _ambiguous(word) for word in words if is_sweep(word)}


def _ambiguous(word: str) -> Problem:
    from srtctl.composition.shape import takes_list

    key, _, value = word.partition("=")
    hint = f"add -m to sweep over it; as text: \"{key}='{value}'\""
    if takes_list(key.lstrip("+")) and "(" not in value:
        hint = f"as a list: '{key}=[{value}]'; add -m to sweep over it"
    return Problem(
        "ambiguous-value",
        "these are several values, but no sweep was asked for",
        key=key,
        value=value,
        allowed="one value, or a sweep with -m",
        hint=hint,
        source=_COMMAND_LINE,
        affects=OWNED.get(key, ()),
    )


def foreign_launcher(name: str) -> SrtctlError:
    """A launcher that is not srtctl's would run the preparation of jobs as a job."""
    return SrtctlError(
        Problem(
            "foreign-launcher",
            "this launcher can't start srtctl's jobs: it would run their preparation instead of them",
            key="hydra/launcher",
            value=name or "not srtctl's",
            allowed="srtctl_local, srtctl_slurm, srtctl_preview",
            hint="leave hydra/launcher out; cluster=... decides how jobs are started",
            source=_COMMAND_LINE,
        )
    )
