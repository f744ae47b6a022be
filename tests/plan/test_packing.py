"""Which GPUs workers get: known cases, and what holds for all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srtctl.plan.packing import Demand, DoesNotFitError, nodes_needed, pack
from tests.plan.jobs import places

P, D, A = "prefill", "decode", "aggregated"
ALL4, HALVES8 = "{0,1,2,3}", ("{0,1,2,3}", "{4,5,6,7}")

CASES = {
    "two per node": (
        [Demand(P, 2, 2), Demand(D, 2, 2)],
        4,
        2,
        False,
        ["P0 n0{0,1}", "P1 n0{2,3}", "D0 n1{0,1}", "D1 n1{2,3}"],
    ),
    "full node": (
        [Demand(P, 2, 4), Demand(D, 2, 4)],
        4,
        4,
        False,
        [f"P0 n0{ALL4}", f"P1 n1{ALL4}", f"D0 n2{ALL4}", f"D1 n3{ALL4}"],
    ),
    "multi-node": (
        [Demand(P, 1, 8), Demand(D, 1, 8)],
        4,
        4,
        False,
        [f"P0 n0{ALL4}+n1{ALL4}", f"D0 n2{ALL4}+n3{ALL4}"],
    ),
    "single GPU": ([Demand(P, 1, 1)], 4, 1, False, ["P0 n0{0}"]),
    "aggregated": ([Demand(A, 2, 4)], 4, 2, False, [f"A0 n0{ALL4}", f"A1 n1{ALL4}"]),
    "aggregated packed": ([Demand(A, 3, 2)], 8, 1, False, ["A0 n0{0,1}", "A1 n0{2,3}", "A2 n0{4,5}"]),
    "never share": (
        [Demand(P, 3, 2), Demand(D, 1, 32)],
        4,
        11,
        False,
        ["P0 n0{0,1}", "P1 n0{2,3}", "P2 n1{0,1}", "D0 " + "+".join(f"n{n}{ALL4}" for n in range(2, 10))],
    ),
    "forced share": ([Demand(P, 1, 2), Demand(D, 1, 2)], 4, 1, False, ["P0 n0{0,1}", "D0 n0{2,3}"]),
    "decode on prefill's nodes": (
        [Demand(P, 6, 2), Demand(D, 2, 2)],
        8,
        2,
        False,
        [
            "P0 n0{0,1}",
            "P1 n0{2,3}",
            "P2 n0{4,5}",
            "P3 n0{6,7}",
            "P4 n1{0,1}",
            "P5 n1{2,3}",
            "D0 n1{4,5}",
            "D1 n1{6,7}",
        ],
    ),
    "4P4D": (
        [Demand(P, 4, 4), Demand(D, 4, 4)],
        8,
        4,
        False,
        [f"P{i} n{i // 2}{HALVES8[i % 2]}" for i in range(4)]
        + [f"D{i} n{2 + i // 2}{HALVES8[i % 2]}" for i in range(4)],
    ),
    "spread": (
        [Demand(P, 1, 1), Demand(D, 2, 2)],
        4,
        3,
        True,
        ["P0 n0{0}", "D0 n1{0,1}", "D1 n2{0,1}"],
    ),
    "no spread": ([Demand(D, 2, 2)], 4, 2, False, ["D0 n0{0,1}", "D1 n0{2,3}"]),
    "apart would not fit": (
        [Demand(P, 1, 2), Demand(D, 3, 2)],
        4,
        2,
        False,
        ["P0 n0{0,1}", "D0 n0{2,3}", "D1 n1{0,1}", "D2 n1{2,3}"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_known_placements(case: str) -> None:
    demands, per_node, nodes, spread, expected = CASES[case]
    assert places(pack(demands, range(nodes), per_node, spread=spread)) == expected


@pytest.mark.parametrize(
    ("demands", "per_node", "nodes", "needed"),
    [
        ([Demand(P, 2, 8), Demand(D, 2, 8)], 4, 2, 8),
        ([Demand(P, 1, 4), Demand(D, 1, 8)], 8, 1, 2),
        ([Demand(P, 1, 4), Demand(D, 2, 4)], 8, 1, 2),
        ([Demand(A, 4, 3)], 4, 3, 4),  # 12 GPUs for 12, but none of 3 fits beside another
    ],
)
def test_too_few_nodes_are_refused(demands: list[Demand], per_node: int, nodes: int, needed: int) -> None:
    with pytest.raises(DoesNotFitError):
        pack(demands, range(nodes), per_node)
    assert nodes_needed(demands, per_node) == needed
    pack(demands, range(needed), per_node)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[Demand], int, bool]:
    per_node = draw(st.sampled_from([1, 2, 4, 8]))
    size = st.one_of(st.integers(1, per_node), st.integers(1, 4).map(lambda n: n * per_node))
    roles = draw(st.sampled_from([(A,), (P, D)]))
    return [Demand(role, draw(st.integers(1, 9)), draw(size)) for role in roles], per_node, draw(st.booleans())


@given(shapes(), st.integers(0, 3))
def test_every_placement_is_sound(shape: tuple[list[Demand], int, bool], spare: int) -> None:
    demands, per_node, spread = shape
    nodes = nodes_needed(demands, per_node, spread=spread) + spare
    workers = pack(demands, range(nodes), per_node, spread=spread)
    used = [(rank.slot, gpu) for worker in workers for rank in worker.ranks for gpu in rank.gpus]
    assert len(used) == len(set(used)), "a GPU is used twice"
    assert all(0 <= slot < nodes and 0 <= gpu < per_node for slot, gpu in used)
    assert len(used) == sum(d.workers * d.gpus for d in demands)
    assert [(w.role, w.index) for w in workers] == [(d.role, i) for d in demands for i in range(d.workers)]
    for worker, gpus in zip(workers, (d.gpus for d in demands for _ in range(d.workers)), strict=True):
        assert worker.gpu_count == gpus
        slots = [rank.slot for rank in worker.ranks]
        assert slots == list(range(slots[0], slots[0] + len(slots))), "ranks lie on consecutive nodes"
        assert all(rank.gpus == tuple(range(rank.gpus[0], rank.gpus[-1] + 1)) for rank in worker.ranks)
        assert len(slots) == 1 or all(len(rank.gpus) == per_node for rank in worker.ranks)
    if spread:
        hosts = [rank.slot for worker in workers for rank in worker.ranks]
        assert len(hosts) == len(set(hosts))


@given(shapes())
def test_one_node_less_is_too_few(shape: tuple[list[Demand], int, bool]) -> None:
    demands, per_node, spread = shape
    with pytest.raises(DoesNotFitError):
        pack(demands, range(nodes_needed(demands, per_node, spread=spread) - 1), per_node, spread=spread)
