"""Engine flags, beyond what each backend checks itself: names, values, and flags of roles without workers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from srtctl.errors import Problem, Severity
from srtctl.plan.demand import gpus_per_node
from srtctl.validate.context import Context, Rule, as_integer

OWNED_RULE = "owned-flag"
"""The backends' rule about flags that placement decides; see `with_sources`."""

FLAG_NAME = re.compile(r"-{0,2}[A-Za-z0-9][A-Za-z0-9_.-]*")


def flag_words(context: Context) -> Iterator[Problem]:
    """Names and values that make words of a command line."""
    for _, where, flags in (*context.flag_maps, ("", "frontend.args", context.job.frontend.args)):
        for written, value in flags.items():
            key = f"{where}.{written}"
            if FLAG_NAME.fullmatch(written) is None:
                yield Problem("flag-name", "no name of a flag", key, written, "letters, digits, - and _")
            if isinstance(value, (list, tuple)) and any(isinstance(item, (list, tuple, Mapping)) for item in value):
                text = "a list of values can't hold lists or mappings"
                allowed = "text, a number, true, false, null, a list of these, or a mapping (given as JSON)"
                yield Problem("flag-value", text, key, value, allowed)


def says_what_is_true(context: Context, problem: Problem) -> bool:
    """Whether a finding about a flag that placement decides is about a number of nodes that is right."""
    if problem.rule != OWNED_RULE or not problem.key.endswith("nnodes"):
        return False
    role, per_node = problem.key.split(".")[-2], gpus_per_node(context.job)
    gpus = context.worker_gpus.get(role)
    return bool(gpus and per_node) and as_integer(problem.value) == -(-(gpus or 0) // max(1, per_node))


def flags_of_absent_roles(context: Context) -> Iterator[Problem]:
    """Flags of a role that has no worker do nothing."""
    if not context.workers:
        return
    for owner, where, _ in context.flag_maps:
        if owner != "common" and owner not in context.workers and not where.startswith("model."):
            yield Problem(
                "unused-flags",
                f"there are no {owner} workers, so these flags are not used",
                where,
                severity=Severity.WARNING,
            )


RULES: tuple[Rule, ...] = (flag_words, flags_of_absent_roles)
