"""Every field of a result row, with its unit and meaning: the one place that documents them."""

from __future__ import annotations

from dataclasses import dataclass

from srtctl.benchmarks.statistics import STATISTICS


@dataclass(frozen=True)
class RowField:
    """One field.

    Attributes:
        group: `identity`, `settings`, `requests`, `score`, `measures`, `per_gpu`, `timing` or `trust`.
        unit: Empty for a text, a count or a structure.
    """

    name: str
    unit: str
    meaning: str
    group: str


def _fields(group: str, *entries: tuple[str, str, str]) -> tuple[RowField, ...]:
    return tuple(RowField(name, unit, meaning, group) for name, unit, meaning in entries)


_STATISTIC_TEXT = {
    "mean": "mean", "std": "standard deviation (population)", "p50": "median", "p90": "90th percentile",
    "p95": "95th percentile", "p99": "99th percentile", "min": "smallest", "max": "largest",
}  # fmt: skip


def _statistics(name: str, meaning: str) -> tuple[RowField, ...]:
    return tuple(RowField(f"{name}_{s}_ms", "ms", f"{meaning}: {_STATISTIC_TEXT[s]}", "measures") for s in STATISTICS)


_IDENTITY = _fields(
    "identity",
    ("sweep", "", "Id of the sweep: the name of its directory"),
    ("point", "", "Index of the point in the sweep"),
    ("point_name", "", "Name of the job"),
    ("attempt", "", "Which attempt at the point this is, from 0"),
    ("config_id", "", "Id of the whole configuration; equal configurations have equal ids"),
    ("deployment_id", "", "Id of the part that decides which servers run where"),
    ("overrides", "", "What distinguishes the point, as overrides"),
    ("benchmark", "", "Benchmark type"),
    ("measurement", "", "Name of the measurement inside the point"),
    ("mode", "", "Workers by role: 2P1D is two prefill and one decode worker, 4A four aggregated ones"),
)

_SETTINGS = _fields(
    "settings",
    ("concurrency", "requests", "Requests kept in flight"),
    ("req_rate", "1/s", "Request rate asked for; inf sends as soon as the concurrency allows"),
    ("isl", "tokens", "Longest prompt asked for"),
    ("osl", "tokens", "Longest answer asked for"),
    ("prefix_ratio", "", "Part of a prompt that others begin with too, as asked for"),
    ("settings", "", "Every setting of the client"),
)

_REQUESTS = _fields(
    "requests",
    ("requests_expected", "requests", "Measured requests that were to be sent"),
    ("requests_completed", "requests", "Those that were answered wholly"),
    ("requests_failed", "requests", "Those with an error, or whose stream ended before the server's token counts came"),
    ("requests_missing", "requests", "Those the client never reported"),
    ("errors", "", "What went wrong, with counts, most frequent first"),
    ("input_tokens", "tokens", "Prompt tokens of completed requests, by the server's count"),
    ("cached_tokens", "tokens", "Those prompt tokens that the server took from its cache, where its usage tells"),
    ("cache_hit_ratio", "", "Cached prompt tokens / prompt tokens, of the requests whose usage tells"),
    ("output_tokens", "tokens", "Answer tokens of completed requests, by the server's count"),
    ("isl_mean", "tokens", "Prompt length as the server counted it: mean"),
    ("isl_p50", "tokens", "Prompt length as the server counted it: median"),
    ("osl_mean", "tokens", "Answer length as the server counted it: mean"),
    ("osl_p50", "tokens", "Answer length as the server counted it: median"),
)

_SCORE = _fields(
    "score",
    ("score_name", "", "What the score is, such as accuracy or exact_match"),
    ("score", "", "Mean over the questions that were answered, 0 to 1"),
    ("score_stderr", "", "Standard error of the score, by the spread between questions"),
    ("score_n", "questions", "Questions behind the score; each asked `repeat` times"),
    ("answers_unreadable", "answers", "Answers in which no choice or number was found; they count as wrong"),
    ("answers_cut", "answers", "Answers that ended because they reached max_tokens"),
)

_MEASURES = (
    *_statistics("ttft", "Time from sending a request to its first chunk"),
    *_statistics("tpot", "Time per output token after the first, (E2EL - TTFT) / (output tokens - 1) of each request"),
    *_statistics("chunk_gap", "Gap between successive chunks of all requests together (elsewhere: ITL)"),
    *_statistics("e2el", "Time from sending a request to its last chunk"),
    *_fields(
        "measures",
        ("requests_s", "1/s", "Completed requests / duration"),
        ("input_tok_s", "tok/s", "Prompt tokens / duration"),
        ("output_tok_s", "tok/s", "Answer tokens / duration"),
        ("total_tok_s", "tok/s", "Prompt and answer tokens / duration"),
        ("concurrency_mean", "requests", "Sum of E2EL / duration"),
        ("user_tok_s_e2e_mean", "tok/s", "Answer tokens / E2EL, one value a request: mean"),
        ("user_tok_s_e2e_p50", "tok/s", "Answer tokens / E2EL, one value a request: median"),
        ("requests_in_slo", "requests", "Completed requests within every limit that was given"),
        ("goodput_requests_s", "1/s", "Requests within every limit / duration"),
        ("slo_attainment", "", "Requests within every limit / requests expected"),
        ("client_lag_p99_ms", "ms", "How late the client sent a request by its own schedule: 99th percentile"),
    ),
)  # fmt: skip

_PER_GPU = _fields(
    "per_gpu",
    ("prefill_gpus", "GPUs", "GPUs of prefill workers"),
    ("decode_gpus", "GPUs", "GPUs of decode workers"),
    ("aggregated_gpus", "GPUs", "GPUs of aggregated workers"),
    ("gpus", "GPUs", "GPUs of all workers"),
    ("total_tok_s_per_gpu", "tok/s/GPU", "Prompt and answer tokens per second / all GPUs"),
    ("output_tok_s_per_gpu_all", "tok/s/GPU", "Answer tokens per second / all GPUs"),
    ("output_tok_s_per_decode_gpu", "tok/s/GPU", "Answer tokens per second / decode GPUs (aggregated: all GPUs)"),
    ("input_tok_s_per_prefill_gpu", "tok/s/GPU", "Prompt tokens per second / prefill GPUs (aggregated: all GPUs)"),
    ("interactivity_p50", "tok/s/user", "1000 / median TPOT"),
    ("interactivity_p99", "tok/s/user", "1000 / 99th percentile of TPOT: the slow tail"),
)

_TIMING = _fields(
    "timing",
    ("started_at", "unix s", "When the first measured request was sent"),
    ("ended_at", "unix s", "When the last measured request ended"),
    ("duration_s", "s", "From the first send to the last end, with ramp-up and drain"),
    ("client_startup_s", "s", "From the client's start to its first request, which is the warm-up's when there is one"),
    ("warmup_s", "s", "Length of the warm-up"),
    ("warmup_requests", "requests", "Requests of the warm-up; they count nowhere else"),
    ("warmup_failed", "requests", "Those of them that failed"),
)

_TRUST = _fields(
    "trust",
    ("valid", "", "False when a request failed or is missing, or a worker was not there"),
    ("validity", "", "Verdicts, each with id, rule, ok (null: not judged) and evidence"),
    ("client", "", "Name and version of the program that sent the requests"),
    ("provenance", "", "Model, engine, versions and where they came from"),
)

ROW_FIELDS: tuple[RowField, ...] = (
    *_IDENTITY,
    *_SETTINGS,
    *_REQUESTS,
    *_SCORE,
    *_MEASURES,
    *_PER_GPU,
    *_TIMING,
    *_TRUST,
)

MEASURED: tuple[str, ...] = tuple(
    field.name for field in (*_REQUESTS, *_SCORE, *_MEASURES, *_TIMING) if field.name != "errors"
)
