"""What can happen, as values. Every other thread only puts these into the inbox; one thread reads it."""

from __future__ import annotations

import queue
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Started:
    """A process has been started (its program is running, or its setup command is)."""

    name: str
    pid: int
    at: float
    in_setup: bool = False


@dataclass(frozen=True)
class NotStarted:
    """The operating system refused to start it; `text` says why."""

    name: str
    text: str
    at: float


@dataclass(frozen=True)
class Exited:
    """It has ended. `code` is the exit code, or minus the signal's number.

    `what` says what the code does not; `node` names a node that has failed.
    """

    name: str
    code: int
    at: float
    in_setup: bool = False
    what: str = ""
    node: str = ""


@dataclass(frozen=True)
class ProbeOk:
    """Its probe has answered as wanted. `generation` counts the starts of the process."""

    name: str
    generation: int
    at: float


@dataclass(frozen=True)
class NodeLost:
    """A node has failed or hangs (`fatal`), or only the agent on it is gone."""

    name: str
    text: str
    at: float
    fatal: bool


@dataclass(frozen=True)
class KeeperLost:
    """The process that owns all children is gone."""

    at: float


@dataclass(frozen=True)
class AllKilled:
    """Answer to `kill_all`; `left` are processes that even SIGKILL has not ended yet."""

    killed: int
    left: tuple[int, ...]


@dataclass(frozen=True)
class SignalSeen:
    """This process was sent a signal that asks it to stop."""

    signum: int


@dataclass(frozen=True)
class Finding:
    """What a background look has found; `key` names the look."""

    key: str
    value: Any
    at: float


Event = Started | NotStarted | Exited | ProbeOk | NodeLost | KeeperLost | AllKilled | SignalSeen | Finding


class Inbox(Protocol):
    """Where events come from."""

    def put(self, event: Event) -> None:
        """Add one; safe in any thread and in a signal handler."""

    def get(self, timeout_s: float) -> Event | None:
        """The next event, or None when there was none for `timeout_s`."""


class QueueInbox:
    """The real inbox. SimpleQueue, because its `put` may be called from a signal handler."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        self._queue.put(event)

    def get(self, timeout_s: float) -> Event | None:
        try:
            return self._queue.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            return None
