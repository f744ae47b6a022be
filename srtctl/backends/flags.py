"""Engine flags as data: one spelling, layers with their sources, and the argv they become."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srtctl.errors import Problem, Severity
from srtctl.schema import RoleFlags

# Further names of SGLang's flags; the short ones are abbreviations that recipes use.
ALIASES = {
    "attention-context-parallel-size": "attn-cp-size",
    "attention-data-parallel-size": "attn-dp-size",
    "context-bucket": "cuda-graph-prefill-max-context",
    "data-parallel-size": "dp-size",
    "decode-context-parallel-size": "dcp-size",
    "dp": "dp-size",
    "enable-hicache": "enable-hierarchical-cache",
    "ep": "ep-size",
    "expert-parallel-size": "ep-size",
    "hierarchical-sparse-attention-extra-config": "hisparse-config",
    "model": "model-path",
    "moe-data-parallel-size": "moe-dp-size",
    "nccl-init-addr": "dist-init-addr",
    "pipeline-parallel-size": "pp-size",
    "pp": "pp-size",
    "speculative-draft-model": "speculative-draft-model-path",
    "tensor-parallel-size": "tp-size",
    "tp": "tp-size",
}


@dataclass(frozen=True)
class Layered:
    """Flags of one role after layering; `sources` names the config key that each value comes from."""

    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


def canonical(name: str, aliases: Mapping[str, str] = ALIASES) -> str:
    """The one spelling of a flag: kebab-case, no dashes in front, the engine's first name for it."""
    plain = name.lstrip("-").replace("_", "-")
    return aliases.get(plain, plain)


def layer(role: str, layers: Iterable[tuple[str, RoleFlags]], aliases: Mapping[str, str] = ALIASES) -> Layered:
    """Flags of `role`: each layer's `common` under its own role's, later layers over earlier ones.

    Args:
        layers: (config key, flags) pairs, the weakest first.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, flags in layers:
        for part in ("common", role):
            for name, value in getattr(flags, part).items():
                flag = canonical(name, aliases)
                values[flag], sources[flag] = value, f"{key}.{part}.{name}"
    return Layered(values, sources)


def to_argv(flags: Mapping[str, Any]) -> list[str]:
    """Arguments sorted by flag: true is a bare flag, false and null are nothing, a list several values, a dict JSON."""
    argv: list[str] = []
    for name in sorted(flags):
        value = flags[name]
        if value is None or value is False or value == []:
            continue
        option = f"--{name}"
        if value is True:
            argv.append(option)
        elif isinstance(value, (list, tuple)):
            argv += [option, *(_text(item) for item in value)]
        elif _text(value).startswith("-") and not isinstance(value, (int, float)):
            argv.append(f"{option}={_text(value)}")  # argparse would take it for another option
        else:
            argv += [option, _text(value)]
    return argv


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def flag_problems(
    key: str, flags: RoleFlags, owned: Mapping[str, Mapping[str, Any]], aliases: Mapping[str, str] = ALIASES
) -> list[Problem]:
    """Flags written twice under different spellings, and flags that placement decides.

    The latter are warnings here; those who know where a value came from may make them errors (rule `owned-flag`).

    Args:
        owned: Role -> flag -> the value that placement gives it, where it is a fixed one; other values differ from it.
    """
    problems = []
    for part in ("common", "prefill", "decode", "aggregated"):
        seen: dict[str, str] = {}
        for name, value in getattr(flags, part).items():
            flag = canonical(name, aliases)
            if flag in seen:
                problems.append(
                    Problem("doubled-flag", f"the same flag as {seen[flag]}", f"{key}.{part}.{name}", value)
                )
            seen[flag] = name
            if flag in owned[part] and (owned[part][flag] is None or owned[part][flag] != value):
                text = "placement decides this flag; the value given here is not used"
                problems.append(Problem("owned-flag", text, f"{key}.{part}.{name}", value, hint="remove it",
                                        severity=Severity.WARNING))  # fmt: skip
    return problems


def owned_by_role(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """For `flag_problems`: `names` in every part, and the disaggregation mode that is right for each role."""
    modes = {"common": None, "prefill": "prefill", "decode": "decode", "aggregated": "null"}
    return {part: {**dict.fromkeys(names), "disaggregation-mode": mode} for part, mode in modes.items()}
