"""How far a measurement is, read from the frontends' own counters about once a second; never a reason to fail."""

from __future__ import annotations

import http.client
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from srtctl.orchestrator import probes

DONE = ("dynamo_frontend_requests_total", "sgl_router_requests_total")
IN_FLIGHT = ("dynamo_frontend_inflight_requests", "sgl_router_running_requests")
WINDOW_S = 10.0


@dataclass(frozen=True)
class Counters:
    """Requests that all frontends together have answered, and those they are working on; None when not known."""

    done: float | None
    in_flight: float | None


def scrape(frontends: Sequence[str], timeout_s: float = 1.0) -> Counters:
    """Ask every frontend's /metrics; one that doesn't answer makes its part unknown."""
    done: list[float | None] = []
    in_flight: list[float | None] = []
    for frontend in frontends:
        try:
            status, body = probes.request(frontend, "GET", "/metrics", timeout_s)
        except (OSError, http.client.HTTPException):
            status, body = 0, b""
        lines = body.decode(errors="replace").splitlines() if status == 200 else []
        done.append(total(lines, DONE))
        in_flight.append(total(lines, IN_FLIGHT))
    return Counters(_sum(done), _sum(in_flight))


def total(lines: Iterable[str], names: Sequence[str]) -> float | None:
    """Sum of a metric over its labels, in Prometheus' text format; None when it is not there."""
    values = []
    for line in lines:
        head, _, value = line.rpartition(" ")
        if head.partition("{")[0] in names:
            try:
                values.append(float(value))
            except ValueError:
                continue
    return sum(values) if values else None


def _sum(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    # A frontend that has had no request yet doesn't list the counter at all.
    return sum(known) if known else None


class Follower:
    """Looks at one measurement again and again: the client's own files if they tell, else the frontends' counters.

    Args:
        own: What the benchmark says about the client's files: requests done so far, or None.
        frontends: `host:port` of each.
    """

    def __init__(self, own: Callable[[], int | None], frontends: Sequence[str]):
        self._own = own
        self._frontends = frontends
        self._base: float | None = None

    def __call__(self) -> Counters:
        """Requests done since the measurement began (warm-up included where only frontends can tell), and in flight."""
        seen = scrape(self._frontends)
        own = self.own()
        if own is not None:
            return Counters(own, seen.in_flight)
        if seen.done is None:
            return seen
        self._base = seen.done if self._base is None else self._base
        return Counters(seen.done - self._base, seen.in_flight)

    def own(self) -> int | None:
        """What the client's own files say."""
        try:
            return self._own()
        except (OSError, ValueError, KeyError):
            return None  # a line half written


class Rate:
    """Requests per second over the last seconds."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, float]] = deque()

    def add(self, at: float, done: float) -> None:
        self._readings.append((at, done))
        while self._readings[0][0] < at - WINDOW_S:
            self._readings.popleft()

    @property
    def per_s(self) -> float | None:
        if len(self._readings) < 2:
            return None
        (first_at, first), (last_at, last) = self._readings[0], self._readings[-1]
        return round((last - first) / (last_at - first_at), 3) if last_at > first_at else None
