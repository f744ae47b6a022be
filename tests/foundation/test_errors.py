"""The text of problems, and how those of many points are joined."""

from __future__ import annotations

import pytest

from srtctl.errors import (
    UNSET,
    ExitCode,
    Problem,
    Severity,
    SrtctlError,
    format_problem,
    format_problems,
    format_ranges,
    merge_points,
    shorten,
    wrapped,
)

WHOLE = Problem(
    "concurrency",
    "must be at least 1",
    key="benchmark.concurrencies",
    value=[0, 4],
    allowed="whole numbers from 1",
    hint="leave 0 out",
    source="job.yaml:7",
    points=(0, 1, 2, 7),
)


def test_a_problem_shows_all_it_knows():
    assert format_problem(WHOLE) == (
        "error: benchmark.concurrencies: must be at least 1\n"
        "  value:   [0, 4]\n"
        "  allowed: whole numbers from 1\n"
        "  from:    job.yaml:7\n"
        "  points:  0-2, 7\n"
        "  hint: leave 0 out"
    )


def test_a_problem_leaves_out_what_it_does_not_know():
    assert (
        format_problem(Problem("x", "there is no such file", severity=Severity.NOTE)) == "note: there is no such file"
    )


def test_none_is_a_value_to_show():
    assert "value:   None" in format_problem(Problem("x", "is not set", key="model.path", value=None))
    assert "value" not in format_problem(Problem("x", "is not set", key="model.path", value=UNSET))


def test_errors_come_first_and_are_counted():
    text = format_problems([Problem("a", "odd", severity=Severity.WARNING), Problem("b", "bad"), Problem("c", "worse")])
    assert text.splitlines() == [
        "error: bad",
        "error: worse",
        "warning: odd",
        "2 errors; nothing was written and nothing was started",
    ]


def test_equal_problems_of_points_are_joined():
    bad = [Problem("r", "too small", key="k", value=[1], points=(i,)) for i in (0, 2)]
    [some] = merge_points(bad, total_points=4)
    assert some.points == (0, 2)
    assert "value:   [1]" in format_problem(some)
    [everywhere] = merge_points(bad, total_points=2)
    assert everywhere.points == ()


def test_different_values_stay_apart():
    merged = merge_points([Problem("r", "m", value=v, points=(v,)) for v in (0, 1)], 2)
    assert [p.value for p in merged] == [0, 1]


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([0, 1, 2], "0-2"), ([5, 1, 2, 9, 10], "1-2, 5, 9-10")]
)
def test_ranges(numbers, text):
    assert format_ranges(numbers) == text


def test_long_values_are_cut_in_the_middle_and_stay_on_one_line():
    cut = shorten("a" * 200 + "\n" + "b" * 200, 100)
    assert len(cut) <= 100
    assert "\n" not in cut
    assert cut.startswith("aaa")
    assert cut.endswith("bbb")


def test_the_error_carries_its_exit_code():
    error = SrtctlError(WHOLE, ExitCode.UNAVAILABLE)
    assert (error.problems, error.exit_code) == ((WHOLE,), 3)
    assert str(error) == format_problem(WHOLE)


def test_a_terminal_breaks_between_words_only() -> None:
    problem = Problem("x", "one of too many things that there are", "some.key", "v", ", ".join(["several-words"] * 9))
    text = format_problem(problem)
    shown = wrapped(text, 40)
    assert max(map(len, shown.splitlines())) <= 40
    assert " ".join(shown.split()) == " ".join(text.split())
    assert "\n           several-words" in shown
    assert wrapped(text, 1000) == text
