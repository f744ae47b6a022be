"""How processes are started and signalled, behind one small interface; here: on this machine, through the keeper."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from srtctl.orchestrator import proctree
from srtctl.orchestrator.events import AllKilled, Event, Exited, Inbox, KeeperLost, NotStarted, Started
from srtctl.orchestrator.keeper import fork_keeper


@dataclass(frozen=True)
class Spawn:
    """One process to start, with nothing left to decide.

    Attributes:
        name: The process's name; events carry it.
        argv: Program and arguments.
        env: The whole environment.
        cwd: Working directory, absolute.
        log: File that gets its output, absolute; appended to.
        setup: Command that must succeed first, in the same place.
        slot: Node it runs on.
        container: It runs in a container where the cluster has them.
        own: Names of the variables that were set for it, beside those that every process inherits.
        image: Another image than the servers'; empty for the same.
        workdir: Working directory inside of a container, which its setup command does not share; empty for `cwd`.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    setup: tuple[str, ...] = ()
    slot: int = 0
    container: bool = False
    own: frozenset[str] = frozenset()
    image: str = ""
    workdir: str = ""


class Starter(Protocol):
    """Starts and signals processes; what comes of it arrives as events in the inbox.

    Attributes:
        hold_s: How long an unasked exit waits for what explains it.
        keeper_pid: The process that holds all others.
    """

    hold_s: float
    keeper_pid: int

    def listen(self, inbox: Inbox) -> None:
        """Begin to deliver events."""

    def start(self, spawn: Spawn) -> None:
        """Ask for a start: `Started` or `NotStarted` follows, and at its end `Exited`."""

    def signal(self, name: str, signum: int, whole: bool = False) -> None:
        """Send a signal to the process; `whole`: also to everything that it has started."""

    def kill_all(self) -> None:
        """SIGKILL to everything that was ever started and what it left; `AllKilled` follows.

        Asked a second time, it no longer trusts whoever it asked the first time.
        """

    def clean(self, path: Path) -> None:
        """Have this directory removed should the orchestrator be killed."""

    def close(self) -> None:
        """Give up the connection; nothing must be running any more."""


class LocalStarter:
    """Starts processes on this machine. Make it before any thread exists: it forks."""

    hold_s = 0.5

    def __init__(self) -> None:
        proctree.become_subreaper()  # should the keeper be killed, its orphans come to us
        self.keeper_pid, self._link = fork_keeper()
        self._inbox: Inbox | None = None
        self._closed = False
        self._kill_asked = False

    def listen(self, inbox: Inbox) -> None:
        """Begin to deliver events."""
        self._inbox = inbox
        threading.Thread(target=self._read, args=(inbox,), name="keeper-link", daemon=True).start()

    def start(self, spawn: Spawn) -> None:
        self._send(
            {
                "op": "start",
                "name": spawn.name,
                "argv": list(spawn.argv),
                "setup": list(spawn.setup),
                "env": dict(spawn.env),
                "cwd": str(spawn.cwd),
                "log": str(spawn.log),
            }
        )

    def signal(self, name: str, signum: int, whole: bool = False) -> None:
        self._send({"op": "signal", "name": name, "signum": int(signum), "whole": whole})

    def kill_all(self) -> None:
        if self._kill_asked or not self._send({"op": "kill_all"}):
            self._kill_all_ourselves()
        self._kill_asked = True

    def clean(self, path: Path) -> None:
        self._send({"op": "scratch", "path": str(path)})

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.keeper_pid, 0)

    def _kill_all_ourselves(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.keeper_pid, signal.SIGKILL)
        ended, left = proctree.kill_descendants()
        if self._inbox is not None:
            self._inbox.put(AllKilled(len(ended), tuple(left)))

    def _send(self, order: dict[str, Any]) -> bool:
        try:
            self._link.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            return False  # KeeperLost comes from the reading side
        return True

    def _read(self, inbox: Inbox) -> None:
        with contextlib.suppress(OSError, ValueError), self._link.makefile("rb") as lines:
            for line in lines:
                inbox.put(_event(json.loads(line)))
        if not self._closed:
            inbox.put(KeeperLost(time.time()))


def _event(said: dict[str, Any]) -> Event:
    kind = said.pop("event")
    if kind == "started":
        return Started(**said)
    if kind == "not_started":
        return NotStarted(**said)
    if kind == "exited":
        return Exited(**said)
    return AllKilled(said["killed"], tuple(said["left"]))
