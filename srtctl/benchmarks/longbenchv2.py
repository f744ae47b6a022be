"""`longbenchv2`: multiple choice about texts of 8,000 to two million words.

The data set is the file `data.json` of its authors: a list of objects with `_id`, `domain`, `context`, `question`,
`choice_A` to `choice_D` and `answer`. JSON lines and CSV do as well, and options as `A` to `D` or as a list `choices`
with the answer as an index, all of which `sglang.test.simple_eval_longbench_v2` of 0.5.14 and lm-eval's tasks
`longbench2` (of `recursal/longbench-v2`) read. Of a context that is too long its middle is left out, as the authors do;
SGLang's client leaves such a question out (`too_long: skip`), by its tokenizer, and we judge by characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Type

from srtctl.benchmarks.accuracy import Accuracy, AccuracyConfig, Question
from srtctl.benchmarks.choices import LETTERS, asked, chosen
from srtctl.benchmarks.records import Record, need, records
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_CHOICES = tuple(f"choice_{letter}" for letter in LETTERS)
_GAP = "\n[…]\n"


@dataclass
class LongBenchV2Config(AccuracyConfig):
    """`longbenchv2`: multiple choice about long texts."""

    type: str = key("longbenchv2", "Multiple choice about long texts (LongBench v2).", allowed=("longbenchv2",))
    num_threads: int = key(16, "Questions in flight.", minimum=1)
    max_context_length: int = key(
        128000, "Longest prompt; of longer texts the middle is left out.", unit="tokens", minimum=1
    )
    chars_per_token: float = key(
        3.0, "Characters that a token stands for at least, by which a text's length is judged.", minimum=0.1
    )
    too_long: str = key(
        "cut",
        "What becomes of a text that is too long: its middle or its question is left out.",
        allowed=("cut", "skip"),
    )
    categories: List[str] = key([], "Domains to ask about, such as 'Single-Document QA'; empty for all.")


class LongBenchV2(Accuracy):
    """Registry entry."""

    type = "longbenchv2"
    params: Type[BenchmarkConfig] = LongBenchV2Config
    source = "https://huggingface.co/datasets/THUDM/LongBench-v2/resolve/main/data.json"
    options = ("categories", "max_context_length", "chars_per_token", "too_long")

    def questions(self, path: Path, options: Mapping[str, Any]) -> list[Question]:
        """Every question of the domains that are asked about."""
        wanted = set(options.get("categories") or ())
        longest = int(int(options.get("max_context_length", 128000)) * float(options.get("chars_per_token", 3.0)))
        cut = None if options.get("too_long") == "skip" else longest
        found = [_question(record, number, cut) for number, record in enumerate(records(path), 1)]
        found = [question for question in found if not wanted or question.category in wanted]
        if not found:
            raise ValueError(f"holds no question of these categories: {', '.join(sorted(wanted))}")
        found = [question for question in found if cut or len(question.prompt) <= longest]
        if not found:
            raise ValueError(f"holds no question of at most {longest} characters; set benchmark.too_long=cut")
        return found

    def read_answer(self, text: str) -> str | None:
        """The letter."""
        return chosen(text)


def _question(record: Record, number: int, longest: int | None) -> Question:
    """`longest` is in characters; None for no limit."""
    context, text, answer = need(record, number, "context", "question", "answer")
    options = record.get("choices")
    if not isinstance(options, list):
        options = need(record, number, *(LETTERS if "A" in record else _CHOICES), empty=True)
    letter = LETTERS[answer] if isinstance(answer, int) and 0 <= answer < len(LETTERS) else str(answer).strip().upper()
    if len(options) != len(LETTERS) or letter not in LETTERS:
        raise ValueError(f"record {number} needs {len(LETTERS)} choices and an answer among them")
    end = asked(f"The question is about the text above.\n\n{text}", [str(option) for option in options])
    whole = str(context)
    prompt = f"{whole if longest is None else shortened(whole, longest - len(end))}\n\n{end}"
    category = record.get("domain") or record.get("category") or ""
    return Question(str(record.get("_id") or number), prompt, letter, str(category))


def shortened(text: str, longest: int) -> str:
    """The text, without its middle if it has more than `longest` characters."""
    if len(text) <= longest:
        return text
    half = max(0, longest - len(_GAP)) // 2
    return text[:half] + _GAP + (text[-half:] if half else "")
