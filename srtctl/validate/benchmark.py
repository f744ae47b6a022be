"""The benchmark against what it runs on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtctl.benchmarks.base import DataFile
from srtctl.errors import Problem, Severity
from srtctl.schema import JobConfig
from srtctl.validate.context import Context, Rule, as_integer
from srtctl.validate.model import is_hub_id

_PYTHON_NAME = re.compile(r"(?=.*[_.])[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LADDER = re.compile(r"\d{1,9}(?:x\d{1,9})*")

_CLIENT_NEEDS = "the client's node must have it"


def own_rules(context: Context) -> Iterator[Problem]:
    """What the benchmark's own type checks."""
    from srtctl.benchmarks import BENCHMARKS

    entry = BENCHMARKS.get(context.job.benchmark.type)
    if entry is not None:
        yield from entry.check(context.job.benchmark)


def data_files(job: JobConfig) -> list[DataFile]:
    """The files that the benchmark reads."""
    from srtctl.benchmarks import BENCHMARKS

    named = getattr(BENCHMARKS.get(job.benchmark.type), "data_files", None)
    return [] if named is None else list(named(job.benchmark))


def data(context: Context) -> Iterator[Problem]:
    """Data files are there and hold what they should, where that can be seen."""
    for file in data_files(context.job):
        fault = context.facts.data_faults.get(file.path)
        if not file.path.startswith("/"):
            yield Problem(
                "data-file", "must be an absolute path: the client runs elsewhere", file.key, file.path, "/path/of/it"
            )
        elif context.facts.paths.get(file.path) is False:
            yield context.absent(file.key, file.path, _CLIENT_NEEDS)
        elif fault:
            yield Problem("data-file", fault, file.key, file.path)


def custom_tokenizer(job: JobConfig) -> str | None:
    """The tokenizer that the benchmark names, without our mark of the hub; None for the model's own."""
    named = getattr(job.benchmark, "custom_tokenizer", None)
    return named.removeprefix("hf:") if isinstance(named, str) and named else None


def tokenizer(context: Context) -> Iterator[Problem]:
    """The benchmark's own tokenizer means something, and is there where that can be seen."""
    job, key = context.job, "benchmark.custom_tokenizer"
    named = custom_tokenizer(job)
    if named is None or (named == "builtin" and getattr(job.benchmark, "client", "aiperf") == "aiperf"):
        return  # aiperf has a tokenizer of its own
    if named.startswith("/"):
        if context.facts.paths.get(named) is False:
            yield context.absent(key, named, _CLIENT_NEEDS)
    elif named.startswith(("./", "../", "~")):
        yield Problem("tokenizer", "must be an absolute path: the client runs elsewhere", key, named, "/path/of/it")
    elif not is_hub_id(named):
        hint = ""
        if named in job.cluster.model_paths:
            hint = f"aliases are not looked up here: {job.cluster.model_paths[named]}"
        elif _PYTHON_NAME.fullmatch(named):
            hint = "Python code is for srt-slurm's own client; without this key the model's own tokenizer is used"
        message = "is neither a path nor a model of the Hugging Face hub"
        yield Problem("tokenizer", message, key, named, "an absolute path, or org/name", hint)


def windows(context: Context) -> Iterator[Problem]:
    """Answers longer than the model's context are refused; so are prompts that leave no room for them."""
    supported, benchmark = context.job.model.max_context_length, context.job.benchmark
    prompt, answer = (as_integer(getattr(benchmark, name, None)) for name in ("max_context_length", "max_tokens"))
    if not supported or not answer:
        return
    if answer > supported:
        text = f"the model supports a context of {supported} tokens"
        yield Problem("context-length", text, "benchmark.max_tokens", answer, f"up to {supported}")
    elif prompt and prompt + answer > supported:
        room = f"an answer of {answer} tokens leaves too little of the model's context, {supported} tokens"
        yield Problem(
            "context-length",
            room,
            "benchmark.max_context_length",
            prompt,
            f"up to {supported - answer}",
            "requests with longer prompts fail",
            severity=Severity.WARNING,
        )


def concurrencies(job: JobConfig) -> list[int]:
    """The requests in flight of each measurement, as far as they can be read; those that can't are left out."""
    if job.benchmark.type == "manual":  # has the key, and sends nothing
        return []
    asked = getattr(job.benchmark, "concurrencies", None) or getattr(job.benchmark, "concurrency", None)
    if isinstance(asked, str):
        asked = asked.split("x") if _LADDER.fullmatch(asked) else []
    elif not isinstance(asked, (list, tuple)):
        asked = [asked]
    return [number for number in (as_integer(item) for item in asked) if number is not None]


def highest_concurrency(job: JobConfig) -> int | None:
    """The most requests that are ever in flight."""
    return max(concurrencies(job), default=None)


def queueing(context: Context) -> Iterator[Problem]:
    """More requests than the engines take at a time: then the wait in the queue is what is measured."""
    most, role = highest_concurrency(context.job), "decode" if "decode" in context.workers else "aggregated"
    workers = context.workers.get(role)
    capacity = _capacity(context, role)
    if most is None or not workers or capacity is None or most <= workers * capacity[0]:
        return
    each, key = capacity
    takers = f"{workers} {role} workers take {each} each" if workers > 1 else f"the {role} worker takes {each}"
    text = f"{most} requests in flight, but {takers} at a time"
    yield Problem(
        "queueing",
        f"{text}: the rest waits in a queue",
        key,
        each,
        f"at least {-(-most // workers)}",
        severity=Severity.WARNING,
    )


def _capacity(context: Context, role: str) -> tuple[int, str] | None:
    """Requests that one worker runs at a time and where that is said."""
    backend = context.job.backend
    if backend.type == "mocker":
        sequences = getattr(backend, "max_num_seqs", None)
        replicas = getattr(backend, "data_parallel_size", 1) * getattr(backend, "num_workers", 1)
        return None if not sequences else (sequences * max(1, replicas), "backend.max_num_seqs")
    flag = context.flags(role).get("max-running-requests")
    number = None if flag is None else as_integer(flag.value)
    return None if flag is None or not number else (number, flag.key)


RULES: tuple[Rule, ...] = (own_rules, data, tokenizer, windows, queueing)
