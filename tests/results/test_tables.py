"""The results table on terminals of any width."""

from __future__ import annotations

import pytest

from srtctl.report.tables import blocks, column_widths

NAMES = ["point", "speed=", "mode", "concurrency", "ttft_p50_ms", "ttft_p99_ms", "output_tok_s", "state"]
HEADINGS = ["point", "speed=", "mode", "conc", "TTFT p50 ms", "TTFT p99 ms", "out tok/s", "state"]
BODY = [["0", "1", "1P1D", "16", "123.4", "234.5", "1234", "ok"]]


def test_a_wide_terminal_has_one_table() -> None:
    widths = column_widths(HEADINGS, BODY, most=40)
    assert widths == [5, 6, 4, 4, 5, 5, 5, 5]
    assert blocks(NAMES, widths, 200) == [list(range(8))]


@pytest.mark.parametrize("room", [30, 40, 50])
def test_a_narrow_one_has_several_and_loses_nothing(room: int) -> None:
    widths = column_widths(HEADINGS, BODY, most=40)
    made = blocks(NAMES, widths, room)
    assert len(made) > 1
    assert sorted({i for block in made for i in block}) == list(range(8))
    for block in made:
        assert block[:2] == [0, 1]  # a row is named in every block
        assert 3 in block
        assert sum(widths[i] + 2 for i in block) <= room


def test_a_terminal_too_narrow_for_anything_still_shows_all() -> None:
    made = blocks(NAMES, column_widths(HEADINGS, BODY, most=40), 10)
    assert sorted({i for block in made for i in block}) == list(range(8))
