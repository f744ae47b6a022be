"""From slots and tokens to hosts, addresses and ports: the only place where a plan meets real machines."""

from __future__ import annotations

import dataclasses
import re
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from srtctl import rundir
from srtctl.plan.model import Plan, PointSteps, PortRequest, Probe, Process, RenderedFile, Step
from srtctl.plan.tokens import replace_tokens, tokens_in

TEMPORARY = "tmp"


@dataclass(frozen=True)
class Node:
    """The machine behind a slot.

    Attributes:
        host: Its name, as Slurm knows it.
        address: Where others reach it.
        iface: Name of the interface that has this address.
        scratch: Private directory on its local disk; exists.
        gpus: What CUDA calls the GPUs that we have there, in order; empty where that is not known.
    """

    slot: int
    host: str
    address: str
    iface: str
    scratch: Path
    gpus: tuple[str, ...] = ()


class Ports(Protocol):
    """Gives out ports on the nodes, each really tried there."""

    def take_all(self, requests: Sequence[PortRequest], *, use_preferred: bool = True) -> dict[str, int]:
        """Ports by name of the request; OSError when there are not enough."""


def local_nodes(plan: Plan, scratch: Path) -> list[Node]:
    """All slots on this machine, reached through its loopback interface; makes their directories below `scratch`."""
    host = socket.gethostname()
    nodes = [Node(slot.index, host, "127.0.0.1", "lo", scratch / f"slot{slot.index}") for slot in plan.slots]
    for node in nodes:
        node.scratch.mkdir(mode=0o700)
        (node.scratch / TEMPORARY).mkdir(mode=0o700)
    return nodes


class Bound:
    """A plan with its tokens resolved.

    Attributes:
        plan: The plan, as it was.
        nodes: Slot -> machine.
        ports: Port name -> number.

    Raises:
        ValueError: A file holds a token that nobody defined.
        OSError: No port is left, or a file can't be written.
    """

    def __init__(self, plan: Plan, nodes: Iterable[Node], book: Ports, allocation: Path, attempt: Path):
        self.plan = plan
        self.nodes = {node.slot: node for node in nodes}
        self.allocation = allocation
        self.attempt = attempt
        self._book = book
        self.ports = book.take_all(plan.ports)
        self._make_table()
        self.write_files(plan.files, attempt)

    def rebind(self, process: str) -> set[str]:
        """Give the ports of one process new numbers; returns all processes that must be started again with it."""
        dependents = affected_by(self.plan, process)
        self.ports |= self._book.take_all(ports_of(self.plan, process), use_preferred=False)
        self._make_table()
        self.write_files(self.plan.files, self.attempt)
        return dependents

    def text(self, text: str, extra: Mapping[str, str] | None = None) -> str:
        """`text` with its tokens replaced.

        Raises:
            ValueError: A token that nobody defined.
        """
        try:
            return replace_tokens(text, {**self._table, **(extra or {})})
        except KeyError as error:
            raise ValueError(f"unknown token @{error.args[0]}@ in {text!r}") from None

    def process(self, process: Process) -> Process:
        """A process with its command, environment, setup and probe resolved."""
        return dataclasses.replace(
            process,
            argv=tuple(self.text(a) for a in process.argv),
            env={key: self.text(value) for key, value in process.env.items()},
            setup=tuple(self.text(a) for a in process.setup),
            probe=self.probe(process.probe) if process.probe else None,
        )

    def probe(self, probe: Probe) -> Probe:
        return dataclasses.replace(probe, address=self.text(probe.address), path=self.text(probe.path))

    def step(self, step: Step, point: Path) -> Step:
        """A step with its command and environment resolved; `point` is the point's attempt directory."""
        extra = {"point": str(point)}
        return dataclasses.replace(
            step,
            argv=tuple(self.text(a, extra) for a in step.argv),
            env={key: self.text(value, extra) for key, value in step.env.items()},
        )

    def point_files(self, steps: PointSteps, point: Path) -> None:
        self.write_files(steps.files, point, {"point": str(point)})

    def write_files(
        self, files: Iterable[RenderedFile], directory: Path, extra: Mapping[str, str] | None = None
    ) -> None:
        """Write rendered files below `directory`, tokens replaced."""
        for file in files:
            path = directory / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            rundir.write_text(path, self.text(file.text, extra), file.mode)

    def temporary(self, slot: int) -> str:
        """TMPDIR of what runs on a slot: in the scratch directory, so that nothing there outlives the run."""
        return str(self.nodes[slot].scratch / TEMPORARY)

    def endpoints(self) -> dict[str, str]:
        """Process name -> the `host:port` of its first port (of Dynamo's workers: the system port)."""
        found: dict[str, str] = {}
        for request in self.plan.ports:
            owner, _, purpose = request.name.partition("/")
            if owner not in found or purpose == "system":
                found[owner] = f"{self.nodes[request.slot].address}:{self.ports[request.name]}"
        return found

    def _make_table(self) -> None:
        table = {"allocation": str(self.allocation), "attempt": str(self.attempt), "python": sys.executable}
        for slot, node in self.nodes.items():
            table[f"host:slot{slot}"] = node.address
            table[f"node:slot{slot}"] = node.host
            table[f"iface:slot{slot}"] = node.iface
            table[f"scratch:slot{slot}"] = str(node.scratch)
        table.update({f"port:{name}": str(number) for name, number in self.ports.items()})
        self._table = table


def ports_of(plan: Plan, process: str) -> list[PortRequest]:
    """What a process listens on: the requests named `<process>/…`."""
    return [request for request in plan.ports if request.name.partition("/")[0] == process]


def affected_by(plan: Plan, process: str) -> set[str]:
    """The process, and all that know its ports or need one of these, directly or not."""
    names = {request.name for request in ports_of(plan, process)}
    files = {file.path for file in plan.files if _mentions(file.text, names)}
    found = {process}
    while True:
        more = {p.name for p in plan.processes if p.name not in found and _depends(p, found, names, files)}
        if not more:
            return found
        found |= more


def _depends(process: Process, found: set[str], ports: set[str], files: set[str]) -> bool:
    texts = [*process.argv, *process.setup, *process.env.values()]
    uses_file = any(_names_file(text, path) for path in files for text in texts)
    return bool(found & set(process.needs)) or uses_file or any(_mentions(text, ports) for text in texts)


def _mentions(text: str, ports: set[str]) -> bool:
    return any(kind == "port" and name in ports for kind, name in tokens_in(text))


def _names_file(text: str, path: str) -> bool:
    return re.search(rf"(^|[=/\s]){re.escape(path)}$", text) is not None


def next_attempt(parent: Path) -> int:
    """Make the next `attempt-N` directory below `parent`; returns N."""
    taken = [int(p.name[8:]) for p in parent.glob("attempt-*") if p.name[8:].isdigit()]
    number = max(taken, default=-1) + 1
    while True:
        try:
            (parent / f"attempt-{number}").mkdir()
        except FileExistsError:
            number += 1
        else:
            return number
