"""Small data sets in the very form that their authors publish, as the readers of SGLang and the harness show it."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

SUMS = [(2, 3), (10, 15), (700, 534), (4, 4), (1, 8), (20, 22), (9, 9)]


def a_csv(path: Path, *rows: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def mmlu_csv(path: Path) -> Path:
    """simple-evals' file: the first column is a number without a name; texts have quotes, commas and ends of lines."""
    header = ["", "Question", "A", "B", "C", "D", "Answer", "Subject"]
    return a_csv(
        path,
        header,
        ["0", 'What does "ab, initio" mean?\nTake one.', "from, the start", "0", "None", "N/A", "A", "philosophy"],
        ["1", "Which is even?", "1", "2", "3", "5", "B", "elementary_mathematics"],
        ["2", "Find all c in Z_3.", "0", "2", "1", "3", "C", "abstract_algebra"],
    )


def mmlu_archive(directory: Path) -> Path:
    """The authors' data.tar, and its content unpacked beside it: one file a subject, without a header."""
    place = directory / "data" / "test"
    place.mkdir(parents=True)
    (directory / "data" / "dev").mkdir()
    a_csv(place / "abstract_algebra_test.csv", ["Find all c in Z_3.", "0", "2", "1", "3", "C"])
    a_csv(
        place / "virology_test.csv", ["Which, of these?", "a", "b", "c", "d", "D"], ["And now?", "", "b", "c", "d", "B"]
    )
    a_csv(directory / "data" / "dev" / "virology_dev.csv", ["An example?", "a", "b", "c", "d", "A"])
    with tarfile.open(directory / "data.tar", "w") as archive:
        archive.add(directory / "data", "data")
    return directory / "data.tar"


def mmlu_hub(path: Path) -> Path:
    """`cais/mmlu` on the hub, as JSON lines."""
    record = {
        "question": "Find all c in Z_3.",
        "subject": "abstract_algebra",
        "choices": ["0", "2", "1", "3"],
        "answer": 2,
    }
    return lines(path, record, {**record, "question": "Which is odd?", "answer": 3})


def gpqa_csv(path: Path) -> Path:
    """Some of the authors' many columns, their order changed."""
    header = ["Pre-Revision Question", "Question", "Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2"]
    header += ["Incorrect Answer 3", "Explanation", "Subdomain", "High-level domain", "Writer's Difficulty Estimate"]
    rest = ["Because.", "Quantum Mechanics", "Physics", "Hard graduate level (could be answered)"]
    return a_csv(
        path,
        header,
        ["x", "Two states have lifetimes of 10^-9 s?\n", "10^-4 eV\n", "10^-11 eV", "10^-8 eV\n\n", "10^-9 eV", *rest],
        ["x", "Which, then?", "the third", "the first", "the second", "the fourth", *rest],
    )


def gsm8k_lines(path: Path) -> Path:
    """The authors' form: working in <<>>, thousands with commas, the number behind ####."""
    record = [
        {
            "question": f"There are {a} – and {b} more.\u2028How many?",
            "answer": f"{a}+{b} = <<{a}+{b}={a + b}>>{a + b}.\n#### {a + b:,}",
        }
        for a, b in SUMS
    ]
    return lines(path, *record)


def longbench_json(path: Path) -> Path:
    """The authors' data.json: one array."""
    options = {f"choice_{letter}": f" it is {letter.lower()} " for letter in "ABCD"}
    record = {
        "_id": "66f36490821e116aacb2cc22", "domain": "Single-Document QA", "sub_domain": "Financial",
        "difficulty": "easy", "length": "short", "question": "What is it?", **options, "answer": "D",
        "context": "A text. " * 40,
    }  # fmt: skip
    path.write_text(
        json.dumps([record, {**record, "_id": "2", "domain": "Code Repository Understanding", "answer": "A"}])
    )
    return path


def longbench_hub(path: Path) -> Path:
    """`recursal/longbench-v2` on the hub, as JSON lines: a list of choices, the answer's index."""
    record = {
        "context": "A text. " * 40,
        "question": "What is it?",
        "choices": list("wxyz"),
        "answer": 2,
        "domain": "d",
    }
    return lines(path, record)
