"""Looks from outside: small HTTP and TCP requests, and threads that repeat them until they answer as wanted."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from srtctl.orchestrator.clock import Clock
from srtctl.orchestrator.events import Finding, Inbox, ProbeOk
from srtctl.plan.model import Probe

SLOW_AFTER_S = 30.0  # a server that takes this long is asked less often
SLOW_INTERVAL_S = 0.25


def request(address: str, method: str, path: str, timeout_s: float, body: bytes | None = None) -> tuple[int, bytes]:
    """One HTTP request on a connection of its own: (status, body).

    Raises:
        OSError: No answer.
        http.client.HTTPException: The answer is not HTTP.
    """
    connection = http.client.HTTPConnection(address, timeout=timeout_s)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get_json(address: str, path: str, timeout_s: float) -> Any:
    """The JSON value of a GET.

    Raises:
        ValueError: Another status than 200, or no JSON.
        OSError: No answer.
        http.client.HTTPException: The answer is not HTTP.
    """
    status, body = request(address, "GET", path, timeout_s)
    if status != 200:
        raise ValueError(f"HTTP {status}: {body[:200].decode(errors='replace')}")
    return json.loads(body)


def look(probe: Probe) -> str:
    """Try a probe once: empty when it is satisfied, else what was seen instead."""
    try:
        if probe.kind == "tcp":
            host, _, port = probe.address.rpartition(":")
            socket.create_connection((host, int(port)), probe.timeout_s).close()
            return ""
        status, body = request(probe.address, "GET", probe.path, probe.timeout_s)
    except (OSError, http.client.HTTPException) as error:
        return describe(error)
    if status != probe.expect_status:
        return f"HTTP {status} instead of {probe.expect_status}"
    return unmet(body, probe.expect_json)


def unmet(body: bytes, expected: Mapping[str, Any]) -> str:
    """Empty if the JSON `body` has each dotted key with its value, else the first that differs."""
    if not expected:
        return ""
    try:
        answer = json.loads(body)
    except ValueError:
        return "the answer is no JSON"
    for dotted, wanted in expected.items():
        value = answer
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value != wanted:
            return f"{dotted} is {value!r}, not {wanted!r}"
    return ""


def describe(error: Exception) -> str:
    """A network error in a few words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}"


class Prober:
    """Probes processes until they are ready, each in a thread of its own with one request in flight."""

    def __init__(self, inbox: Inbox, clock: Clock):
        self._inbox = inbox
        self._clock = clock
        self._stops: dict[str, threading.Event] = {}
        self.last_seen: dict[str, str] = {}

    def start(self, name: str, generation: int, probe: Probe) -> None:
        """Begin; `ProbeOk` follows when it is satisfied."""
        self.cancel(name)
        stop = self._stops[name] = threading.Event()
        arguments = (name, generation, probe, stop)
        threading.Thread(target=self._run, args=arguments, name=f"probe-{name}", daemon=True).start()

    def cancel(self, name: str) -> None:
        stop = self._stops.pop(name, None)
        if stop is not None:
            stop.set()

    def cancel_all(self) -> None:
        for name in list(self._stops):
            self.cancel(name)

    def _run(self, name: str, generation: int, probe: Probe, stop: threading.Event) -> None:
        begun = self._clock.now()
        while not stop.is_set():
            seen = look(probe)
            self.last_seen[name] = seen
            if not seen:
                self._inbox.put(ProbeOk(name, generation, self._clock.wall()))
                return
            slow = self._clock.now() - begun > SLOW_AFTER_S
            stop.wait(max(probe.interval_s, SLOW_INTERVAL_S) if slow else probe.interval_s)


class Look:
    """A function repeated in a thread; each result goes to the inbox as a `Finding`."""

    def __init__(self, inbox: Inbox, clock: Clock, key: str, function: Callable[[], Any], interval_s: float | None):
        self._stop = threading.Event()
        self._inbox, self._clock, self._key, self._function = inbox, clock, key, function
        self._interval_s = interval_s
        threading.Thread(target=self._run, name=key, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            value = self._function()
            if self._stop.is_set():
                return
            self._inbox.put(Finding(self._key, value, self._clock.wall()))
            if self._interval_s is None:
                return
            self._stop.wait(self._interval_s)
