"""The client aiperf: its command, and how to read what it leaves in `aiperf/`.

Which requests failed: aiperf takes a stream that simply ends for a good one, whatever was still to come. Every request
asks for the server's token counts, which come with the stream's last event, so a request without them was cut off (or
ended in an error event) and counts as failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from srtctl.benchmarks.measurement import Request, measure, step_started_at
from srtctl.benchmarks.params import SaBenchConfig

DIRECTORY = "aiperf"
RECORDS = f"{DIRECTORY}/profile_export.jsonl"
SUMMARY = f"{DIRECTORY}/profile_export_aiperf.json"
OUTPUTS = (RECORDS, SUMMARY)

# In offline mode aiperf refuses a tokenizer that is a directory on disk.
UNSET_ENV = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")

_CONCURRENCY_PER_WORKER = 8
_MOST_WORKERS = 32
_LEAST_CONNECTIONS = 2500
_CUT_OFF = "the stream ended before the server's token counts came: cut off, or ended by an error event"
_MEASURED_MARK = b'"benchmark_phase":"profiling"'


def command(
    program: str, params: SaBenchConfig, settings: Mapping[str, Any], url: str, model: str, tokenizer: str
) -> tuple[str, ...]:
    """Its argv for one measurement, run in the measurement's directory.

    As many prompts as there are requests, warm-up included, taken in order: no prompt is sent twice, so that no worker
    answers from its cache.
    """
    prompts = settings["requests"] + settings["warmup_requests"]
    argv = [program, "profile", "--model", model, "--tokenizer", params.custom_tokenizer or tokenizer, "--url", url]
    argv += ["--endpoint-type", "chat" if params.use_chat_template else "completions", "--streaming"]
    if params.use_chat_template:
        argv += ["--apply-chat-template"]  # makes the prompt that much shorter, so that the whole has the wanted length
    argv += ["--use-server-token-count", "--prompt-corpus", "random", "--random-corpus-style", "sglang"]
    argv += ["--isl", str(params.isl), "--osl", str(params.osl), "--random-range-ratio", str(params.random_range_ratio)]
    argv += ["--num-dataset-entries", str(prompts), "--dataset-sampling-strategy", "sequential"]
    argv += ["--concurrency", str(settings["concurrency"]), "--request-count", str(settings["requests"])]
    if settings["warmup_requests"]:
        argv += ["--warmup-request-count", str(settings["warmup_requests"])]
    if settings["req_rate"] != "inf":
        argv += ["--request-rate", str(settings["req_rate"])]
    if params.ignore_eos:
        argv += ["--extra-inputs", "ignore_eos:true"]
    if not params.reuse_http_connections:
        argv += ["--connection-reuse-strategy", "never"]
    argv += ["--random-seed", str(settings["client_seed"]), "--ui", "none", "--no-server-metrics", "--no-gpu-telemetry"]
    return (*argv, "--artifact-dir", DIRECTORY, *params.extra_args)


def environment(slot: int, concurrency: int) -> dict[str, str]:
    """Its variables: fewer processes than it would start, enough connections, and nothing left in /tmp."""
    workers = min(_MOST_WORKERS, -(-concurrency // _CONCURRENCY_PER_WORKER))
    return {
        "TMPDIR": f"@scratch:slot{slot}@",  # it leaves a directory behind, and sockets when it is killed
        "AIPERF_WORKER_MAX_WORKERS_CAP": str(workers),  # a cap: it also looks at the number of CPUs
        "AIPERF_HTTP_CONNECTION_LIMIT": str(min(65000, max(_LEAST_CONNECTIONS, concurrency))),
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
        lag_ms=(metadata["request_start_ns"] - issued) / 1e6 if issued is not None else None,
    )


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
