"""SGLang's environment variables against what the job's release reads, and what it needs of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from srtctl.backends.sglang_flags import choose
from srtctl.backends.sglang_releases import order, releases, renamed_variables, variable_turns
from srtctl.errors import Problem, Severity
from srtctl.plan.model import ROLES
from srtctl.validate.context import Context, Rule

_VARIABLE = re.compile(r"SGL(ANG)?_")
SPEC_V2 = "SGLANG_ENABLE_SPEC_V2"
OVERLAPPED = ("EAGLE", "EAGLE3", "NEXTN", "STANDALONE")
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

# What to do instead, where no other variable took the place. From the warnings that releases give (0.5.8.post1, 0.5.14,
# 0.5.23), and from what reads the value in 0.5.23.
INSTEAD = {
    SPEC_V2: "leave it out: since 0.5.14 speculation always runs so",
    "SGLANG_PER_TOKEN_GROUP_QUANT_8BIT_V2": "leave it out: it went without a replacement",
    "SGLANG_DECODE_BOOTSTRAP_TIMEOUT": "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT is how long a request waits for that",
    "SGLANG_FP4_GEMM_BACKEND": "use the flag fp4-gemm-backend, which came with 0.5.8",
    "SGLANG_FLASHINFER_FP4_GEMM_BACKEND": "use the flag fp4-gemm-backend",
    "SGLANG_ENABLE_FLASHINFER_GEMM": "use the flag fp8-gemm-backend: flashinfer_trtllm",
    "SGLANG_ENABLE_FLASHINFER_FP8_GEMM": "use the flag fp8-gemm-backend: flashinfer_trtllm",
    "SGLANG_SUPPORT_CUTLASS_BLOCK_FP8": "use the flag fp8-gemm-backend: cutlass",
    "SGLANG_QUEUED_TIMEOUT_MS": "use SGLANG_REQ_WAITING_TIMEOUT, in seconds",
    "SGLANG_FORWARD_TIMEOUT_MS": "use SGLANG_REQ_RUNNING_TIMEOUT, in seconds",
}


def unread_variables(context: Context) -> Iterator[Problem]:
    """A variable of SGLang's own that the release never reads does nothing."""
    job = context.job
    maps = {f"backend.{role}_environment": getattr(job.backend, f"{role}_environment") for role in ROLES}
    maps = {"environment": job.environment, **maps}
    names = [name for variables in maps.values() for name in variables if _VARIABLE.match(name)]
    if not names:
        return
    release = choose(job).release
    for where, variables in maps.items():
        for name, value in variables.items():
            if not _VARIABLE.match(name) or _read(name, release.variables):
                continue
            text = f"SGLang {release.version} never reads this variable{_when(name, release.version)}"
            hint = instead(name, str(value), release.variables)
            yield Problem("unread-variable", text, f"{where}.{name}", value, hint=hint, severity=Severity.WARNING)


def instead(name: str, value: str, known: frozenset[str]) -> str:
    """What to set in place of a variable that isn't read, or an empty text."""
    new = _other_name(name, known)
    if new is not None:
        return _renamed(name, value, new)
    if name in INSTEAD:
        return INSTEAD[name]
    close = sorted(other for other in known if _misspelt(name, other))
    return f"did you mean {' or '.join(close)}?" if close else ""


def _other_name(name: str, known: frozenset[str]) -> str | None:
    """The name that the release has for a variable of newer or older ones."""
    pairs = renamed_variables()
    newer = pairs.get(name) or pairs.get(name.replace("SGLANG_", "SGL_", 1))
    older = (old for old, new in pairs.items() if new == name)
    found = (other for other in (newer, *older) if other in known)
    return next(found, None)


def _renamed(name: str, value: str, new: str) -> str:
    if ("_DISABLE_" in name) == ("_DISABLE_" in new):
        return f"this release calls it {new}"
    if value.lower() not in (*_ON, *_OFF):
        return f"this release has {new}, which means the opposite"
    return f"use {new}={0 if value.lower() in _ON else 1}, which is the same the other way round"


def _misspelt(name: str, other: str) -> bool:
    """Whether two names differ in underscores only, or in one word that is nearly the same."""
    if name.replace("_", "") == other.replace("_", ""):
        return True
    words, others = name.split("_"), other.split("_")
    if len(words) != len(others):
        return False
    apart = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
    return len(apart) == 1 and _alike(*apart[0])


def _alike(word: str, other: str) -> bool:
    return min(len(word), len(other)) > 3 and difflib.SequenceMatcher(None, word, other).ratio() > 0.75


def _when(name: str, version: str) -> str:
    """`; 0.5.20 was the last that did`, `; it came with 0.5.9`, or that no release does."""
    turns = variable_turns(name)
    if not turns:
        return f", nor does any other since {releases()[0]}"
    gone = [turn for turn in turns[1::2] if order(turn) <= order(version)]
    if gone:
        return f"; {_last_before(gone[-1])} was the last that did"
    return f"; it came with {turns[0]}"


def _last_before(version: str) -> str:
    return [known for known in releases() if order(known) < order(version)][-1]


def _read(name: str, known: frozenset[str]) -> bool:
    """SGLang takes SGL_X for SGLANG_X."""
    return name in known or (name.startswith("SGL_") and f"SGLANG_{name[4:]}" in known)


def overlapped_speculation(context: Context) -> Iterator[Problem]:
    """What flags of today leave unsaid on an older image: speculation overlapped with scheduling only when asked to.

    `handle_speculative_decoding` of 0.5.8.post1, 0.5.10.post1; on by default in 0.5.13.post1, always so since 0.5.14.
    """
    job, version = context.job, choose(context.job).release.version
    if job.backend.flags != "translate" or order(version) >= order("0.5.11"):
        return
    for role in context.workers:
        flag = context.flags(role).get("speculative-algorithm")
        layers = (getattr(job.backend, f"{role}_environment"), job.environment, job.cluster.environment)
        if flag is None or flag.value not in OVERLAPPED or any(SPEC_V2 in layer for layer in layers):
            continue
        text = f"SGLang {version} does not overlap speculation with scheduling, as newer releases do, unless it is told"
        hint = f"backend.{role}_environment.{SPEC_V2}=1, as published recipes of that time have it"
        yield Problem("speculation-overlap", text, flag.key, flag.value, hint=hint, severity=Severity.WARNING)


RULES: tuple[Rule, ...] = (unread_variables, overlapped_speculation)
