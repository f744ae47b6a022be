"""`mmlu`: multiple choice over 57 subjects.

The data set is a CSV file with the columns Question, A, B, C, D, Answer, Subject, as simple-evals has it
(`sglang.test.simple_eval_mmlu` of 0.5.14 names the file and the columns); JSON lines with `question`, `choices`,
`answer` (a letter or an index) and `subject`, as `cais/mmlu` on the hub has them (lm-eval's task `mmlu`); or the
directory of the authors' archive, with a file `<subject>_test.csv` without header for each subject (`sgl-eval` 0.1.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional, Type

from srtctl.benchmarks.accuracy import Accuracy, AccuracyConfig, Question
from srtctl.benchmarks.choices import LETTERS, asked, chosen
from srtctl.benchmarks.records import Record, need, records
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_COLUMNS = ("Question", "A", "B", "C", "D", "Answer")
_TEST = "_test.csv"


@dataclass
class MmluConfig(AccuracyConfig):
    """`mmlu`: multiple choice over many subjects."""

    type: str = key("mmlu", "Multiple choice over 57 subjects (MMLU).", allowed=("mmlu",))
    num_examples: Optional[int] = key(200, "Questions to ask; unset for all of them.", minimum=1)
    max_tokens: int = key(2048, "Longest answer.", unit="tokens", minimum=1)
    repeat: int = key(8, "How often each question is asked.", minimum=1)
    num_threads: int = key(512, "Questions in flight.", minimum=1)
    categories: List[str] = key([], "Subjects to ask about, such as abstract_algebra; empty for all.")


class Mmlu(Accuracy):
    """Registry entry."""

    type = "mmlu"
    params: Type[BenchmarkConfig] = MmluConfig
    source = "https://openaipublic.blob.core.windows.net/simple-evals/mmlu.csv"
    options = ("categories",)

    def questions(self, path: Path, options: Mapping[str, Any]) -> list[Question]:
        """Every question of the subjects that are asked about."""
        wanted = set(options.get("categories") or ())
        found = [q for q in _questions(path) if not wanted or q.category in wanted]
        if not found:
            raise ValueError(f"holds no question of these categories: {', '.join(sorted(wanted))}")
        return found

    def read_answer(self, text: str) -> str | None:
        """The letter."""
        return chosen(text)


def _questions(path: Path) -> Iterator[Question]:
    if path.is_dir():
        files = sorted(file for file in path.glob(f"**/*{_TEST}") if not file.name.startswith("."))
        if not files:
            raise ValueError(f"holds no file <subject>{_TEST}")
        for file in files:
            subject = file.name.removesuffix(_TEST)
            for number, record in enumerate(records(file, _COLUMNS), 1):
                yield _question(record | {"Subject": subject}, number)
        return
    for number, record in enumerate(records(path), 1):
        yield _question(record, number)


def _question(record: Record, number: int) -> Question:
    if "choices" in record:
        text, options, answer = need(record, number, "question", "choices", "answer")
        subject = str(record.get("subject") or "")
    else:
        text, answer = need(record, number, "Question", "Answer")
        options = need(record, number, *LETTERS, empty=True)
        subject = str(record.get("Subject") or "")
    letter = LETTERS[answer] if isinstance(answer, int) and 0 <= answer < len(LETTERS) else str(answer).strip().upper()
    if len(options) != len(LETTERS) or letter not in LETTERS:
        raise ValueError(f"record {number} needs {len(LETTERS)} choices and an answer among them")
    return Question(f"{subject}/{number}", asked(str(text), [str(option) for option in options]), letter, subject)
