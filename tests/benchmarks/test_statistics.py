"""The latency formulas, against values worked out by hand and against the statistics module."""

from __future__ import annotations

import statistics as stdlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtctl.benchmarks.statistics import STATISTICS, percentile, summarise


@pytest.mark.parametrize(
    ("q", "expected"),
    [(0, 10), (25, 20), (50, 30), (90, 46), (95, 48), (99, 49.6), (100, 50)],  # numpy.percentile([10..50], q)
)
def test_percentiles_are_linear_between_neighbours(q: float, expected: float) -> None:
    assert percentile([10, 20, 30, 40, 50], q) == pytest.approx(expected)


def test_one_value_is_every_percentile() -> None:
    assert [percentile([7.0], q) for q in (0, 50, 99, 100)] == [7.0] * 4


def test_no_values_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_summary_by_hand() -> None:
    found = summarise("ttft", [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert found["ttft_mean_ms"] == 5.0
    assert found["ttft_std_ms"] == 2.0  # the population's: the sample's would be 2.14
    assert found["ttft_p50_ms"] == 4.5
    assert (found["ttft_min_ms"], found["ttft_max_ms"]) == (2.0, 9.0)
    assert set(found) == {f"ttft_{s}_ms" for s in STATISTICS}


def test_summary_of_nothing_has_every_key_and_no_value() -> None:
    assert set(summarise("x", []).values()) == {None}


@given(st.lists(st.floats(0.001, 1e6), min_size=2, max_size=60))
def test_agrees_with_the_standard_library(values: list[float]) -> None:
    found = summarise("x", values)
    assert found["x_mean_ms"] == pytest.approx(stdlib.fmean(values))
    assert found["x_std_ms"] == pytest.approx(stdlib.pstdev(values), rel=1e-6, abs=1e-6)
    deciles = stdlib.quantiles(values, n=10, method="inclusive")
    assert found["x_p90_ms"] == pytest.approx(deciles[8])
