"""Slurm's way to write a time limit."""

from __future__ import annotations

import re

ALLOWED = "minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS"

_WITH_DAYS = re.compile(r"(?P<d>\d+)-(?P<h>\d+)(?::(?P<m>\d+)(?::(?P<s>\d+))?)?")
_WITHOUT_DAYS = re.compile(r"(?:(?:(?P<h>\d+):)?(?P<m>\d+):(?P<s>\d+))|(?P<only>\d+)")


def parse_time_limit(text: str) -> int:
    """Seconds of a time limit as sbatch reads it; a number alone means minutes.

    Raises:
        ValueError: `text` is no time limit, or is zero (which Slurm takes for "no limit", never what was meant here).
    """
    match = _WITH_DAYS.fullmatch(text) or _WITHOUT_DAYS.fullmatch(text)
    if match is None or not text.isascii():
        raise ValueError(f"{text!r} is no time limit: {ALLOWED}")
    part = {name: int(value) for name, value in match.groupdict().items() if value is not None}
    minutes = part.get("only", 0) + part.get("m", 0)
    seconds = (part.get("d", 0) * 24 + part.get("h", 0)) * 3600 + minutes * 60 + part.get("s", 0)
    if seconds == 0:
        raise ValueError(f"{text!r} is zero: {ALLOWED}")
    return seconds


def format_time_limit(seconds: float) -> str:
    """HH:MM:SS, or D-HH:MM:SS from one day on; fractions are rounded up."""
    whole = int(-(-seconds // 1))
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}"
    return f"{days}-{clock}" if days else clock
