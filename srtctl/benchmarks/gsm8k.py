"""`gsm8k`: word problems of school mathematics, after a few solved ones.

The data set is a file of JSON lines with `question` and `answer`, the latter ending in `#### <number>`, or a
directory with `test.jsonl` and `train.jsonl`. The solved examples come from the training file, or else from the
beginning of the file itself, and are then not asked.

Prompts, examples and numbers are those of SGLang's own client (`sglang.test.simple_eval_gsm8k` of 0.5.14), so that the
scores are comparable. Two things are read more strictly: a number behind `####` or in a box counts before the last
one, and what follows when a model goes on to a question of its own does not count (there a stop word ends it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Optional, Type

from srtctl.benchmarks.accuracy import Accuracy, AccuracyConfig, Question
from srtctl.benchmarks.records import Record, need, records
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_NUMBER = r"-?\$?\d[\d,]*(?:\.\d+)?"
_ANY = re.compile(_NUMBER)
_MARKED = re.compile(rf"####\s*({_NUMBER})")
_BOXED = re.compile(rf"\\boxed\{{\s*\\?({_NUMBER})")
_NEXT = "\nQuestion:"


@dataclass
class Gsm8kConfig(AccuracyConfig):
    """`gsm8k`: word problems of school mathematics."""

    type: str = key("gsm8k", "Word problems of school mathematics (GSM8K).", allowed=("gsm8k",))
    num_examples: Optional[int] = key(1319, "Questions to ask; unset for all of them.", minimum=1)
    num_shots: int = key(5, "Solved examples before each question.", minimum=0)


class Gsm8k(Accuracy):
    """Registry entry."""

    type = "gsm8k"
    params: Type[BenchmarkConfig] = Gsm8kConfig
    source = "https://raw.githubusercontent.com/openai/grade-school-math/master/grade_school_math/data/test.jsonl"
    options = ("num_shots",)
    score_name = "exact_match"

    def questions(self, path: Path, options: Mapping[str, Any]) -> list[Question]:
        """Every problem but the examples, each behind the examples."""
        shots = int(options.get("num_shots") or 0)
        asked, examples = _split(path, shots)
        if not asked:
            raise ValueError(f"holds no more than the {shots} examples; set benchmark.num_shots lower")
        before = "".join(f"{_asked(example)} {example['answer']}\n\n" for example in examples)
        return [
            Question(str(number), before + _asked(record), _solution(record)) for number, record in enumerate(asked, 1)
        ]

    def read_answer(self, text: str) -> str | None:
        """The marked number, or else the last one."""
        first = text.partition(_NEXT)[0]
        for pattern in (_MARKED, _BOXED, _ANY):
            found = pattern.findall(first)
            if found:
                return _plain(found[-1])
        return None


def _split(path: Path, shots: int) -> tuple[Sequence[Record], Sequence[Record]]:
    """The problems to ask and the solved examples."""
    if path.is_dir():
        examples = _checked(path / "train.jsonl") if shots else []
        return _checked(path / "test.jsonl"), examples[:shots]
    found = _checked(path)
    return found[shots:], found[:shots]


def _asked(record: Record) -> str:
    return f"Question: {record['question']}\nAnswer:"


def _checked(path: Path) -> list[Record]:
    found = records(path)
    for number, record in enumerate(found, 1):
        need(record, number, "question", "answer")
        if not _MARKED.search(str(record["answer"])):
            raise ValueError(f"record {number} has an answer without #### and a number")
    return found


def _solution(record: Record) -> str:
    return _plain(_MARKED.findall(str(record["answer"]))[-1]) or ""


def _plain(number: str) -> str | None:
    """`1,000.00` and `$1000` as `1000`."""
    try:
        value = Decimal(number.replace(",", "").replace("$", ""))
    except InvalidOperation:
        return None
    return f"{value.normalize():f}"
