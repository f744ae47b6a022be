"""The formulas of the latency figures, over per-request values."""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTILES = (50, 90, 95, 99)
STATISTICS = ("mean", "std", *(f"p{q}" for q in PERCENTILES), "min", "max")


def percentile(ordered: Sequence[float], q: float) -> float:
    """The `q`-th percentile (0 to 100) of values in ascending order, linear between neighbours.

    Raises:
        ValueError: There are no values.
    """
    if not ordered:
        raise ValueError("a percentile of no values")
    position = (len(ordered) - 1) * q / 100
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, summed without loss of precision."""
    return math.fsum(values) / len(values)


def summarise(name: str, values: Sequence[float], unit: str = "ms") -> dict[str, float | None]:
    """`{name}_{statistic}_{unit}` for every one of `STATISTICS`; all None where there are no values.

    The standard deviation is the population's (divided by the number of values).
    """
    keys = {statistic: f"{name}_{statistic}_{unit}" for statistic in STATISTICS}
    if not values:
        return dict.fromkeys(keys.values())
    ordered = sorted(values)
    average = mean(ordered)
    spread = math.sqrt(math.fsum((v - average) ** 2 for v in ordered) / len(ordered))
    found = {"mean": average, "std": spread, "min": ordered[0], "max": ordered[-1]}
    found |= {f"p{q}": percentile(ordered, q) for q in PERCENTILES}
    return {key: found[statistic] for statistic, key in keys.items()}
