"""Time limits as `man sbatch` describes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtctl.plan.duration import format_time_limit, parse_time_limit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800), ("90:30", 5430), ("04:00:00", 14400), ("1-0", 86400), ("1-12:30", 131400), ("2-01:02:03", 176523),
        ("00:00:01", 1),
    ],
)  # fmt: skip
def test_formats(text: str, seconds: int) -> None:
    assert parse_time_limit(text) == seconds


@pytest.mark.parametrize(
    "text", ["banana", "", "-1", "1:2:3:4", "1-", "4h", "0", "00:00:00", "1 0", "1:00\n", "١:00:00"]
)
def test_what_is_no_time_limit(text: str) -> None:
    with pytest.raises(ValueError, match=r"time limit|is zero"):
        parse_time_limit(text)


@given(st.integers(1, 10**7))
def test_what_we_write_is_read_back(seconds: int) -> None:
    assert parse_time_limit(format_time_limit(seconds)) == seconds


def test_fractions_are_rounded_up() -> None:
    assert format_time_limit(59.2) == "00:01:00"
