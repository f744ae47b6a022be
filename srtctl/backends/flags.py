"""Engine flags as data: one spelling, layers with their sources, and the argv they become."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srtctl.errors import Problem, Severity
from srtctl.schema import RoleFlags

Spell = Callable[[str], str]
"""How a backend spells a flag: the one name of each that is written in several ways."""

Rewrite = Callable[[str, Any, Mapping[str, Any]], "Mapping[str, Any] | None"]
"""(name as written, value, the role's flags so far) -> the flags that stand for it; None where it stays as it is."""


@dataclass(frozen=True)
class Layered:
    """Flags of one role after layering.

    Attributes:
        values: Canonical name -> value.
        sources: Canonical name -> the config key that its value comes from.
        translated: Those that were written under another name.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    translated: frozenset[str] = frozenset()

    def described(self, flags: Iterable[str]) -> dict[str, str]:
        """The sources of some flags, for people: they say what was translated."""
        wanted = {flag if flag in self.sources else flag.removeprefix("no-") for flag in flags}
        return {
            flag: f"{source} (translated)" if flag in self.translated else source
            for flag, source in self.sources.items()
            if flag in wanted
        }


# What argparse takes for a number, not for an option.
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")


def canonical(name: str) -> str:
    """The spelling of a flag without knowledge of its program: kebab-case, no dashes in front."""
    return name.lstrip("-").replace("_", "-")


def _stays(name: str, value: Any, known: Mapping[str, Any]) -> None:
    """No flag is rewritten."""


def layer(
    role: str, layers: Iterable[tuple[str, RoleFlags]], spell: Spell = canonical, rewrite: Rewrite = _stays
) -> Layered:
    """Flags of `role`: each layer's `common` under its own role's, later layers over earlier ones.

    Args:
        layers: (config key, flags) pairs, the weakest first.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    translated: set[str] = set()
    for key, flags in layers:
        for part in ("common", role):
            written = getattr(flags, part)
            own = {spell(name): value for name, value in written.items()}
            for name, value in written.items():
                flag, source = spell(name), f"{key}.{part}.{name}"
                made = rewrite(name, value, {**values, **own})
                for new, its in ({flag: value} if made is None else made).items():
                    if made is not None and new in own:
                        continue  # given under its own name beside the old one: that one counts
                    values[new], sources[new] = its, source
                    (translated.discard if made is None else translated.add)(new)
    return Layered(values, sources, frozenset(translated))


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
        elif _text(value).startswith("-") and _NEGATIVE.fullmatch(_text(value)) is None:
            argv.append(f"{option}={_text(value)}")  # argparse would take it for another option, -1e+16 too
        else:
            argv += [option, _text(value)]
    return argv


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def flag_problems(
    key: str, flags: RoleFlags, owned: Mapping[str, Mapping[str, Any]], spell: Spell = canonical
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
            flag = spell(name)
            if flag in seen:
                text, hint = f"the same flag as {seen[flag]}", f"spell it {seen[flag]}, as it is written already"
                problems.append(Problem("doubled-flag", text, f"{key}.{part}.{name}", value, hint=hint))
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
