"""Questions of which one of several given answers is right: how they are asked, and how the choice is read.

The order of things is that of OpenAI's simple-evals, which SGLang's clients follow (`sglang.test.simple_eval_common` of
0.5.14, and `sgl-eval` since 0.5.23): an instruction to end with `Answer: X`, the question, the lettered options. The
sentence is our own. They read the first (simple-evals) or last (sgl-eval) `Answer: X`, or a box; we read the last one,
and take `the answer is X` too, as LongBench's authors ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = "ABCD"

_LETTER = r"(?:\s+(?i:is))?\W{0,12}(?:(?i:boxed|text)\W{1,4})*([A-D])(?![A-Za-z'])"
_BOXED = re.compile(r"\\boxed\{\W*(?:text\W+)?([A-D])\W*\}")
_ANSWER = re.compile(r"(?i:answer)" + _LETTER)
_OPTION = re.compile(r"(?i:choice|option)" + _LETTER)
_LOWER = re.compile(r"(?im)answer(?:[^\w:]*:\W*|\s+is\W+)([a-d])\W*$")  # the first colon: with many the time explodes
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
    for pattern in (_BOXED, _ANSWER, _OPTION, _LOWER):
        found = pattern.findall(text)
        if found:
            return str(found[-1]).upper()
    alone = _ALONE.fullmatch(text.strip().rpartition("\n")[2])
    return alone[1] if alone else None
