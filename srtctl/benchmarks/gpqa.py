"""`gpqa`: graduate-level multiple choice in biology, physics and chemistry.

The data set is a CSV file, or JSON lines, with Question, Correct Answer and Incorrect Answer 1 to 3, as its authors
publish it (gpqa_diamond.csv has 198 questions); `sglang.test.simple_eval_gpqa` of 0.5.14, `sgl-eval` and lm-eval's task
`gpqa` read the same columns. The order of the choices is drawn for each question.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Type

from srtctl.benchmarks.accuracy import Accuracy, AccuracyConfig, Question
from srtctl.benchmarks.choices import LETTERS, asked, chosen
from srtctl.benchmarks.records import need, records
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_COLUMNS = ("Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


@dataclass
class GpqaConfig(AccuracyConfig):
    """`gpqa`: graduate-level multiple choice."""

    type: str = key("gpqa", "Graduate-level multiple choice in the sciences (GPQA).", allowed=("gpqa",))
    num_examples: Optional[int] = key(198, "Questions to ask; unset for all of them.", minimum=1)
    max_tokens: int = key(32768, "Longest answer.", unit="tokens", minimum=1)
    repeat: int = key(8, "How often each question is asked.", minimum=1)


class Gpqa(Accuracy):
    """Registry entry."""

    type = "gpqa"
    params: Type[BenchmarkConfig] = GpqaConfig
    source = "https://openaipublic.blob.core.windows.net/simple-evals/gpqa_diamond.csv"

    def questions(self, path: Path, options: Mapping[str, Any]) -> list[Question]:
        """Every question, its choices in an order that the seed decides."""
        found = []
        for number, record in enumerate(records(path), 1):
            text, right = need(record, number, *_COLUMNS[:2])
            answers = [str(value).strip() for value in (right, *need(record, number, *_COLUMNS[2:], empty=True))]
            ranked = sorted(answers, key=lambda answer: _rank(options.get("seed", 0), number, answer))
            letter = LETTERS[ranked.index(answers[0])]
            domain = str(record.get("High-level domain") or "")
            found.append(Question(str(number), asked(str(text), ranked), letter, domain))
        return found

    def read_answer(self, text: str) -> str | None:
        """The letter."""
        return chosen(text)


def _rank(seed: int, number: int, answer: str) -> bytes:
    return hashlib.sha256(f"{seed}/{number}/{answer}".encode()).digest()
