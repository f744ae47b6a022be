"""What did the work of a newer flag before it came: the way from SGLang's names of today back to those of an old image.

A release that calls a switch deprecated names the flag and the value that stand for it (`--new=value`); read backwards,
that value of that flag was the switch. What these texts don't say is written here, each with what it was read from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from srtctl.backends.sglang_releases import Release, flag_history, order, release, releases

GONE = "ignored", "refused"
_TARGET = re.compile(r"--(?P<head>[\w-]*)(?:\{(?P<parts>[\w,-]+)\})?(?P<tail>[\w-]*)(?:=(?P<value>\w+))?")

DECODE_GRAPHS, PREFILL_GRAPHS = "cuda-graph-backend-decode", "cuda-graph-backend-prefill"

# Before the flags by phase of 0.5.14, `disable-cuda-graph` was about decode graphs only: the runner of the graphs of
# prefill asked for its own switch (`init_piecewise_cuda_graphs` of 0.5.8.post1, 0.5.10.post1 and 0.5.13.post1).
SWITCHES = {
    (DECODE_GRAPHS, "disabled"): "disable-cuda-graph",
    ("disable-decode-cuda-graph", True): "disable-cuda-graph",
    ("disable-prefill-cuda-graph", True): "disable-piecewise-cuda-graph",
    ("elastic-ep-join-mode", "recover"): "elastic-ep-rejoin",  # 0.5.16 warns so when it starts
}

# A part of what a newer value does: used where SGLang finds it fit, the newer one everywhere.
NEAR = {(PREFILL_GRAPHS, "tc_piecewise"): "enable-piecewise-cuda-graph"}

# Variables that flags took the place of, as 0.5.8.post1 says when it starts.
VARIABLES = {
    "fp4-gemm-backend": ("SGLANG_FLASHINFER_FP4_GEMM_BACKEND",),
    "fp8-gemm-backend": ("SGLANG_ENABLE_FLASHINFER_GEMM", "SGLANG_SUPPORT_CUTLASS_BLOCK_FP8"),
}

# What older releases do unasked.
_NO_PREFILL_GRAPHS = "no graphs of prefill before 0.5.10, unless enable-piecewise-cuda-graph asks for them"
UNASKED = {
    (DECODE_GRAPHS, "full"): "the only kind of decode graphs before 0.5.14",
    (PREFILL_GRAPHS, "disabled"): _NO_PREFILL_GRAPHS,
    ("disable-prefill-cuda-graph", True): _NO_PREFILL_GRAPHS,
    ("disable-piecewise-cuda-graph", True): _NO_PREFILL_GRAPHS,
    ("image-processor-backend", "auto"): "chosen by SGLang before 0.5.18 too",
}

# One flag where there were two: which of them a model needs depends on its kind of attention.
BY_ATTENTION = {
    "cp-strategy": ("prefill-cp-mode", "dsa-prefill-cp-mode", "nsa-prefill-cp-mode"),
    "enable-prefill-cp": (
        "enable-prefill-context-parallel", "enable-dsa-prefill-context-parallel", "enable-nsa-prefill-context-parallel",
    ),
}  # fmt: skip


def taken(wanted: Release, name: str) -> bool:
    """Whether the release takes a flag and does something with it."""
    flag = wanted.flags.get(name)
    return flag is not None and flag.kind not in GONE


def before(name: str, value: Any, wanted: Release) -> tuple[dict[str, Any], str] | None:
    """The older flags that do exactly what this one with this value does, and why there may be none; None: no such.

    Only for a flag that the release doesn't take.
    """
    if not _newer(name, wanted):
        return None
    asked = name, value
    for switch in (SWITCHES.get(asked), *_switches_of(name).get(value, ())) if _hashable(value) else ():
        if switch is not None and taken(wanted, switch):
            return {switch: True}, ""
    if _hashable(value) and asked in UNASKED:
        return {}, UNASKED[asked]
    return None


def near(name: str, wanted: Release) -> str:
    """For people: the older flags that do part of what this one does, and which part; empty where there are none."""
    if not _newer(name, wanted):
        return ""
    if name in BY_ATTENTION:
        known = [f"--{old}" for old in BY_ATTENTION[name] if taken(wanted, old)]
        return f"{' or '.join(known)}, by the model's kind of attention" if known else ""
    pairs = [(value, old) for (new, value), old in (SWITCHES | NEAR).items() if new == name and value is not True]
    pairs += [(value, old) for value, switches in _switches_of(name).items() for old in switches]
    words = dict.fromkeys(f"--{old}, which is --{name}={value}" for value, old in pairs if taken(wanted, old))
    words |= dict.fromkeys(f"the variable {old}" for old in VARIABLES.get(name, ()) if old in wanted.variables)
    unclear = [f"--{old}" for old in _replaced_by(name) if _is_switch(old) and taken(wanted, old)]
    return " or ".join(words or unclear)


def older_names(name: str) -> list[str]:
    """Flags in place of which some release named this one, with the value that they had; the newest first."""
    if name in BY_ATTENTION:
        return []
    return [old for old in _replaced_by(name) if _is_switch(old) == _is_switch(name)]


def _replaced_by(name: str) -> list[str]:
    newest = (release(version).flags for version in reversed(releases()))
    found = (old.name for flags in newest for old in flags.values() if old.deprecated == f"--{name}")
    return list(dict.fromkeys(found))


def _is_switch(name: str) -> bool:
    first = next((spec for spec in flag_history(name).values() if spec), None)
    return first is not None and first["kind"] in ("switch", "toggle")


def said(name: str) -> list[str]:
    """What releases named in place of the flag, oldest first."""
    found = [spec.get("deprecated") for spec in flag_history(name).values() if spec]
    return [text for text in found if text and _TARGET.fullmatch(text)]


def targets(text: str) -> dict[str, str | None]:
    """`--cuda-graph-backend-{decode,prefill}=disabled` as the flags and values that it means."""
    match = _TARGET.fullmatch(text)
    assert match is not None
    parts = match["parts"].split(",") if match["parts"] else [""]
    return {f"{match['head']}{part}{match['tail']}": match["value"] for part in parts}


@cache
def _switches_of(name: str) -> Mapping[str, tuple[str, ...]]:
    """Value of a flag -> the switches that some release said to be just that."""
    found: dict[str, dict[str, None]] = {}
    for old, value in _said_switches(name):
        found.setdefault(value, {})[old] = None
    return {value: tuple(switches) for value, switches in found.items()}


def _said_switches(name: str) -> Iterator[tuple[str, str]]:
    for version in reversed(releases()):
        for old in release(version).flags.values():
            if old.kind == "switch" and old.deprecated and _TARGET.fullmatch(old.deprecated):
                meant = targets(old.deprecated)
                value = meant.get(name)
                if value is not None and len(meant) == 1:
                    yield old.name, value


def _newer(name: str, wanted: Release) -> bool:
    """Whether the flag came after the release."""
    first = next(iter(flag_history(name)), None)
    return first is not None and order(first) > order(wanted.version)


def _hashable(value: Any) -> bool:
    return isinstance(value, (str, bool, int, float))
