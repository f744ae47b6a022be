"""What can go wrong, as data: a `Problem` says what, where and what to do; nothing here prints.

Every check returns problems instead of raising, so that all of them can be shown at once; the command line
turns them into text with `format_problems` and ends with an `ExitCode`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace


class ExitCode(enum.IntEnum):
    """Exit codes of every srtctl command."""

    OK = 0
    FAILED = 1  # a run ended without all its results, or a measurement is not valid
    USAGE = 2  # the input is wrong: nothing was started, nothing was written
    UNAVAILABLE = 3  # something this machine lacks: a program, a directory that can be written
    INTERRUPTED = 130


class Severity(enum.Enum):
    """How much a problem weighs (DESIGN section 6).

    An error is what is proven impossible; a warning is what was only seen to go wrong; a note is what can't be
    seen from here and is checked again when the job starts.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class _Unset(enum.Enum):
    UNSET = "unset"

    def __repr__(self) -> str:
        return "<unset>"


UNSET = _Unset.UNSET


@dataclass(frozen=True)
class Problem:
    """One finding about the user's input.

    Attributes:
        rule: Stable id of the check that found it, such as `unknown-key` or `time-limit`.
        message: What is wrong, one sentence without a full stop.
        key: Dotted path of the config key, empty when no key is at fault.
        value: The value found there; UNSET when there is none to show.
        allowed: What would be accepted, in words.
        hint: What to do.
        source: Where the value was written: `recipe.yaml:7`, `mode=disagg`, `command line`.
        points: Indices of the sweep's points that have it; empty means all of them.
        affects: Further keys that can't be judged while this is wrong, such as the key that was misspelt.
    """

    rule: str
    message: str
    key: str = ""
    value: object = UNSET
    allowed: str = ""
    hint: str = ""
    source: str = ""
    severity: Severity = Severity.ERROR
    points: tuple[int, ...] = field(default=())
    affects: tuple[str, ...] = field(default=())

    def at(self, source: str) -> Problem:
        """The same problem with its source filled in, if it had none."""
        return self if self.source else replace(self, source=source)


class SrtctlError(Exception):
    """Ends a command with a message for the user; never shown as a traceback.

    Attributes:
        problems: What to show, in order.
        exit_code: What the command ends with.
    """

    def __init__(self, problems: Problem | Sequence[Problem], exit_code: ExitCode = ExitCode.USAGE):
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.exit_code = exit_code
        super().__init__(format_problems(self.problems))


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Only those that forbid to go on."""
    return [p for p in problems if p.severity is Severity.ERROR]


def format_problem(problem: Problem) -> str:
    """The text of one problem, over several lines, without a newline at its end.

    `error: benchmark.isl: must be at least 1 [rule]`, then what was found, what is allowed, where, and the hint.
    """
    head = f"{problem.severity.value}: "
    head += f"{problem.key}: {problem.message}" if problem.key else problem.message
    lines = [head]
    if problem.value is not UNSET:
        lines.append(f"  value:   {shorten(repr(problem.value))}")
    if problem.allowed:
        lines.append(f"  allowed: {problem.allowed}")
    if problem.source:
        lines.append(f"  from:    {problem.source}")
    if problem.points:
        lines.append(f"  points:  {format_ranges(problem.points)}")
    if problem.hint:
        lines.append(f"  hint: {problem.hint}")
    return "\n".join(lines)


def format_problems(problems: Iterable[Problem]) -> str:
    """All of them, errors first, with a closing count when there is more than one."""
    order = [Severity.ERROR, Severity.WARNING, Severity.NOTE]
    ranked = sorted(problems, key=lambda p: order.index(p.severity))
    blocks = [format_problem(p) for p in ranked]
    errors = len(errors_of(ranked))
    if errors > 1:
        blocks.append(f"{errors} errors; nothing was written and nothing was started")
    return "\n".join(blocks)


def wrapped(text: str, width: int) -> str:
    """Text of problems for a terminal of `width` columns; words stay whole, further lines are indented."""
    import textwrap

    lines = []
    for line in text.splitlines():
        indent = " " * (11 if line.startswith("  ") and ":" in line[:11] else 2)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def merge_points(problems: Iterable[Problem], total_points: int) -> list[Problem]:
    """Join equal problems of several points into one that lists its points (none listed when all have it)."""
    seen: dict[Problem, set[int]] = {}
    for problem in problems:
        key = replace(problem, points=(), value=_hashable(problem.value))
        seen.setdefault(key, set()).update(problem.points)
    merged = []
    for key, points in seen.items():
        everywhere = not points or len(points) == total_points
        merged.append(replace(key, points=() if everywhere else tuple(sorted(points))))
    return merged


def format_ranges(numbers: Iterable[int]) -> str:
    """`0-3, 7` for 0, 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for n in sorted(set(numbers)):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def counted(number: int, noun: str) -> str:
    """`1 point`, `3 points`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shorten(text: str, limit: int = 160) -> str:
    """`text` on one line, cut in the middle when it is longer than `limit` characters."""
    text = text.replace("\n", "\\n")
    if len(text) <= limit:
        return text
    keep = (limit - 5) // 2
    return f"{text[:keep]} ... {text[-keep:]}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` for a misspelt word, or an empty text."""
    close = near_words(word, known)
    return f"did you mean {' or '.join(close)}?" if close else ""


def near_words(word: str, known: Iterable[str]) -> list[str]:
    """What a misspelt word may be meant to be, the nearest first; three at most."""
    import difflib

    names = list(known)
    exact = {_folded(name): name for name in names}.get(_folded(word))
    # three letters are near to too much: fp3 is no misspelt fp32
    if exact:
        return [exact]
    if len(word) <= 3:
        return [name for name in names if len(word) > 1 and name.startswith(word)][:3]
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.7)
    likeness = [difflib.SequenceMatcher(None, name, word).ratio() for name in close]
    nearest = [name for name, ratio in zip(close, likeness, strict=True) if ratio > likeness[0] - 0.09]
    return nearest or [name for name in names if name.startswith(word)][:3]


def _folded(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")


class _Text(str):
    """Stands for an unhashable value; its repr is the value's."""

    def __repr__(self) -> str:
        return str(self)


def _hashable(value: object) -> object:
    try:
        hash(value)
    except TypeError:
        return _Text(repr(value))
    return value
