"""The node agent: one small step on each node of a job, from its first moment to its last.

    srun … python -I -S orchestrator.pyz --node

It says what the node is like and what is missing there, tries ports and holds them, answers now and then, and removes
the node's scratch directory and what the job left in shared memory at the end, however the end comes: told so, by
SIGTERM, or because its input is closed (the orchestrator is gone). It talks in lines of JSON over standard input and
output, each behind a mark, because others (a prolog, srun itself) write there too. First it reads an order `begin`:

    to the agent:     begin {interface, label, below, seed, make, paths, programs, search_path, containers},
                      ports {requests, use_preferred}, ping, end
    from the agent:   node {…}, ports {numbers | error}, pong {time}
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from srtctl.orchestrator import proctree
from srtctl.orchestrator import scratch as scratches
from srtctl.orchestrator.environment import describe_machine
from srtctl.orchestrator.interfaces import reached_by
from srtctl.orchestrator.machinecode import machine_of
from srtctl.orchestrator.ports import PortBook, Wish
from srtctl.orchestrator.sharedmemory import SharedMemory

MARK = "@srtctl "
FLAG = "--node"
REMOVE_WITHIN_S = 25.0  # Slurm kills what is left of a job 30 s after SIGTERM unless the site says otherwise
WATCH_AFTER_S = 0.3  # how long the scratch directory must stay away


class Agent:
    """The loop of the agent."""

    def __init__(self, source: int, target: int):
        self._source, self._target = source, target
        self._buffer = b""
        self._book: PortBook | None = None
        self._scratch: Path | None = None
        self._lock: int | None = None
        self._ordered = False
        self._containers: tuple[str, ...] = ()
        self._search_path = os.defpath
        self._memory = SharedMemory(lambda: proctree.of_job(os.environ.get("SLURM_JOB_ID", "")))

    def run(self) -> None:
        """Serve until told to end, or until there is nobody left to serve."""
        woken = _wake_on_signals()
        try:
            wait_s = 0.0
            while True:
                readable, _, _ = select.select([self._source, woken, *self._memory.wakers], [], [], wait_s)
                wait_s = self._memory.look()
                if woken in readable or (self._source in readable and not self._read()):
                    return
        except BrokenPipeError:
            pass
        finally:
            self._leave()

    def _read(self) -> bool:
        data = os.read(self._source, 1 << 16)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return bool(data) and all(self._obey(json.loads(line)) for line in lines if line.strip())

    def _obey(self, order: dict[str, Any]) -> bool:
        kind = order["op"]
        if kind == "begin":
            self._begin(order)
        elif kind == "ports":
            self._say({"event": "ports", "id": order["id"], **self._take(order)})
        elif kind == "ping":
            self._say({"event": "pong", "sent": order["sent"], "time": time.time()})
        self._ordered = kind == "end"
        return not self._ordered

    def _begin(self, order: Mapping[str, Any]) -> None:
        missing = make_here(order["make"])
        missing += missing_here(order["paths"], order["programs"], order["search_path"])
        name = address = ""
        try:
            name, address = reached_by(order["interface"])
        except LookupError as error:
            missing.append(str(error))
        self._containers, self._search_path = tuple(order["containers"]), order["search_path"]
        stale = scratches.remove_stale()
        try:
            self._scratch = scratches.make_scratch(order["label"])
            self._lock = scratches.lock_scratch(self._scratch)
            self._memory.remember(self._scratch / scratches.SHARED_MEMORY)
            for below in order["below"]:
                (self._scratch / below).mkdir(mode=0o700)
        except OSError as error:
            missing.append(f"no scratch directory could be made: {error}")
        self._book = PortBook(order["seed"])
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self._say(
            {
                "event": "node",
                "host": socket.gethostname(),
                "address": address,
                "iface": name,
                "scratch": str(self._scratch or ""),
                "gpus": [gpu for gpu in visible.split(",") if gpu],
                "missing": missing,
                "stale": stale,
                "machine": describe_machine(),
                "time": time.time(),
            }
        )

    def _take(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._book is not None
        wishes = [Wish(**wish) for wish in order["requests"]]
        try:
            return {"numbers": self._book.take_all(wishes, use_preferred=order["use_preferred"])}
        except OSError as error:
            return {"error": error.strerror or str(error)}

    def _say(self, event: Mapping[str, Any]) -> None:
        data = f"\n{MARK}{json.dumps(event)}\n".encode()  # others may have left a line without its end
        while data:
            data = data[os.write(self._target, data) :]

    def _leave(self) -> None:
        if self._book is not None:
            self._book.close()
        remove_containers(self._containers, self._search_path)
        until = time.monotonic() + REMOVE_WITHIN_S
        if self._scratch is not None:
            scratches.remove(self._scratch, REMOVE_WITHIN_S)
            if not self._ordered:  # the servers end at this moment too; what they still write must go as well
                time.sleep(WATCH_AFTER_S)
                scratches.remove(self._scratch, until - time.monotonic())
        self._memory.clear(until - time.monotonic())


def make_here(directories: Sequence[str]) -> list[str]:
    """Make directories where they are not there; returns those that can't be made, in words."""
    refused = []
    for path in directories:
        try:
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
        except OSError as error:
            refused.append(f"the directory {path} can't be made: {error.strerror}")
    return refused


def missing_here(paths: Sequence[Sequence[str]], programs: Sequence[Sequence[str]], search_path: str) -> list[str]:
    """What is not there, in words.

    Args:
        paths: (path, what it is).
        programs: (name or path, what it is for).
        search_path: Where programs without a path are looked for.
    """
    found = [f"{what} is not there: {path}" for path, what in paths if not os.path.exists(path)]  # noqa: PTH110
    for program, what in programs:
        if "/" not in program:
            if shutil.which(program, path=search_path) is None:
                found.append(f"the program of {what} is not in PATH: {program}")
        elif not os.path.exists(program):  # noqa: PTH110
            target = f" (a link to {os.readlink(program)})" if os.path.islink(program) else ""  # noqa: PTH114, PTH115
            found.append(f"the program of {what} is not there: {program}{target}")
        elif not os.access(program, os.X_OK) or os.path.isdir(program):  # noqa: PTH112
            found.append(f"the program of {what} can't be executed: {program}")
        elif machine_of(program) not in ("", os.uname().machine):
            found.append(
                f"the program of {what} is for {machine_of(program)}, and this node is {os.uname().machine}: {program}"
                f" (`srtctl tools fetch --arch {os.uname().machine}`)"
            )
    return found


def remove_containers(names: Sequence[str], search_path: str) -> None:
    """Remove named containers, which pyxis keeps on the node after the job unless the site says otherwise."""
    enroot = shutil.which("enroot", path=search_path)
    for name in names if enroot else ():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [str(enroot), "remove", "--force", f"pyxis_{name}"], check=False, timeout=REMOVE_WITHIN_S,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip


def _wake_on_signals() -> int:
    """A descriptor that becomes readable when Slurm (or a person) wants this to end."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    return woken


def main() -> int:
    """Entry of `orchestrator.pyz --node`."""
    Agent(sys.stdin.fileno(), sys.stdout.fileno()).run()
    return 0
