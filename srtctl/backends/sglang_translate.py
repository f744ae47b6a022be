"""SGLang's flags under the names of another release, older or newer: what stands for a flag, and what comes out of it.

What a release itself names in place of a deprecated flag is in its table, and holds for the releases that no longer
have the flag; `sglang_older` reads the same backwards. Only what no release says is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from srtctl.backends.flags import Layered
from srtctl.backends.sglang_older import SWITCHES, before, near, older_names, said, taken, targets
from srtctl.backends.sglang_releases import Flag, Release, flag_history, release, releases

# Old values of a flag that was replaced -> the new flag's, and back.
VALUES = {"in-seq-split": "zigzag", "round-robin-split": "interleave"}  # deprecation texts of 0.5.14
VALUES |= {new: old for old, new in VALUES.items()}

# Renamed from one release to the next without a word in the parser: names that differ, values of the same kind.
RENAMED = {
    "kt-amx-method": "kt-method",
    "kt-amx-weight-path": "kt-weight-path",
    "oltp-traces-endpoint": "otlp-traces-endpoint",
}

# Without effect, and without one for long before they went: left out.
NO_EFFECT = {
    "prefill-round-robin-balance": "ignored since 0.5.8, where load-balance-method took its place",
    "enable-piecewise-cuda-graph": "on by default since 0.5.10",
    "collect-tokens-histogram": "part of enable-metrics since 0.5.11",
}

# Old flag -> the flag whose value is that of another one.
AS_LARGE_AS = {"enable-ep-moe": ("ep-size", "tp-size")}

# The ranks of DP attention: `--dp-size N --enable-dp-attention`, from 0.5.22 on `--attn-dp-size N`.
ATTENTION_RANKS, ATTENTION_SWITCH, REPLICAS = "attn-dp-size", "enable-dp-attention", "dp-size"


@dataclass(frozen=True)
class Replacement:
    """What stands for a flag in a release.

    Attributes:
        flags: The new flag -> its fixed value, None where it keeps the old one's; empty: leave the flag out.
        why: For a flag that is left out.
        near: Instead of flags, for people: what does a part of the same. Nobody translates to that.
    """

    flags: Mapping[str, Any]
    why: str = ""
    near: str = ""

    def __str__(self) -> str:
        words = (f"--{name}" + ("" if value in (None, True) else f"={value}") for name, value in self.flags.items())
        return " and ".join(words)


def replacement(name: str, wanted: Release, value: Any = None) -> Replacement | None:
    """What stands for a flag that the release doesn't take; None where nothing is known.

    Args:
        name: Canonical spelling.
        value: Its value, on which the older name of a newer flag may depend.
    """
    if name == ATTENTION_RANKS and taken(wanted, ATTENTION_SWITCH):
        return Replacement({REPLICAS: value, ATTENTION_SWITCH: True})
    if name == ATTENTION_SWITCH and taken(wanted, ATTENTION_RANKS):
        return Replacement({ATTENTION_RANKS: None})
    for flags, why in _candidates(name, value, wanted):
        if all(taken(wanted, flag) for flag in flags):
            return Replacement(flags, why)
    part = near(name, wanted)
    return Replacement({}, near=part) if part else None


def _candidates(name: str, value: Any, wanted: Release) -> Iterator[tuple[dict[str, Any], str]]:
    if name in NO_EFFECT:
        yield {}, NO_EFFECT[name]
    if name in AS_LARGE_AS:
        yield {AS_LARGE_AS[name][0]: None}, ""
    older = before(name, value, wanted)
    if older is not None:
        yield older
    for old, new in RENAMED.items():
        if name in (old, new):
            yield {new if name == old else old: None}, ""
    yield from (({new: fixed}, "") for (new, fixed), old in SWITCHES.items() if old == name and fixed is not True)
    for text in reversed(said(name)):
        yield targets(text), ""
    for old in older_names(name):
        yield {old: None}, ""
    for version in reversed(releases()):  # an alias that another release has
        yield {release(version).spellings.get(name, name): None}, ""


def rewritten(name: str, value: Any, known: Mapping[str, Any], wanted: Release) -> dict[str, Any] | None:
    """The flags that stand for one flag of an older (or newer) release; None where it can stay, or must.

    Args:
        name: Canonical spelling.
        known: The role's other flags, for those that repeat another's value.
    """
    if taken(wanted, name):
        return None
    if _says_nothing(name, value):
        return {}
    found = replacement(name, wanted, value)
    if found is None or found.near:
        return None
    if name == ATTENTION_SWITCH and value is True:
        return {ATTENTION_RANKS: known.get(REPLICAS, 1)}
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


def _says_nothing(name: str, value: Any) -> bool:
    """Whether leaving the flag out is the same in every release: it is off, or one rank shares nothing."""
    if name == ATTENTION_RANKS:
        return _one(value)
    kinds = {spec["kind"] for spec in flag_history(name).values() if spec}
    return bool(kinds) and (value is None or (value is False and "toggle" not in kinds))


def with_attention_ranks(found: Layered, wanted: Release) -> Layered:
    """A role's flags, all layers of them, with the ranks of DP attention as the release counts them.

    Two flags in one way of saying it and one in the other, so this can't be done one flag at a time: `dp-size: 1` says
    nothing beside `attn-dp-size: 8`, but would take its place as its older name. Replicas beside attention ranks, which
    no release takes, stay as they are.
    """
    ranks, replicas = found.values.get(ATTENTION_RANKS), found.values.get(REPLICAS)
    switch = found.values.get(ATTENTION_SWITCH)
    if ATTENTION_RANKS in found.values and not taken(wanted, ATTENTION_RANKS):
        if _one(ranks):
            return _instead(found, ATTENTION_RANKS, {})
        if _one(replicas):
            return _instead(found, ATTENTION_RANKS, {REPLICAS: ranks, ATTENTION_SWITCH: True})
    if ATTENTION_SWITCH in found.values and not taken(wanted, ATTENTION_SWITCH):
        if switch is not True or not _one(ranks):
            return _instead(found, ATTENTION_SWITCH, {})
        return _instead(_instead(found, ATTENTION_SWITCH, {ATTENTION_RANKS: replicas or 1}), REPLICAS, {})
    return found


def _one(size: Any) -> bool:
    """Whether a size is 1, or isn't said."""
    return size is None or size is False or str(size) == "1"


def _instead(found: Layered, name: str, flags: Mapping[str, Any]) -> Layered:
    values = {flag: value for flag, value in found.values.items() if flag != name}
    source = dict.fromkeys(flags, found.sources.get(name, ""))
    return Layered(values | dict(flags), {**found.sources, **source}, found.translated | set(flags))


def _value(value: Any, fixed: Any, flag: Flag) -> Any:
    if fixed is not None:
        return fixed
    if flag.kind == "switch":
        return True
    mapped = VALUES.get(value, value) if isinstance(value, str) else value
    return mapped if mapped in flag.choices else value
