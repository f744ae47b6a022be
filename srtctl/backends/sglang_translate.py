"""SGLang's flags under the names of another release: what replaced a flag, and the flags that come out of it.

What a release itself names in place of a deprecated flag is in its table, and holds for the releases that no longer
have the flag. Only what no release says is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from srtctl.backends.sglang_releases import Flag, Release, flag_history, release, releases

GONE = "ignored", "refused"
_TARGET = re.compile(r"--(?P<head>[\w-]*)(?:\{(?P<parts>[\w,-]+)\})?(?P<tail>[\w-]*)(?:=(?P<value>\w+))?")

# Old values of a flag that was replaced -> the new flag's, and back.
VALUES = {"in-seq-split": "zigzag", "round-robin-split": "interleave"}  # deprecation texts of 0.5.14
VALUES |= {new: old for old, new in VALUES.items()}

# Renamed from one release to the next without a word in the parser: names that differ, values of the same kind.
RENAMED = {"kt-amx-method": "kt-method", "kt-amx-weight-path": "kt-weight-path"}

# Without effect, and without one for long before they went: left out.
NO_EFFECT = {
    "prefill-round-robin-balance": "ignored since 0.5.8, where load-balance-method took its place",
    "enable-piecewise-cuda-graph": "on by default since 0.5.10",
    "collect-tokens-histogram": "part of enable-metrics since 0.5.11",
}

# Old flag -> the flag whose value is that of another one.
AS_LARGE_AS = {"enable-ep-moe": ("ep-size", "tp-size"), "enable-dp-attention": ("attn-dp-size", "dp-size")}


@dataclass(frozen=True)
class Replacement:
    """What stands for a flag in a release.

    Attributes:
        flags: The new flag -> its fixed value, None where it keeps the old one's; empty: leave the flag out.
        why: For a flag that is left out.
    """

    flags: Mapping[str, str | None]
    why: str = ""

    def __str__(self) -> str:
        words = (f"--{name}" + (f"={value}" if value else "") for name, value in self.flags.items())
        return " and ".join(words)


def taken(wanted: Release, name: str) -> bool:
    """Whether the release takes a flag and does something with it."""
    flag = wanted.flags.get(name)
    return flag is not None and flag.kind not in GONE


def replacement(name: str, wanted: Release) -> Replacement | None:
    """What stands for a flag that the release doesn't take; None where nothing is known.

    Args:
        name: Canonical spelling.
    """
    for flags, why in _candidates(name, wanted):
        if all(taken(wanted, flag) for flag in flags):
            return Replacement(flags, why)
    return None


def _candidates(name: str, wanted: Release) -> Iterator[tuple[dict[str, str | None], str]]:
    if name in NO_EFFECT:
        yield {}, NO_EFFECT[name]
    if name in AS_LARGE_AS:
        yield {AS_LARGE_AS[name][0]: None}, ""
    for old, new in RENAMED.items():
        if name in (old, new):
            yield {new if name == old else old: None}, ""
    for text in reversed(_said(name)):
        yield targets(text), ""
    for old in _older_names(name):
        yield {old: None}, ""
    for version in reversed(releases()):  # an alias that another release has
        yield {release(version).spellings.get(name, name): None}, ""


def _said(name: str) -> list[str]:
    """What releases named in place of the flag, oldest first."""
    found = [spec.get("deprecated") for spec in flag_history(name).values() if spec]
    return [text for text in found if text and _TARGET.fullmatch(text)]


def _older_names(name: str) -> list[str]:
    """Flags in place of which some release named this one."""
    newest = (release(version).flags for version in reversed(releases()))
    found = (old.name for flags in newest for old in flags.values() if old.deprecated == f"--{name}")
    return list(dict.fromkeys(found))


def targets(text: str) -> dict[str, str | None]:
    """`--cuda-graph-backend-{decode,prefill}=disabled` as the flags and values that it means."""
    match = _TARGET.fullmatch(text)
    assert match is not None
    parts = match["parts"].split(",") if match["parts"] else [""]
    return {f"{match['head']}{part}{match['tail']}": match["value"] for part in parts}


def rewritten(name: str, value: Any, known: Mapping[str, Any], wanted: Release) -> dict[str, Any] | None:
    """The flags that stand for one flag of an older (or newer) release; None where it can stay, or must.

    Args:
        name: Canonical spelling.
        known: The role's other flags, for those that repeat another's value.
    """
    if taken(wanted, name):
        return None
    found = replacement(name, wanted)
    if found is None:
        return None
    if value is None or value is False:
        return {}
    if (
        value is True
        and name not in AS_LARGE_AS
        and any(
            fixed is None and wanted.flags[flag].kind not in ("switch", "toggle") for flag, fixed in found.flags.items()
        )
    ):
        return None  # a switch became a choice that nobody can make for its user
    if name in AS_LARGE_AS:
        new, as_large = AS_LARGE_AS[name]
        return {new: known.get(as_large, 1)} if new in found.flags else {}
    return {flag: _value(value, fixed, wanted.flags[flag]) for flag, fixed in found.flags.items()}


def _value(value: Any, fixed: str | None, flag: Flag) -> Any:
    if fixed is not None:
        return fixed
    if flag.kind == "switch":
        return True
    mapped = VALUES.get(value, value) if isinstance(value, str) else value
    return mapped if mapped in flag.choices else value
