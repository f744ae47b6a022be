"""The accuracy benchmarks against SGLang's own clients: the same files, the same questions, the same right answers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.accuracy import Accuracy, Question
from tests.benchmarks import datasets

from .packages import unpacked
from .stack import ENVIRONMENT

# How models end their answers, and the letter that every reader must find there.
LETTERS = {
    "Thinking of A and D.\n\nAnswer: B": "B",
    "Answer: C": "C",
    "So it goes.\nAnswer:D": "D",
    "Well.\nAnswer : A": "A",
}
# What only some readers of letters take: text, ours, simple-evals, sgl-eval.
FURTHER = [
    ("Answer: A. No, wait.\nAnswer: B", "B", "A", "B"),
    ("Answer: b", "B", "b", "B"),
    (r"Answer: \boxed{C}", "C", None, "C"),
    ("**Answer:** D", "D", None, "D"),
    ("I don't know", None, None, None),
]
LONG = {"The correct answer is (B)": "B", "The correct answer is **D**.": "D", "the correct answer is c": "C"}
NUMBERS = ["so 3 + 4 = 7.\n#### 7", "It is 1,234 in all.", "She pays $12.50", "#### -5", "The answer is 18.", "Nothing"]


def ours(name: str, path: str, **options: Any) -> list[Question]:
    benchmark = BENCHMARKS[name]
    assert isinstance(benchmark, Accuracy)
    return benchmark.questions(Path(path), options)


def read(name: str, text: str) -> str | None:
    benchmark = BENCHMARKS[name]
    assert isinstance(benchmark, Accuracy)
    return benchmark.read_answer(text)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("data")
    made = {
        "mmlu": datasets.mmlu_csv(place / "mmlu.csv"),
        "mmlu-archive": datasets.mmlu_archive(place),
        "gpqa": datasets.gpqa_csv(place / "gpqa_diamond.csv"),
        "gsm8k": datasets.gsm8k_lines(place / "test.jsonl"),
        "longbench": datasets.longbench_json(place / "data.json"),
        "longbench-hub": datasets.longbench_hub(place / "long.jsonl"),
    }
    return {name: str(path) for name, path in made.items()}


@pytest.fixture(scope="module")
def theirs(files: dict[str, str]) -> dict[str, Any]:
    python, script = str(ENVIRONMENT / "bin/python"), str(Path(__file__).with_name("readers_of.py"))
    texts = [*LETTERS, *(row[0] for row in FURTHER), *LONG, *NUMBERS]
    argv = [python, script, str(unpacked("sglang", "0.5.14")), str(unpacked("sgl-eval", "0.1.3"))]
    wanted = json.dumps({"files": files, "texts": texts})
    done = subprocess.run(argv, input=wanted, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found["data_sets"], "answers": dict(zip(texts, found["answers"], strict=True))}


@pytest.mark.parametrize("name", ["mmlu", "mmlu-archive", "longbench", "longbench-hub"])
def test_the_same_questions_with_the_same_letters(name: str, files: dict[str, str], theirs: dict[str, Any]) -> None:
    path = files[name] if name != "mmlu-archive" else str(Path(files[name]).parent)
    found = ours(name.split("-")[0].replace("longbench", "longbenchv2"), path)
    assert [q.expected for q in found] == [right for _, right in theirs[name]]
    assert all(asked.strip() in q.prompt for q, (asked, _) in zip(found, theirs[name], strict=True))


def test_gpqa_has_the_right_answer_at_the_letter(files: dict[str, str], theirs: dict[str, Any]) -> None:
    found = ours("gpqa", files["gpqa"], seed=3)
    for question, (asked, right) in zip(found, theirs["gpqa"], strict=True):
        assert asked.strip() in question.prompt
        assert f"({question.expected}) {right.strip()}\n" in question.prompt


def test_gsm8k_sends_what_sglang_sends(files: dict[str, str], theirs: dict[str, Any]) -> None:
    found = ours("gsm8k", files["gsm8k"], num_shots=3)
    assert [(q.prompt, float(q.expected)) for q in found] == [(asked, right) for asked, right in theirs["gsm8k"]]


def test_answers_are_read_alike(theirs: dict[str, Any]) -> None:
    answers = theirs["answers"]
    for text, letter in LETTERS.items():
        assert (read("mmlu", text), answers[text]["simple-evals"], answers[text]["sgl-eval"]) == (letter,) * 3, text
    for text, letter in LONG.items():
        assert (read("longbenchv2", text), answers[text]["longbench"]) == (letter, letter), text
    for text in NUMBERS:
        number = read("gsm8k", text)
        assert (float(number) if number else -9999999) == answers[text]["gsm8k"], text


def test_where_readers_of_letters_differ(theirs: dict[str, Any]) -> None:
    answers = theirs["answers"]
    assert [(t, read("mmlu", t), answers[t]["simple-evals"], answers[t]["sgl-eval"]) for t, *_ in FURTHER] == FURTHER
