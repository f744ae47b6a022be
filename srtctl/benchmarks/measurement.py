"""From requests, as a client recorded them, to one measurement.

A *measurement* is a plain dict with the keys of `rows.ROW_FIELDS` whose group is `requests`, `score`, `measures` or
`timing`, and `client` = {"name", "version"} and `errors` = [{"what", "count"}, …].
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtctl.benchmarks.statistics import mean, percentile, summarise

STEP_RECORD = "step.json"
_LONG_NUMBER = re.compile(r"\d{6,}")


@dataclass(frozen=True)
class Request:
    """One measured request, as the client saw it.

    Attributes:
        start_s: When it was sent, in seconds since some fixed instant (unix time where the client tells it).
        end_s: When its last byte came.
        ttft_ms: From sending to the first chunk with content.
        e2el_ms: From sending to the last chunk with content.
        input_tokens: Prompt length by the server's count.
        output_tokens: Answer length by the server's count.
        chunk_gaps_ms: Gaps between successive chunks.
        cached_tokens: Prompt tokens that the server took from its cache; None where it doesn't tell.
        lag_ms: How late the client sent it, by its own schedule; None where it doesn't tell.
        error: Why it failed; empty for a good one. A failed request's other values count for nothing but the times.
    """

    start_s: float
    end_s: float
    ttft_ms: float = 0.0
    e2el_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    chunk_gaps_ms: Sequence[float] = ()
    lag_ms: float | None = None
    cached_tokens: int | None = None
    error: str = ""

    @property
    def tpot_ms(self) -> float | None:
        """Time per output token after the first one; None for an answer of one token."""
        if self.output_tokens < 2:
            return None
        return (self.e2el_ms - self.ttft_ms) / (self.output_tokens - 1)


def measure(
    name: str, requests: Sequence[Request], settings: Mapping[str, Any], duration_s: float | None = None
) -> dict[str, Any]:
    """All figures of one measurement.

    Args:
        name: The step's name.
        requests: The measured ones, without the warm-up.
        settings: The step's settings: `requests` (how many were to be sent) and `slo_*_ms` are used.
        duration_s: By the client's own clock; default: from the first send to the last end.
    """
    good = [r for r in requests if not r.error]
    expected = int(settings.get("requests") or len(requests))
    started, ended = _span(requests)
    duration = duration_s if duration_s is not None else ended - started
    found: dict[str, Any] = {
        "measurement": name,
        "requests_expected": expected,
        "requests_completed": len(good),
        "requests_failed": len(requests) - len(good),
        "requests_missing": max(0, expected - len(requests)),
        "started_at": started,
        "ended_at": ended,
        "duration_s": duration,
        "errors": summarise_errors(r.error for r in requests if r.error),
    }
    return found | _latencies(good) | _throughput(good, duration) | _goodput(good, expected, duration, settings)


def _span(requests: Sequence[Request]) -> tuple[float, float]:
    if not requests:
        return 0.0, 0.0
    return min(r.start_s for r in requests), max(r.end_s for r in requests)


def _latencies(good: Sequence[Request]) -> dict[str, Any]:
    lags = [r.lag_ms for r in good if r.lag_ms is not None]
    per_user = sorted(1000 * r.output_tokens / r.e2el_ms for r in good if r.e2el_ms > 0)
    return {
        **summarise("ttft", [r.ttft_ms for r in good]),
        **summarise("tpot", [t for r in good if (t := r.tpot_ms) is not None]),
        **summarise("chunk_gap", [gap for r in good for gap in r.chunk_gaps_ms]),
        **summarise("e2el", [r.e2el_ms for r in good]),
        "user_tok_s_e2e_mean": mean(per_user) if per_user else None,
        "user_tok_s_e2e_p50": percentile(per_user, 50) if per_user else None,
        "client_lag_p99_ms": percentile(sorted(lags), 99) if lags else None,
    }


def _throughput(good: Sequence[Request], duration_s: float) -> dict[str, Any]:
    inputs = sorted(r.input_tokens for r in good)
    outputs = sorted(r.output_tokens for r in good)
    total_in, total_out = sum(inputs), sum(outputs)
    in_flight_s = sum(r.e2el_ms for r in good) / 1000

    def per_second(amount: float) -> float | None:
        return amount / duration_s if duration_s > 0 else None

    return {
        "input_tokens": total_in,
        "output_tokens": total_out,
        "isl_mean": mean(inputs) if inputs else None,
        "isl_p50": percentile(inputs, 50) if inputs else None,
        "osl_mean": mean(outputs) if outputs else None,
        "osl_p50": percentile(outputs, 50) if outputs else None,
        **_cache_hits(good),
        "requests_s": per_second(len(good)),
        "input_tok_s": per_second(total_in),
        "output_tok_s": per_second(total_out),
        "total_tok_s": per_second(total_in + total_out),
        "concurrency_mean": per_second(in_flight_s),
    }


def _cache_hits(good: Sequence[Request]) -> dict[str, Any]:
    """Of the requests whose usage tells it."""
    told = [(r.cached_tokens, r.input_tokens) for r in good if r.cached_tokens is not None]
    cached, prompts = sum(found for found, _ in told), sum(length for _, length in told)
    return {
        "cached_tokens": cached if told else None,
        "cache_hit_ratio": cached / prompts if prompts else None,
    }


def _goodput(good: Sequence[Request], expected: int, duration_s: float, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Requests within every limit that was given; an answer of one token has a TPOT of 0 here."""
    names = ("ttft", "tpot", "e2el")
    limits = {name: settings[f"slo_{name}_ms"] for name in names if settings.get(f"slo_{name}_ms") is not None}
    if not limits:
        return {"requests_in_slo": None, "goodput_requests_s": None, "slo_attainment": None}
    within = 0
    for request in good:
        values = {"ttft": request.ttft_ms, "tpot": request.tpot_ms or 0.0, "e2el": request.e2el_ms}
        within += all(values[name] <= limit for name, limit in limits.items())
    return {
        "requests_in_slo": within,
        "goodput_requests_s": within / duration_s if duration_s > 0 else None,
        "slo_attainment": within / expected if expected else None,
    }


def summarise_errors(errors: Any, most: int = 10) -> list[dict[str, Any]]:
    """What went wrong and how often, most frequent first; long numbers (ids, clocks) are evened out."""
    counts = Counter(_LONG_NUMBER.sub("…", error)[:300] for error in errors)
    return [{"what": what, "count": count} for what, count in counts.most_common(most)]


def step_started_at(directory: Path) -> float | None:
    """When the step's client was started (unix s), by the record that the orchestrator leaves beside its files."""
    try:
        record = json.loads((directory / STEP_RECORD).read_text(encoding="utf-8"))
        return float(record["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
