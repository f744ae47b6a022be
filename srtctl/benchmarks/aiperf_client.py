"""The client aiperf: its command, and how to read what it leaves in `aiperf/`.

Which requests failed: aiperf takes a stream that simply ends for a good one, whatever was still to come. Every request
asks for the server's token counts, which come with the stream's last event, so a request without them was cut off (or
ended in an error event) and counts as failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.measurement import Request, measure, step_started_at
from srtctl.benchmarks.options import Options, canonical, merged, owned, words
from srtctl.errors import Problem
from srtctl.plan.model import Step

DIRECTORY = "aiperf"
RECORDS = f"{DIRECTORY}/profile_export.jsonl"
SUMMARY = f"{DIRECTORY}/profile_export_aiperf.json"
OUTPUTS = (RECORDS, SUMMARY)

# In offline mode aiperf refuses a tokenizer that is a directory on disk.
UNSET_ENV = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")

_CONCURRENCY_PER_WORKER = 8
_MOST_WORKERS = 32
_LEAST_CONNECTIONS = 2500
_UNLIMITED_CONNECTIONS = 20000
ALIASES = {
    "m": "model", "model-names": "model", "u": "url", "output-artifact-dir": "artifact-dir", "ui-type": "ui",
    "num-requests": "request-count", "num-warmup-requests": "warmup-request-count", "prompt-input-tokens-mean": "isl",
    "synthetic-input-tokens-mean": "isl", "prompt-output-tokens-mean": "osl", "output-tokens-mean": "osl",
    "profile-export-file": "profile-export-prefix", "num-prefix-prompts": "prompt-prefix-pool-size",
    "prefix-prompt-pool-size": "prompt-prefix-pool-size", "prefix-prompt-length": "prompt-prefix-length",
}  # fmt: skip
"""Its options of several names -> the one that we use."""

_OWNED = {
    "model": "set model.served_name",
    "tokenizer": "set benchmark.custom_tokenizer",
    "url": "requests go to the job's own frontends",
    "artifact-dir": "its files are in the measurement's directory",
    "profile-export-prefix": "its files are in the measurement's directory",
    "export-level": "the records of requests are always written",
    "streaming": "first tokens are only seen in streamed answers",
    "use-server-token-count": "tokens are always the server's count",
    "ui": "its log is in the measurement's directory",
    "num-profile-runs": "sweep over benchmark.seed instead",
    "random-seed": "set benchmark.seed",
}
_LISTS_SWEEP = {
    "concurrency": "benchmark.concurrencies takes a list",
    "request-rate": "benchmark.req_rate takes a list",
    **dict.fromkeys(("isl", "osl", "request-count"), "sweep over the key of this name with -m"),
}
_DOWNLOADS = ("public-dataset", "hf-subset", "hf-weka-dataset")
_CACHED_TOKENIZER = "srtctl/tokenizer"
_CACHE_SCRIPT = (
    'set -e; d="$HF_HUB_CACHE/models--srtctl--tokenizer"; mkdir -p "$d/refs" "$d/snapshots"; '
    'printf main >"$d/refs/main"; ln -sfn "$1" "$d/snapshots/main"; shift; exec "$@"'
)
_CUT_OFF = "the stream ended before the server's token counts came: cut off, or ended by an error event"
_MEASURED_MARK = b'"benchmark_phase":"profiling"'


def endpoint(chat: bool) -> Options:
    """Where requests go: chats or plain completions, streamed."""
    return {"endpoint-type": "chat" if chat else "completions", "streaming": True}


def command(
    context: ClientContext,
    options: Options,
    given: Mapping[str, Any] | None = None,
    *,
    custom_tokenizer: str | None = None,
) -> tuple[str, ...]:
    """Its argv for one measurement, run in the measurement's directory.

    Args:
        options: What the benchmark wants, beside where the server is and how to report.
        given: The user's own options, which take the place of ours; see `check_arguments`.
    """
    where = {"model": context.model, "tokenizer": context.tokenizer_of(custom_tokenizer)}
    where["url"] = f"http://{context.endpoint}"
    how = {"ui": "none", "no-server-metrics": True, "no-gpu-telemetry": True, "artifact-dir": DIRECTORY}
    found = merged(where | options | how, given or {}, ALIASES)
    return (context.programs.path("aiperf"), "profile", *words(found))


def with_cached_tokenizer(step: Step, context: ClientContext) -> Step:
    """The step with the tokenizer's directory in a cache of the hub's, under a hub's name.

    To make texts of a trace, aiperf starts processes that it puts into offline mode, and in that mode it refuses a
    tokenizer that is a directory on disk: it takes only what it finds in the cache.
    """
    directory = step.argv[step.argv.index("--tokenizer") + 1]
    if not directory.startswith(("/", "@")):  # a path may begin with a token
        return step
    argv = [_CACHED_TOKENIZER if word == directory else word for word in step.argv]
    cache = f"@scratch:slot{context.slot}@/hub"
    env = {**step.env, "HF_HUB_CACHE": cache, **dict.fromkeys(UNSET_ENV, "1")}
    return replace(step, argv=("bash", "-c", _CACHE_SCRIPT, "cache", directory, *argv), env=env)


def check_arguments(given: Mapping[str, Any], download: bool) -> list[Problem]:
    """What is wrong with the user's own options of aiperf (`benchmark.aiperf_args`)."""
    key = "benchmark.aiperf_args"
    problems = owned(key, given, _OWNED, ALIASES)
    for name, value in given.items():
        plain = canonical(name, ALIASES)
        if plain in _LISTS_SWEEP and "," in str(value):
            message = "a list makes aiperf run several measurements into directories of its own, which are not read"
            problems.append(Problem("owned-argument", message, f"{key}.{name}", value, hint=_LISTS_SWEEP[plain]))
        if plain in _DOWNLOADS and not download:
            message = "makes the client download a data set while the servers wait"
            hint = "give the data as a file (input-file), or allow it: benchmark.download=true"
            problems.append(Problem("download", message, f"{key}.{name}", value, hint=hint))
    return problems


def environment(slot: int, concurrency: int | None) -> dict[str, str]:
    """Its variables: fewer processes than it would start, enough connections, and nothing left in /tmp.

    Args:
        concurrency: Most requests in flight; None where nothing limits them.
    """
    workers = _MOST_WORKERS if concurrency is None else min(_MOST_WORKERS, -(-concurrency // _CONCURRENCY_PER_WORKER))
    return {
        "TMPDIR": f"@scratch:slot{slot}@",  # it leaves a directory behind, and sockets when it is killed
        "AIPERF_WORKER_MAX_WORKERS_CAP": str(workers),  # a cap: it also looks at the number of CPUs
        "AIPERF_HTTP_CONNECTION_LIMIT": str(min(65000, max(_LEAST_CONNECTIONS, concurrency or _UNLIMITED_CONNECTIONS))),
        "AIPERF_RECORD_EXPORT_BATCH_SIZE": "10",  # records reach the file while it runs, for the live view
    }


def parse(directory: Path, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The measurement that it left in `directory`.

    Raises:
        ValueError: A file is missing or not what aiperf writes.
    """
    warmup: list[Request] = []
    measured: list[Request] = []
    for record in _records(directory / RECORDS):
        phase = record["metadata"]["benchmark_phase"]
        (warmup if phase == "warmup" else measured).append(_request(record))
    found = measure(name, measured, settings)
    found["client"] = {"name": "aiperf", "version": _version(directory / SUMMARY)}
    found["warmup_requests"] = len(warmup)
    found["warmup_failed"] = sum(bool(r.error) for r in warmup)
    found["warmup_s"] = max(r.end_s for r in warmup) - min(r.start_s for r in warmup) if warmup else 0.0
    client_start = step_started_at(directory)
    first = min((r.start_s for r in (*warmup, *measured)), default=None)
    found["client_startup_s"] = first - client_start if first is not None and client_start is not None else None
    return found


def progress(directory: Path, state: dict[str, int]) -> int | None:
    """Measured requests recorded so far."""
    try:
        with (directory / RECORDS).open("rb") as file:
            file.seek(state.get("offset", 0))
            new = file.read()
    except FileNotFoundError:
        return None
    whole = new[: new.rfind(b"\n") + 1]
    state["offset"] = state.get("offset", 0) + len(whole)
    state["done"] = state.get("done", 0) + whole.count(_MEASURED_MARK)
    return state["done"]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    record["metadata"]["benchmark_phase"]
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{path}:{number}: not a record of aiperf ({error})") from error
                yield record
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: the client recorded no request; see its log") from None


def _request(record: Mapping[str, Any]) -> Request:
    metadata, metrics = record["metadata"], record.get("metrics") or {}

    def value(name: str) -> Any:
        return (metrics.get(name) or {}).get("value")

    start, end = metadata["request_start_ns"] / 1e9, metadata["request_end_ns"] / 1e9
    error = _error(record, value("usage_completion_tokens"))
    if error:
        return Request(start, end, error=error)
    issued = metadata.get("credit_issued_ns")
    return Request(
        start_s=start,
        end_s=end,
        ttft_ms=float(value("time_to_first_token") or 0.0),
        e2el_ms=float(value("request_latency") or 0.0),
        input_tokens=int(value("usage_prompt_tokens") or 0),
        output_tokens=int(value("usage_completion_tokens")),
        chunk_gaps_ms=value("inter_chunk_latency") or (),
        cached_tokens=_whole(value("usage_prompt_cache_read_tokens")),
        lag_ms=(metadata["request_start_ns"] - issued) / 1e6 if issued is not None else None,
    )


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _error(record: Mapping[str, Any], answer_tokens: int | None) -> str:
    error = record.get("error")
    if error:
        code = error.get("code")
        what = f"{error.get('type') or 'error'}: {error.get('message') or ''}"
        return f"{code} {what}" if code is not None else what
    if record["metadata"].get("was_cancelled"):
        return "cancelled by the client"
    if answer_tokens is None:
        return _CUT_OFF
    return "" if answer_tokens > 0 else "the answer has no tokens"


def _version(path: Path) -> str | None:
    try:
        version = json.loads(path.read_text(encoding="utf-8")).get("aiperf_version")
        return str(version) if version else None
    except (OSError, ValueError, AttributeError):
        return None
