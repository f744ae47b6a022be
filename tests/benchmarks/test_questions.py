"""Accuracy benchmarks: data sets as their authors publish them, answers as models write them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS, ClientContext
from srtctl.benchmarks.accuracy import Accuracy, Question, pick
from srtctl.benchmarks.longbenchv2 import shortened
from srtctl.errors import Severity
from tests.benchmarks import datasets

LONG: dict[str, Any] = {"context": "c", "question": "q", "answer": 1, "choices": list("abcd")}
TYPES = ("mmlu", "gpqa", "gsm8k", "longbenchv2")


def of(name: str) -> Accuracy:
    benchmark = BENCHMARKS[name]
    assert isinstance(benchmark, Accuracy)
    return benchmark


def a_csv(path: Path, *rows: list[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: B", "B"),
        ("First I thought of A.\n\nAnswer: C", "C"),
        ("**Answer: D**", "D"),
        ("**Answer:** B", "B"),
        ("The answer is (A).", "A"),
        ("Answer: A. No, wait.\n\nAnswer: B", "B"),
        ("the correct answer is B because option C is wrong", "B"),
        (r"Answer: $\boxed{C}$", "C"),
        (r"so \boxed{\text{D}} it is", "D"),
        ("The correct option is D.", "D"),
        ("B", "B"),
        ("(C)", "C"),
        ("Some thought.\nB.", "B"),
        ("answer: b", "B"),
        ("Answer: **c**", "C"),
        ("Answer: a good one", None),
        ("Answer: E", None),
        ("", None),
        ("I can't answer a question like that.", None),
        ("An apple a day", None),
    ],
)
def test_letters_that_models_choose(text: str, letter: str | None) -> None:
    assert of("mmlu").read_answer(text) == letter


@pytest.mark.timeout(30)
def test_a_model_that_loops_is_read_at_once() -> None:
    """A place for the colon that is open makes time grow with the square of the length: here, to minutes."""
    assert of("mmlu").read_answer("The answer" + ":" * 100_000) is None
    assert of("mmlu").read_answer("The answer" + " |:---:|" * 10_000 + " b") == "B"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She has 3 + 4 = 7 left.\n#### 7", "7"),
        ("#### 1,234", "1234"),
        ("#### -5", "-5"),
        ("It costs $12.50 in all.", "12.5"),
        ("The answer is 18.", "18"),
        ("#### 18\n\nQuestion: another one about 99\nAnswer: #### 99", "18"),
        (r"Therefore \boxed{42} apples, of 50.", "42"),
        ("#### 10.00", "10"),
        ("#### 100", "100"),
        ("no idea", None),
    ],
)
def test_numbers_that_models_arrive_at(text: str, number: str | None) -> None:
    assert of("gsm8k").read_answer(text) == number


def test_mmlu_in_each_form_is_the_same_question(tmp_path: Path) -> None:
    one = a_csv(
        tmp_path / "mmlu.csv",
        ["Question", "A", "B", "C", "D", "Answer", "Subject"],
        ["Is 2 even?", "yes", "no", "both", "neither", "A", "algebra"],
    )
    two = {"question": "Is 2 even?", "choices": ["yes", "no", "both", "neither"], "answer": 0, "subject": "algebra"}
    a_csv(tmp_path / "algebra_test.csv", ["Is 2 even?", "yes", "no", "both", "neither", "A"])
    forms = [of("mmlu").questions(path, {}) for path in (one, lines(tmp_path / "m.jsonl", two), tmp_path)]
    assert forms[0] == forms[1] == forms[2]
    (question,) = forms[0]
    assert (question.name, question.expected, question.category) == ("algebra/1", "A", "algebra")
    assert "(D) neither" in question.prompt


def test_data_sets_as_they_are_published(tmp_path: Path) -> None:
    """`tests/engine/test_question_readers.py` shows that SGLang's own readers find the same in these files."""
    (tmp_path / "archive").mkdir()
    mmlu = of("mmlu").questions(datasets.mmlu_csv(tmp_path / "mmlu.csv"), {})
    assert [(q.category, q.expected) for q in mmlu] == [
        ("philosophy", "A"),
        ("elementary_mathematics", "B"),
        ("abstract_algebra", "C"),
    ]
    assert "(D) N/A\n" in mmlu[0].prompt
    mmlu = of("mmlu").questions(datasets.mmlu_archive(tmp_path / "archive").parent, {})
    assert [(q.category, q.expected) for q in mmlu] == [("abstract_algebra", "C"), ("virology", "D"), ("virology", "B")]
    assert [q.expected for q in of("mmlu").questions(datasets.mmlu_hub(tmp_path / "hub.jsonl"), {})] == ["C", "D"]
    gpqa = of("gpqa").questions(datasets.gpqa_csv(tmp_path / "gpqa_diamond.csv"), {"seed": 1})
    assert [q.category for q in gpqa] == ["Physics", "Physics"]
    assert f"({gpqa[1].expected}) the third\n" in gpqa[1].prompt
    sums = of("gsm8k").questions(datasets.gsm8k_lines(tmp_path / "test.jsonl"), {"num_shots": 2})
    assert [q.expected for q in sums] == ["1234", "8", "9", "42", "18"]
    for path in (datasets.longbench_json(tmp_path / "data.json"), datasets.longbench_hub(tmp_path / "long.jsonl")):
        assert {q.expected for q in of("longbenchv2").questions(path, {})} <= {"A", "C", "D"}


def test_texts_that_are_too_long_may_be_left_out(tmp_path: Path) -> None:
    long = {**LONG, "context": "c" * 900}
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"data": [LONG, long]}, indent=1))
    skip = {"max_context_length": 200, "chars_per_token": 2.0, "too_long": "skip"}
    assert [q.name for q in of("longbenchv2").questions(path, skip)] == ["1"]
    assert len(of("longbenchv2").questions(path, {**skip, "too_long": "cut"})) == 2
    path.write_text(json.dumps([long]))
    with pytest.raises(ValueError, match="no question of at most 400 characters"):
        of("longbenchv2").questions(path, skip)


def test_categories(tmp_path: Path) -> None:
    record = {"question": "q", "choices": list("abcd"), "answer": "B"}
    path = lines(tmp_path / "m.jsonl", *({**record, "subject": s} for s in ("law", "art", "law")))
    assert [q.name for q in of("mmlu").questions(path, {"categories": ["law"]})] == ["law/1", "law/3"]
    with pytest.raises(ValueError, match="no question of these categories: chess"):
        of("mmlu").questions(path, {"categories": ["chess"]})


def test_gpqa_hides_the_right_answer_at_every_place(tmp_path: Path) -> None:
    header = ["Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"]
    rows = [[f"q{i}", "right", "w1", "w2", "w3"] for i in range(40)]
    path = a_csv(tmp_path / "gpqa_diamond.csv", header, *rows)
    questions = of("gpqa").questions(path, {"seed": 1})
    for question in questions:
        assert f"({question.expected}) right" in question.prompt
    assert {question.expected for question in questions} == set("ABCD")
    assert questions == of("gpqa").questions(path, {"seed": 1})
    assert questions != of("gpqa").questions(path, {"seed": 2})


def gsm(number: int) -> dict[str, str]:
    return {"question": f"How many is {number}?", "answer": f"It is that.\n#### {number}"}


def test_gsm8k_takes_its_examples_from_the_beginning_or_from_the_training_file(tmp_path: Path) -> None:
    path = lines(tmp_path / "test.jsonl", *map(gsm, range(10)))
    questions = of("gsm8k").questions(path, {"num_shots": 3})
    assert [q.expected for q in questions] == [str(i) for i in range(3, 10)]
    before = "".join(f"Question: How many is {i}?\nAnswer: It is that.\n#### {i}\n\n" for i in range(3))
    assert questions[0].prompt == f"{before}Question: How many is 3?\nAnswer:"
    lines(tmp_path / "train.jsonl", gsm(77), gsm(78))
    questions = of("gsm8k").questions(tmp_path, {"num_shots": 1})
    assert len(questions) == 10
    assert "How many is 77?" in questions[0].prompt
    assert "How many is 78?" not in questions[0].prompt
    assert of("gsm8k").questions(path, {"num_shots": 0})[0].prompt == "Question: How many is 0?\nAnswer:"


def test_long_contexts_lose_their_middle(tmp_path: Path) -> None:
    choices = {f"choice_{letter}": letter.lower() for letter in "ABCD"}
    record = {"_id": "x", "domain": "D", "context": "a" * 4000 + "b" * 4000, "question": "q?", "answer": "C", **choices}
    (tmp_path / "data.json").write_text(json.dumps([record]))
    options = {"max_context_length": 1000, "chars_per_token": 2.0}
    (question,) = of("longbenchv2").questions(tmp_path / "data.json", options)
    assert len(question.prompt) <= 2002
    assert question.prompt.startswith("aaa")
    assert "bbb" in question.prompt
    assert (question.name, question.expected, question.category) == ("x", "C", "D")
    assert shortened("abc", 3) == "abc"
    assert len(shortened("a" * 100, 50)) <= 50


@pytest.mark.parametrize(
    ("name", "file", "text", "fault"),
    [
        ("gsm8k", "d.jsonl", "", "holds no records"),
        ("gsm8k", "d.json", "[\n]\n", "holds no records"),
        ("gsm8k", "d.jsonl", "{", "neither JSON lines nor one JSON array"),
        ("gsm8k", "d.jsonl", "[1]", "no object"),
        ("gsm8k", "d.jsonl", '{"question": "q"}', "record 1 has no answer"),
        ("gsm8k", "d.jsonl", '{"question": "q", "answer": "7"}', "without #### and a number"),
        ("gsm8k", "d.jsonl", json.dumps(gsm(1)), "no more than the 5 examples"),
        ("mmlu", "d.csv", "Question,A\nq,a\n", "record 1 has no Answer"),
        ("mmlu", "d.csv", "Question,A,Answer\nq,a,A\n", "record 1 has no B, C, D"),
        ("mmlu", "d.csv", "Question,A,B,C,D,Answer\nq,a,b,c,d,F\n", "an answer among them"),
        ("mmlu", "d.csv", "Question,A,B,C,D,Answer\nq,a,b\n", "fewer fields"),
        ("gpqa", "d.csv", "Question\nq\n", "record 1 has no Correct Answer"),
        ("gpqa", "d.csv", "Question,Correct Answer\nq,a\n", "record 1 has no Incorrect Answer 1"),
        ("longbenchv2", "data.json", '[{"context": "c"}]', "record 1 has no question, answer"),
        ("longbenchv2", "d.jsonl", '{"context": "c", "question": "q", "answer": "A"}', "record 1 has no choice_A"),
        ("longbenchv2", "d.jsonl", json.dumps({**LONG, "answer": 4}), "an answer among them"),
        ("longbenchv2", "d.jsonl", json.dumps({**LONG, "choices": ["a"]}), "needs 4 choices"),
        ("mmlu", "d.parquet", "PAR1", "is a Parquet file"),
    ],
)
def test_faults_of_data_sets_are_told_before_anything_starts(
    tmp_path: Path, name: str, file: str, text: str, fault: str
) -> None:
    path = tmp_path / file
    path.write_text(text)
    params = of(name).params(dataset_path=str(path))
    (data,) = of(name).data_files(params)
    assert fault in data.fault(path)


def test_the_same_questions_are_picked_whatever_their_order() -> None:
    questions = [Question(str(i), "p", "A") for i in range(100)]
    some = pick(questions, 10, 1)
    assert len(some) == 10
    assert pick(questions[::-1], 10, 1) == some
    assert pick(questions, 10, 2) != some
    assert pick(questions, None, 1) == pick(questions, 200, 1) == questions


@pytest.mark.parametrize("name", TYPES)
def test_nothing_is_downloaded_unless_that_is_asked_for(name: str) -> None:
    benchmark = of(name)
    (problem,) = benchmark.check(benchmark.params())
    assert (problem.key, problem.severity) == ("benchmark.dataset_path", Severity.ERROR)
    assert benchmark.source in problem.hint
    (problem,) = benchmark.check(benchmark.params(dataset_path="https://x/y.jsonl"))
    assert problem.key == "benchmark.dataset_path"
    (problem,) = benchmark.check(benchmark.params(download=True))
    assert (problem.severity, problem.value) == (Severity.WARNING, benchmark.source)
    assert benchmark.check(benchmark.params(dataset_path="/data/x")) == []


# The published defaults of the tool whose recipes are taken over.
@pytest.mark.parametrize(
    ("name", "examples", "tokens", "repeat", "threads"),
    [("mmlu", 200, 2048, 8, 512), ("gpqa", 198, 32768, 8, 128), ("gsm8k", 1319, 16384, 1, 128),
     ("longbenchv2", None, 16384, 1, 16)],
)  # fmt: skip
def test_defaults(name: str, examples: int | None, tokens: int, repeat: int, threads: int) -> None:
    params: Any = of(name).params()
    assert (params.num_examples, params.max_tokens, params.repeat) == (examples, tokens, repeat)
    assert params.num_threads == threads


def test_the_command() -> None:
    params = of("mmlu").params(dataset_path="/data/mmlu.csv", categories=["law", "art"], top_p=0.9)  # type: ignore[call-arg]
    context = ClientContext("@host:slot0@:@port:nginx/http@", "tiny", "/t", slot=1, python="/usr/bin/python3")
    (step,) = of("mmlu").steps(params, context).steps
    assert " ".join(step.argv) == (
        "/usr/bin/python3 -I -S @allocation@/orchestrator.pyz --questions mmlu "
        "--url http://@host:slot0@:@port:nginx/http@ --model tiny --dataset /data/mmlu.csv "
        "--seed 1 --categories law art --num-examples 200 --max-tokens 2048 --repeat 8 --num-threads 512 "
        "--request-timeout-s 3600 --temperature 0.0 --top-p 0.9"
    )
    assert (step.expected_requests, step.container, step.slot) == (1600, False, 1)
