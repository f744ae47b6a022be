"""Entry of `orchestrator.pyz --questions`: all questions of a data set, so many at a time."""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from srtctl import __version__
from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.accuracy import ANSWERS, Accuracy, Question, pick
from srtctl.questions.ask import Answer, Asker

FLAG = "--questions"
_DOWNLOAD_TIMEOUT_S = 600.0


def main() -> int:
    """Ask everything and write `answers.jsonl` into the working directory; returns the exit code."""
    options = _arguments(sys.argv[2:])
    benchmark = BENCHMARKS[options.benchmark]
    assert isinstance(benchmark, Accuracy)
    try:
        path = _download(options.dataset) if options.download else Path(options.dataset)
        found = benchmark.questions(path, vars(options))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {options.dataset}: {error}\n")
        return 1
    questions = pick(found, options.num_examples, options.seed)
    with Path(ANSWERS).open("w", encoding="utf-8") as file:
        _write(file, {"asked": len(questions) * options.repeat, "questions": len(found), "version": __version__})
        _ask_all(benchmark, questions, options, file)
    return 0


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="questions", allow_abbrev=False)
    named = [name for name, benchmark in BENCHMARKS.items() if isinstance(benchmark, Accuracy)]
    parser.add_argument("benchmark", choices=named)
    for name in ("--url", "--model", "--dataset"):
        parser.add_argument(name, required=True)
    parser.add_argument("--download", action="store_true", help="--dataset is a URL")
    parser.add_argument("--num-examples", type=int)
    for name, value in (("max-tokens", 1024), ("repeat", 1), ("num-threads", 1), ("seed", 1), ("num-shots", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name in ("temperature", "top-p"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--request-timeout-s", type=float, default=3600.0)
    parser.add_argument("--max-context-length", type=int, default=128000)
    parser.add_argument("--chars-per-token", type=float, default=3.0)
    parser.add_argument("--too-long", default="cut")
    parser.add_argument("--categories", nargs="+", default=[])
    return parser.parse_args(list(words))


def _download(url: str) -> Path:
    """The data set as a file in the working directory, under the last part of its URL."""
    path = Path(url.partition("?")[0].rpartition("/")[2] or "dataset.jsonl")
    sys.stderr.write(f"downloading {url}\n")
    with urllib.request.urlopen(url, timeout=_DOWNLOAD_TIMEOUT_S) as response:  # noqa: S310 - the user named it
        path.write_bytes(response.read())
    return path


def _ask_all(benchmark: Accuracy, questions: Sequence[Question], options: argparse.Namespace, file: TextIO) -> None:
    waiting: queue.SimpleQueue[tuple[Question, int]] = queue.SimpleQueue()
    for repetition in range(options.repeat):
        for question in questions:
            waiting.put((question, repetition))
    lock = threading.Lock()

    def work() -> None:
        asker = Asker(options.url.partition("//")[2], options.model, _sampling(options), options.request_timeout_s)
        while True:
            try:
                question, repetition = waiting.get_nowait()
            except queue.Empty:
                return asker.close()
            start = time.time()
            answer = asker.ask(question.prompt)
            line = _line(benchmark, question, answer) | {"repetition": repetition}
            with lock:
                _write(file, line | {"start_s": start, "end_s": time.time()})

    count = min(options.num_threads, len(questions) * options.repeat)
    threads = [threading.Thread(target=work, name=f"asker{index}") for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _sampling(options: argparse.Namespace) -> dict[str, Any]:
    wanted = {name: getattr(options, name) for name in ("max_tokens", "temperature", "top_p", "top_k")}
    return {name: value for name, value in wanted.items() if value is not None}


def _line(benchmark: Accuracy, question: Question, answer: Answer) -> dict[str, Any]:
    read = None if answer.error else benchmark.read_answer(answer.text)
    return {
        "question": question.name,
        "category": question.category,
        "expected": question.expected,
        "answer": read,
        "score": float(read == question.expected),
        "error": answer.error,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "text": answer.text,
    }


def _write(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()
