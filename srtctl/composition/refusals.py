"""What composition refuses although Hydra would accept it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from srtctl.errors import Problem, SrtctlError

_COMMAND_LINE = "command line"


def mismatched_types(config: Mapping[str, Any], types: Mapping[str, type]) -> list[Problem]:
    """`backend.type` and `benchmark.type` set to something else than the group that was chosen."""
    problems = []
    for name, cls in types.items():
        field = getattr(cls, "__dataclass_fields__", {}).get("type")
        node = config.get(name)
        found = node.get("type") if isinstance(node, Mapping) else None
        if field is not None and cls.__name__ not in ("BackendConfig", "BenchmarkConfig") and found != field.default:
            problems.append(
                Problem(
                    "type-of-group",
                    f"the keys of {name} are those of {name}={field.default}; choose the group instead of the key",
                    key=f"{name}.type",
                    value=found,
                    allowed=str(field.default),
                    hint=f"{name}={found}",
                )
            )
    return problems


def ambiguous(words: Iterable[str]) -> list[Problem]:
    """Overrides that sweep although no sweep was asked for: a typo must not become allocations."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from srtctl.composition.shape import takes_list

    problems = []
    for word in words:
        key, _, value = word.partition("=")
        if not any(mark in value for mark in ",("):
            continue
        try:
            swept = OverridesParser.create().parse_override(word).is_sweep_override()
        except HydraException:
            continue  # Hydra refuses it in a moment, and says why
        if swept:
            hint = f"add -m to sweep over it; as text: \"{key}='{value}'\""
            if takes_list(key.lstrip("+")) and "(" not in value:
                hint = f"as a list: '{key}=[{value}]'; add -m to sweep over it"
            problems.append(
                Problem(
                    "ambiguous-value",
                    "these are several values, but no sweep was asked for",
                    key=key,
                    value=value,
                    allowed="one value, or a sweep with -m",
                    hint=hint,
                    source=_COMMAND_LINE,
                )
            )
    return problems


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
