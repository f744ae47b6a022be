"""Command lines of client programs: our options and the user's, each option once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from srtctl.errors import Problem

Options = dict[str, Any]
"""Option without dashes in front -> its value: True for a bare option, None or False for none, a list for several."""


def canonical(name: str, aliases: Mapping[str, str]) -> str:
    """One spelling for `--request_count`, `request-count` and what the program takes for the same."""
    plain = name.lstrip("-").replace("_", "-")
    return aliases.get(plain, plain)


def merged(ours: Options, given: Mapping[str, Any], aliases: Mapping[str, str]) -> Options:
    """Our options, with the user's in the place of those that they name, and the rest of the user's behind."""
    return ours | {canonical(name, aliases): value for name, value in given.items()}


def words(options: Mapping[str, Any]) -> Iterator[str]:
    """The options as words of a command line."""
    for name, value in options.items():
        if value is None or value is False:
            continue
        yield f"--{name}"
        if value is not True:
            yield from (str(item) for item in (value if isinstance(value, (list, tuple)) else [value]))


def owned(key: str, given: Mapping[str, Any], reasons: Mapping[str, str], aliases: Mapping[str, str]) -> list[Problem]:
    """A problem for each of the user's options that srtctl itself decides.

    Args:
        key: Where the options are written, such as `benchmark.aiperf_args`.
        reasons: Option -> what to do instead.
    """
    return [
        Problem("owned-argument", "srtctl sets this one itself", key=f"{key}.{name}", value=value, hint=reason)
        for name, value in given.items()
        if (reason := reasons.get(canonical(name, aliases))) is not None
    ]
