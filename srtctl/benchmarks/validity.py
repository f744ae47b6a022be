"""Verdicts on a measurement: what can be said about how far to trust it, each with its evidence.

Only failed and missing requests and absent workers make a row invalid; the other verdicts qualify it. A short run for a
quick look is no error, but nobody should take its 99th percentile for a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

ERROR_LIMIT = 0.001
LENGTH_TOLERANCE = 0.05
DURATION_S = 60.0
FEWEST_REQUESTS = 100
FEWEST_REQUESTS_P99 = 1000
REQUESTS_PER_CONCURRENCY = 10
_NO_TIMES = "the row holds a score, and no times"

Verdict = dict[str, Any]


def verdicts(row: Mapping[str, Any], census: Mapping[str, bool] | None = None) -> list[Verdict]:
    """All that can be judged from a row; `ok` is None where there is nothing to judge by.

    Args:
        row: With the settings, requests, measures and timing filled in.
        census: Moment -> whether all workers were registered then.
    """
    return [judge(row) for judge in _RULES] + [_census(census)]


def is_valid(row: Mapping[str, Any]) -> bool:
    """Whether the row may be used: nothing failed, nothing is missing, everybody was there."""
    if row.get("requests_failed") or row.get("requests_missing"):
        return False
    if row.get("requests_expected") and not row.get("requests_completed"):
        return False
    return not any(v["id"] == "V10" and v["ok"] is False for v in row.get("validity") or ())


def _verdict(number: str, rule: str, ok: bool | None, evidence: str) -> Verdict:
    return {"id": number, "rule": rule, "ok": ok, "evidence": evidence}


def _errors(row: Mapping[str, Any]) -> Verdict:
    rule = f"at most {ERROR_LIMIT:.1%} of the requests failed"
    failed, expected = row.get("requests_failed"), row.get("requests_expected")
    if failed is None or not expected:
        return _verdict("V1", rule, None, "the number of requests is not known")
    return _verdict("V1", rule, failed <= ERROR_LIMIT * expected, f"{failed} of {expected} failed")


def _missing(row: Mapping[str, Any]) -> Verdict:
    rule = "every request was reported"
    missing, expected = row.get("requests_missing"), row.get("requests_expected")
    if missing is None or not expected:
        return _verdict("V2", rule, None, "the number of requests is not known")
    return _verdict("V2", rule, missing == 0, f"{missing} of {expected} missing")


def _length(number: str, what: str, key: str) -> Callable[[Mapping[str, Any]], Verdict]:
    """Realised mean length against the mean of the lengths that were asked for.

    Lengths are drawn from ratio x L … L, so a small sample differs from that mean by chance: three standard errors
    are allowed on top of the tolerance.
    """
    rule = f"mean {what} length within {LENGTH_TOLERANCE:.0%} of what was asked for"

    def judge(row: Mapping[str, Any]) -> Verdict:
        longest, found, count = row.get(key), row.get(f"{key}_mean"), row.get("requests_completed")
        if not longest or found is None or not count:
            return _verdict(number, rule, None, "no length was asked for, or none was realised")
        settings = row.get("settings") or {}
        if key == "osl" and settings.get("ignore_eos") is False:
            return _verdict(number, rule, None, "the model ended its answers itself")
        shortest = max(1, int(longest * settings.get("random_range_ratio", 1.0)))
        wanted = (shortest + longest) / 2
        chance = 3 * (longest - shortest) / math.sqrt(12 * count)
        ok = abs(found - wanted) <= LENGTH_TOLERANCE * wanted + chance
        return _verdict(number, rule, ok, f"mean {found:.1f}, wanted {wanted:.1f} ± {chance:.1f} by chance")

    return judge


def _of_a_score(row: Mapping[str, Any]) -> bool:
    """Whether the row is about answers being right; how long they took is then no result."""
    return row.get("score_name") is not None


def _enough(row: Mapping[str, Any]) -> Verdict:
    rule = f"at least {REQUESTS_PER_CONCURRENCY} x concurrency and {FEWEST_REQUESTS} requests"
    if _of_a_score(row):
        return _verdict("V5", rule, None, _NO_TIMES)
    done, concurrency = row.get("requests_completed"), row.get("concurrency")
    if done is None:
        return _verdict("V5", rule, None, "the number of requests is not known")
    wanted = max(FEWEST_REQUESTS, REQUESTS_PER_CONCURRENCY * (concurrency or 0))
    return _verdict("V5", rule, done >= wanted, f"{done} requests, {wanted} wanted")


def _enough_for_p99(row: Mapping[str, Any]) -> Verdict:
    rule = f"at least {FEWEST_REQUESTS_P99} requests behind a 99th percentile"
    if _of_a_score(row):
        return _verdict("V5.p99", rule, None, _NO_TIMES)
    done = row.get("requests_completed")
    if done is None:
        return _verdict("V5.p99", rule, None, "the number of requests is not known")
    return _verdict("V5.p99", rule, done >= FEWEST_REQUESTS_P99, f"{done} requests")


def _long_enough(row: Mapping[str, Any]) -> Verdict:
    rule = f"at least {DURATION_S:.0f} s long"
    if _of_a_score(row):
        return _verdict("V6", rule, None, _NO_TIMES)
    duration = row.get("duration_s")
    if duration is None:
        return _verdict("V6", rule, None, "the duration is not known")
    return _verdict("V6", rule, duration >= DURATION_S, f"{duration:.1f} s")


def _profiled(row: Mapping[str, Any]) -> Verdict:
    rule = "no profiler was running"
    profiler = (row.get("provenance") or {}).get("profiler")
    evidence = f"{profiler} was recording: compare with nothing else" if profiler else "none was configured"
    return _verdict("V19", rule, not profiler, evidence)


def _census(census: Mapping[str, bool] | None) -> Verdict:
    rule = "all workers registered at every frontend, at the start and at the end"
    if not census:
        return _verdict("V10", rule, None, "nobody looked")
    absent = [moment for moment, complete in census.items() if not complete]
    evidence = f"incomplete at: {', '.join(absent)}" if absent else f"complete at: {', '.join(census)}"
    return _verdict("V10", rule, not absent, evidence)


_RULES: tuple[Callable[[Mapping[str, Any]], Verdict], ...] = (
    _errors,
    _missing,
    _length("V3", "answer", "osl"),
    _length("V4", "prompt", "isl"),
    _enough,
    _enough_for_p99,
    _long_enough,
    _profiled,
)
