"""What the accuracy benchmarks share: questions with known answers, asked one by one, and a score.

The questions are asked by `srtctl.questions`, which needs nothing but a Python; it leaves one line for each answer.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Type

from srtctl.benchmarks.base import ClientContext, DataFile
from srtctl.benchmarks.measurement import step_started_at, summarise_errors
from srtctl.benchmarks.options import words
from srtctl.benchmarks.statistics import mean
from srtctl.errors import Problem, Severity
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

ANSWERS = "answers.jsonl"
PROGRAM = "@allocation@/orchestrator.pyz"
_URL = ("http://", "https://")


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: Unique in its data set.
        prompt: What is sent.
        expected: The right answer, in the form that `read_answer` gives.
        category: Subject or domain; empty where the data set has none.
    """

    name: str
    prompt: str
    expected: str
    category: str = ""


@dataclass
class AccuracyConfig(BenchmarkConfig):
    """Keys of every accuracy benchmark."""

    dataset_path: Optional[str] = key(None, "The data set: a path on the client's node.")
    download: bool = key(False, "Let the client download the data set at the beginning, while the servers wait.")
    num_examples: Optional[int] = key(None, "Questions to ask; unset for all of them.", minimum=1)
    max_tokens: int = key(16384, "Longest answer.", unit="tokens", minimum=1)
    repeat: int = key(1, "How often each question is asked.", minimum=1)
    num_threads: int = key(128, "Questions in flight.", minimum=1)
    temperature: Optional[float] = key(0.0, "Sampling temperature; null for the server's own.", minimum=0)
    top_p: Optional[float] = key(None, "Sampled part of the probability; unset for the server's own.", minimum=0)
    top_k: Optional[int] = key(None, "Tokens to sample from; unset for the server's own.")
    seed: int = key(1, "Decides which questions are asked when not all are, and how choices are ordered.", minimum=0)
    request_timeout_s: float = key(3600, "Longest time without a sign of an answer.", unit="s", minimum=1)


class Accuracy:
    """A registry entry but for what the data set decides: `type`, `params`, `source`, `options`, and how to read it."""

    type: str
    params: Type[BenchmarkConfig]
    source: str
    """Where the data set is to be had: named in hints, and downloaded when that is asked for."""
    options: tuple[str, ...] = ()
    """Keys of its own that decide what is asked."""
    score_name = "accuracy"

    def questions(self, path: Path, options: Mapping[str, Any]) -> list[Question]:
        """Every question of the data set.

        Raises:
            OSError: It can't be read.
            ValueError: It is not of the form that is expected; the text says why.
        """
        raise NotImplementedError

    def read_answer(self, text: str) -> str | None:
        """The answer that a text ends in; None where none is found."""
        raise NotImplementedError

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        url = (params.dataset_path or "").startswith(_URL)
        if params.download and (url or not params.dataset_path):
            message = "the client downloads the data set while the servers wait"
            wanted = params.dataset_path or self.source
            return [Problem("download", message, "benchmark.download", wanted, severity=Severity.WARNING)]
        if not params.dataset_path or url:
            message = "nothing is downloaded unless that is asked for" if url else f"{self.type} needs the data set"
            hint = f"get it once, from {self.source}, and give its path; or set benchmark.download=true"
            return [Problem("benchmark-key", message, "benchmark.dataset_path", hint=hint)]
        return []

    def data_files(self, params: Any) -> list[DataFile]:
        """The data set, unless it is to be downloaded."""
        path = params.dataset_path
        if not path or path.startswith(_URL):
            return []
        return [DataFile("benchmark.dataset_path", path, lambda file: self._fault(file, params))]

    def _fault(self, path: Path, params: Any) -> str:
        try:
            self.questions(path, self._options(params))
        except ValueError as error:
            return str(error)
        return ""

    def _options(self, params: Any) -> dict[str, Any]:
        return {name: getattr(params, name) for name in ("seed", *self.options)}

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step: all questions."""
        sampling = ("temperature", "top_p", "top_k")
        names = ("num_examples", "max_tokens", "repeat", "num_threads", "request_timeout_s", *sampling)
        options = self._options(params) | {name: getattr(params, name) for name in names}
        dataset = params.dataset_path or self.source
        argv = [context.python, "-I", "-S", PROGRAM, "--questions", self.type, "--url", f"http://{context.endpoint}"]
        argv += ["--model", context.model, "--dataset", dataset, *(["--download"] if params.download else [])]
        argv += words({name.replace("_", "-"): value for name, value in options.items() if value != []})
        settings = {"concurrency": params.num_threads, "dataset": dataset, "client": "srtctl", **options}
        step = Step(
            name=self.type,
            benchmark=self.type,
            argv=tuple(argv),
            slot=context.slot,
            outputs=(ANSWERS,),
            timeout_s=params.timeout_s,
            expected_requests=params.num_examples * params.repeat if params.num_examples else None,
            settings={name: value for name, value in settings.items() if value is not None},
            container=False,
        )
        return PointSteps(context.config_id, self.type, (step,))

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """One measurement: the score, and what became of the requests.

        Raises:
            ValueError: The client's file is missing or not what it writes.
        """
        path = directory / ANSWERS
        head, *answers = _lines(path) or [{}]
        if "asked" not in head:
            raise ValueError(f"{path}: does not begin with what was to be asked; see the client's log")
        return [_measurement(step.name, self.score_name, head, answers, step_started_at(directory))]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Answers so far."""
        try:
            with (directory / ANSWERS).open("rb") as file:
                file.seek(state.get("offset", 0))
                new = file.read()
        except FileNotFoundError:
            return None
        state["offset"] = state.get("offset", 0) + len(new)
        state["lines"] = state.get("lines", 0) + new.count(b"\n")
        return max(0, state["lines"] - 1)  # the first one says what will be asked


def pick(questions: Sequence[Question], wanted: int | None, seed: int) -> list[Question]:
    """The questions that are asked: the same ones for the same seed, whatever the order of the data set."""
    if wanted is None or wanted >= len(questions):
        return list(questions)
    ranked = sorted(questions, key=lambda q: hashlib.sha256(f"{seed}/{q.name}".encode()).digest())
    return ranked[:wanted]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: the client asked nothing; see its log") from None
    try:
        return [json.loads(line) for line in text.split("\n") if line]  # an answer may hold other ends of lines
    except ValueError as error:
        raise ValueError(f"{path}: not what the client writes ({error})") from None


def _measurement(
    name: str, score_name: str, head: Mapping[str, Any], answers: Sequence[Mapping[str, Any]], started: float | None
) -> dict[str, Any]:
    good = [answer for answer in answers if not answer["error"]]
    errors = [str(answer["error"]) for answer in answers if answer["error"]]
    first = min((answer["start_s"] for answer in answers), default=None)
    last = max((answer["end_s"] for answer in answers), default=None)
    score, deviation, questions = _score(good)
    return {
        "measurement": name,
        "requests_expected": head["asked"],
        "requests_completed": len(good),
        "requests_failed": len(errors),
        "requests_missing": head["asked"] - len(answers),
        "input_tokens": sum(answer["prompt_tokens"] or 0 for answer in good),
        "output_tokens": sum(answer["completion_tokens"] or 0 for answer in good),
        "score_name": score_name,
        "score": score,
        "score_stderr": deviation,
        "score_n": questions,
        "answers_unreadable": sum(answer["answer"] is None for answer in good),
        "answers_cut": sum(answer["finish_reason"] == "length" for answer in good),
        "started_at": first,
        "ended_at": last,
        "duration_s": last - first if first is not None and last is not None else 0.0,
        "client_startup_s": first - started if first is not None and started is not None else None,
        "errors": summarise_errors(errors),
        "client": {"name": "srtctl", "version": head.get("version")},
        "settings": {"questions_in_dataset": head.get("questions"), **_categories(good)},
    }


def _score(good: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None, int]:
    """Mean and standard error over questions, each with the mean of its repetitions."""
    each: dict[str, list[float]] = {}
    for answer in good:
        each.setdefault(answer["question"], []).append(float(answer["score"]))
    values = [mean(scores) for scores in each.values()]
    if not values:
        return None, None, 0
    average = mean(values)
    if len(values) < 2:
        return average, None, 1
    variance = math.fsum((value - average) ** 2 for value in values) / (len(values) - 1)
    return average, math.sqrt(variance / len(values)), len(values)


def _categories(good: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The score of each category, where there are several."""
    named: dict[str, list[float]] = {}
    for answer in good:
        named.setdefault(answer["category"], []).append(float(answer["score"]))
    return {"score_by_category": {c: mean(named[c]) for c in sorted(named)}} if len(named) > 1 else {}
