"""Questions of which one of several given answers is right: how they are asked, and how the choice is read."""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = "ABCD"

_LETTER = r"(?:\s+(?i:is))?\W{0,12}(?:(?i:boxed|text)\W{1,4})*([A-D])(?![A-Za-z'])"
_BOXED = re.compile(r"\\boxed\{\W*(?:text\W+)?([A-D])\W*\}")
_ANSWER = re.compile(r"(?i:answer)" + _LETTER)
_OPTION = re.compile(r"(?i:choice|option)" + _LETTER)
_ALONE = re.compile(r"\W*([A-D])\W*")

_INSTRUCTION = (
    "Exactly one of the options is right. Think it over, then close with one last line, "
    "`Answer: X`, where X is {letters}."
)


def asked(question: str, options: Sequence[str]) -> str:
    """The text of a question with its options."""
    letters = LETTERS[: len(options)]
    lines = [f"({letter}) {option}" for letter, option in zip(letters, options, strict=True)]
    named = ", ".join(letters[:-1]) + f" or {letters[-1]}"
    return "\n".join([question.strip(), "", *lines, "", _INSTRUCTION.format(letters=named)])


def chosen(text: str) -> str | None:
    """The letter that a text settles on: the last one it calls its answer, or all that its last line says."""
    for pattern in (_BOXED, _ANSWER, _OPTION):
        found = pattern.findall(text)
        if found:
            return str(found[-1])
    alone = _ALONE.fullmatch(text.strip().rpartition("\n")[2])
    return alone[1] if alone else None
