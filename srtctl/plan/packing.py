"""Which GPUs of which nodes a worker gets: the packing rule alone, without roles of nodes or services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from srtctl.plan.model import Rank, Worker


@dataclass(frozen=True)
class Demand:
    """What one role asks for.

    Attributes:
        role: `prefill`, `decode` or `aggregated`.
        workers: How many.
        gpus: Of one worker; at least 1.
        nodes: Nodes asked for by number, None where their number follows from the workers.
    """

    role: str
    workers: int
    gpus: int
    nodes: int | None = None

    @property
    def total_gpus(self) -> int:
        return self.workers * self.gpus


class DoesNotFitError(Exception):
    """A worker found no place; `worker` is its name."""

    def __init__(self, worker: str):
        self.worker = worker
        super().__init__(worker)


class _Cursor:
    """The next free GPU: nodes are filled in order, from GPU 0 up, and never looked at again."""

    def __init__(self, nodes: Sequence[int], gpus_per_node: int):
        self.nodes = nodes
        self.gpus_per_node = gpus_per_node
        self.position = 0
        self.used = 0

    def leave_used_node(self) -> None:
        if self.used:
            self.position, self.used = self.position + 1, 0

    def has_next_node(self) -> bool:
        return self.position + 1 < len(self.nodes)

    def take(self, gpus: int) -> Rank | None:
        """`gpus` consecutive GPUs of one node (at most a whole one), None when no node is left."""
        if self.used + gpus > self.gpus_per_node:
            self.leave_used_node()
        if self.position >= len(self.nodes):
            return None
        rank = Rank(self.nodes[self.position], tuple(range(self.used, self.used + gpus)))
        self.used += gpus
        return rank


def pack(
    demands: Sequence[Demand], nodes: Sequence[int], gpus_per_node: int, *, spread: bool = False
) -> tuple[Worker, ...]:
    """Place every worker, role after role, on `nodes` in their order.

    A worker smaller than a node gets consecutive GPUs of one node; a larger one gets whole nodes (its size must be a
    multiple of a node's). A role begins on a node of its own where there is one; roles share a node only when they
    would not fit otherwise.

    Raises:
        DoesNotFitError: The nodes are too few.
    """
    try:
        return _pack(demands, _Cursor(nodes, gpus_per_node), spread, keep_apart=True)
    except DoesNotFitError:
        return _pack(demands, _Cursor(nodes, gpus_per_node), spread, keep_apart=False)


def nodes_needed(demands: Sequence[Demand], gpus_per_node: int, *, spread: bool = False) -> int:
    """The fewest nodes on which `pack` succeeds."""
    apart = sum(_nodes_of_one(demand, gpus_per_node, spread) for demand in demands)
    # A role leaves room on its last node only, so sharing saves at most one node at each change of roles.
    for count in range(max(1, apart - len(demands) + 1), apart):
        try:
            pack(demands, range(count), gpus_per_node, spread=spread)
        except DoesNotFitError:
            continue
        return count
    return apart


def _nodes_of_one(demand: Demand, gpus_per_node: int, spread: bool) -> int:
    if demand.gpus >= gpus_per_node:
        return demand.workers * -(-demand.gpus // gpus_per_node)
    per_node = 1 if spread else gpus_per_node // demand.gpus
    return -(-demand.workers // per_node)


def _pack(demands: Sequence[Demand], cursor: _Cursor, spread: bool, keep_apart: bool) -> tuple[Worker, ...]:
    workers: list[Worker] = []
    for number, demand in enumerate(demands):
        if number and keep_apart and cursor.has_next_node():
            cursor.leave_used_node()
        for index in range(demand.workers):
            workers.append(Worker(demand.role, index, _ranks(demand, index, cursor)))
            if spread:
                cursor.leave_used_node()
    return tuple(workers)


def _ranks(demand: Demand, index: int, cursor: _Cursor) -> tuple[Rank, ...]:
    node_count = max(1, demand.gpus // cursor.gpus_per_node)
    gpus_each = min(demand.gpus, cursor.gpus_per_node)
    ranks = [cursor.take(gpus_each) for _ in range(node_count)]
    found = tuple(rank for rank in ranks if rank is not None)
    if len(found) < node_count:
        raise DoesNotFitError(f"{demand.role}{index}")
    return found
