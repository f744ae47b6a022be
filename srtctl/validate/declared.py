"""What the schema itself declares: allowed words and smallest numbers, for every key of every node."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

from srtctl.errors import Problem, suggestion
from srtctl.validate.context import Context
from srtctl.validate.fieldplan import FieldPlan, plan_of


def declared_values(context: Context) -> Iterator[Problem]:
    """Every value that is not among the allowed ones, or is too small."""
    yield from _check(context.job, "")


def _check(node: Any, prefix: str) -> Iterator[Problem]:
    cls: Any = type(node)
    constrained, nodes = _interesting(cls)
    for plan in constrained:
        value = getattr(node, plan.name)
        if value is None:
            continue
        if plan.allowed:
            if value not in plan.allowed:
                yield _not_allowed(plan, value, prefix)
        elif isinstance(value, (int, float)) and not _large_enough(value, plan.minimum):
            yield _too_small(plan, value, prefix)
    for plan in nodes:
        value = getattr(node, plan.name)
        if value is not None:
            yield from _check(value, f"{prefix}{plan.name}.")


@cache
def _interesting(cls: Any) -> tuple[list[FieldPlan], list[FieldPlan]]:
    plans = plan_of(cls).values()
    # the type of a registered node was checked when its class was chosen
    constrained = [p for p in plans if p.constrained and not (p.name == "type" and len(p.allowed) == 1)]
    return constrained, [p for p in plans if p.kind.node is not None]


def _large_enough(value: float, minimum: float | None) -> bool:
    return math.isfinite(value) and (minimum is None or value >= minimum)


def _not_allowed(plan: FieldPlan, value: Any, prefix: str) -> Problem:
    hint = suggestion(str(value), plan.allowed)
    return Problem(
        "allowed-value", "not one of the allowed values", prefix + plan.name, value, ", ".join(plan.allowed), hint
    )


def _too_small(plan: FieldPlan, value: float, prefix: str) -> Problem:
    unit = f" {plan.unit}" if plan.unit else ""
    if not math.isfinite(value):
        return Problem("minimum", "must be a finite number", prefix + plan.name, value)
    return Problem("minimum", f"must be at least {plan.minimum:g}{unit}", prefix + plan.name, value)
