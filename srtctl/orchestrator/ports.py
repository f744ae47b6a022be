"""Ports of one machine: a number is given out only after a socket was really bound to it.

Between this try and the server's own bind another job could take the number. Jobs of srtctl keep out of each
other's way by holding, as long as they live, an abstract Unix socket named after each number: it lives in the same
network namespace as the port, leaves no file, and the kernel removes it with its owner.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

BLOCK_FIRST, BLOCK_LAST = 20000, 31999  # below the ephemeral range, and low enough for Dynamo's system ports
BLOCK_SIZE = 64


class PortWish(Protocol):
    """What is asked for (see `plan.model.PortRequest`)."""

    @property
    def name(self) -> str: ...
    @property
    def preferred(self) -> int: ...
    @property
    def max_port(self) -> int: ...
    @property
    def count(self) -> int: ...


@dataclass(frozen=True)
class Wish:
    """The same as a value that travels to other machines."""

    name: str
    preferred: int
    max_port: int
    count: int


class PortBook:
    """Gives out ports of this machine.

    Args:
        seed: Chooses where the job's own block begins, so that jobs rarely meet.
    """

    def __init__(self, seed: int):
        blocks = (BLOCK_LAST + 1 - BLOCK_FIRST) // BLOCK_SIZE
        self._first = BLOCK_FIRST + (seed * 2654435761 % 2**32) % blocks * BLOCK_SIZE
        self._held: dict[int, list[socket.socket]] = {}

    def take(self, request: PortWish, *, use_preferred: bool = True) -> int:
        """A free port (the first of `request.count` consecutive ones), held for this job.

        Raises:
            OSError: None is left below `request.max_port`.
        """
        for start in self._candidates(request, use_preferred):
            numbers = range(start, start + request.count)
            if numbers[-1] <= request.max_port and self._hold(numbers):
                return start
        raise OSError(errno.EADDRINUSE, f"no {request.count} free ports up to {request.max_port} for {request.name}")

    def take_all(self, requests: Iterable[PortWish], *, use_preferred: bool = True) -> dict[str, int]:
        """Ports for several requests: name -> number; errors as for one."""
        return {request.name: self.take(request, use_preferred=use_preferred) for request in requests}

    def close(self) -> None:
        """Let go of all of them."""
        for sockets in self._held.values():
            for one in sockets:
                one.close()
        self._held.clear()

    def _candidates(self, request: PortWish, use_preferred: bool) -> Iterator[int]:
        if use_preferred and request.preferred > 0:
            yield request.preferred
        yield from range(self._first, BLOCK_LAST + 1)
        yield from range(BLOCK_FIRST, self._first)

    def _hold(self, numbers: range) -> bool:
        if any(number in self._held for number in numbers):
            return False
        held: dict[int, list[socket.socket]] = {}
        for number in numbers:
            mark = _mark(number)
            if mark is None or not is_free(number):
                for sockets in [*held.values(), mark or []]:
                    for one in sockets:
                        one.close()
                return False
            held[number] = mark
        self._held.update(held)
        return True


def is_free(number: int) -> bool:
    """True if a server could listen on this TCP port of any address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do; a listener still excludes us
        try:
            probe.bind(("", number))
            probe.listen(1)
        except OSError:
            return False
    return True


def _mark(number: int) -> list[socket.socket] | None:
    """The sockets that say `taken by a job of srtctl`; None when another job holds that mark."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mark.bind(f"\0srtctl/port/{number}")
    except OSError as error:
        mark.close()
        return None if error.errno == errno.EADDRINUSE else []
    return [mark]
