"""Ladders of measurements: lists of concurrencies and of request rates, in each form that recipes write them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

from srtctl.errors import Problem

CONCURRENCY_FORMS = "whole numbers from 1: a list such as [4, 8], one number, or a text such as 4x8"
RATE_FORMS = "inf, a number above 0, or a list of these"


def concurrencies_of(value: Any) -> list[int]:
    """The ladder, in the order given.

    Raises:
        ValueError: It is none of the accepted forms; the text says why.
    """
    entries = value.split("x") if isinstance(value, str) else [value] if isinstance(value, int) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ValueError("is no list of whole numbers")
    found = [_concurrency(entry) for entry in entries]
    if len(set(found)) != len(found):
        raise ValueError("names a concurrency twice")
    return found


def _concurrency(entry: Any) -> int:
    if isinstance(entry, str) and entry.strip().isdecimal():
        entry = int(entry)
    if isinstance(entry, bool) or not isinstance(entry, int) or entry < 1:
        raise ValueError(f"{entry!r} is no whole number from 1")
    return entry


def rates_of(value: Any) -> list[float | str]:
    """The request rates, in the order given; `inf` for no limit.

    Raises:
        ValueError: It is none of the accepted forms; the text says why.
    """
    entries = value.split("x") if isinstance(value, str) else value
    entries = list(entries) if isinstance(entries, (list, tuple)) else [entries]
    if not entries:
        raise ValueError("is an empty list")
    found = [_rate(entry) for entry in entries]
    if len(set(found)) != len(found):
        raise ValueError("names a rate twice")
    return found


def _rate(entry: Any) -> float | str:
    if entry is None or isinstance(entry, bool):
        raise ValueError(f"{entry!r} is no request rate")
    try:
        rate = float(entry)
    except (TypeError, ValueError):
        raise ValueError(f"{entry!r} is no request rate") from None
    if rate == math.inf:
        return "inf"
    if not rate > 0:
        raise ValueError(f"{entry!r} is not above 0")
    return int(rate) if rate.is_integer() else rate


def list_problems(key: str, value: Any, read: Callable[[Any], Any], allowed: str) -> list[Problem]:
    """What `read` finds wrong with the list at `benchmark.<key>`."""
    try:
        read(value)
    except ValueError as error:
        hint = f"write a list: benchmark.{key}=[4,8]" if isinstance(value, str) and "," in value else ""
        return [Problem("benchmark-list", str(error), key=f"benchmark.{key}", value=value, allowed=allowed, hint=hint)]
    return []


def pairs(concurrencies: Any, rates: Any) -> list[tuple[int | None, float | str, str]]:
    """(concurrency, rate, name of the measurement) for each pair; fewer requests in flight come first.

    No concurrency (None) stands for no limit; the rate is in the name where there are several, or one at all.
    """
    ladder: list[int | None] = [None] if concurrencies is None else [*concurrencies_of(concurrencies)]
    found = rates_of(rates)
    name_rates = len(found) > 1 or found != ["inf"]
    made = []
    for concurrency in ladder:
        for rate in found:
            parts = [] if concurrency is None else [f"c{concurrency:04d}"]
            made.append((concurrency, rate, "-".join([*parts, *([f"r{rate}"] if name_rates else [])]) or "all"))
    return made


def client_seed(*parts: Any) -> int:
    """The same for the same workload everywhere, and another one for every measurement of a server.

    With one seed for all, a measurement's prompts would begin as those of the one before: the server has these cached.
    """
    return zlib.crc32("/".join(str(part) for part in parts).encode()) & 0x7FFFFFFF
