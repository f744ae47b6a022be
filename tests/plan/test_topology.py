"""Where services, frontends and the client go, how many nodes a job has, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.errors import Severity, SrtctlError
from srtctl.plan.topology import place, topology_problems
from tests.plan.jobs import agg, disagg, job, places

INFRA, FRONTEND, CLIENT = (
    "infra__etcd_nats_dedicated_node",
    "frontend__dedicated_node",
    "benchmark__client_dedicated_node",
)
APART = {"benchmark__colocate_with_frontend": False}


def of(*flags: str, **more: Any) -> dict[str, Any]:
    return dict.fromkeys(flags, True) | more


# flags -> head, infra, client, nodes for workers; three nodes unless there are more reserved ones
ROLES: list[tuple[dict[str, Any], int, tuple[int, int, int, list[int]]]] = [
    ({}, 3, (0, 0, 0, [0, 1, 2])),
    (of(INFRA), 2, (1, 0, 1, [1, 2])),
    (of(FRONTEND), 2, (0, 0, 0, [1, 2])),
    (of(CLIENT), 2, (0, 0, 2, [0, 1])),
    (of(FRONTEND, CLIENT), 2, (2, 2, 2, [0, 1])),
    (of(INFRA, FRONTEND, CLIENT, **APART), 1, (1, 0, 3, [2])),
    (of(INFRA, FRONTEND), 2, (0, 0, 0, [1, 2])),
]


@pytest.mark.parametrize(("flags", "workers", "expected"), ROLES)
def test_roles_of_nodes(flags: dict[str, Any], workers: int, expected: tuple[int, int, int, list[int]]) -> None:
    found = place(agg(agg_nodes=workers, agg_workers=workers, **flags))
    assert (found.head, found.infra, found.client, list(found.worker_slots)) == expected


@pytest.mark.parametrize(
    ("flags", "nodes"),
    [
        ({}, 2),
        (of(INFRA), 3),
        (of(FRONTEND), 3),
        (of(CLIENT), 3),
        (of(FRONTEND, CLIENT), 3),
        (of(INFRA, FRONTEND), 3),
        (of(INFRA, FRONTEND, CLIENT), 3),
        (of(FRONTEND, CLIENT, **APART), 4),
        (of(INFRA, FRONTEND, CLIENT, **APART), 5),
    ],
)
def test_size_of_the_job(flags: dict[str, Any], nodes: int) -> None:
    assert len(place(disagg(**flags)).slots) == nodes


@pytest.mark.parametrize("nodes", [1, 2])
def test_too_few_nodes_for_the_roles(nodes: int) -> None:
    made = disagg(cluster__nodes=nodes, **of(INFRA))
    with pytest.raises(SrtctlError, match="at least 3 nodes"):
        place(made)


@pytest.mark.parametrize(
    ("nodes", "settings", "nginx", "frontends"),
    [
        (1, {}, None, (0,)),
        (6, {"enable_multiple_frontends": False}, None, (0,)),
        (2, {}, 0, (1,)),
        (3, {}, 0, (1, 2)),
        (6, {"num_additional_frontends": 9}, 0, (1, 2, 3, 4, 5)),
        (5, {"num_additional_frontends": 1}, 0, (1, 2)),
        (1, {"count": 2}, 0, (0, 0)),
        (1, {"count": 1}, None, (0,)),
        (3, {"count": 1}, None, (0,)),
        (3, {"count": 5}, 0, (1, 2, 1, 2, 1)),
        (2, {"count": 3, "enable_multiple_frontends": False}, 0, (1, 1, 1)),
    ],
)
def test_number_and_place_of_frontends(
    nodes: int, settings: dict[str, Any], nginx: int | None, frontends: tuple[int, ...]
) -> None:
    values = {f"frontend__{key}": value for key, value in settings.items()}
    found = place(agg(agg_nodes=nodes, agg_workers=nodes, **values))
    assert (found.nginx, found.frontends) == (nginx, frontends)


def test_a_dedicated_frontend_node_runs_the_frontends() -> None:
    found = place(disagg(**of(FRONTEND)))
    assert found.worker_slots == (1, 2)
    assert set(found.frontends) == {0}


def test_placement_beside_decode_workers() -> None:
    shape: dict[str, Any] = {"decode_workers": 3, "decode_nodes": 3}
    first = place(disagg(frontend__orchestrator_placement="first_decode", **shape))
    assert (first.head, first.nginx, first.client, first.frontends) == (1, 1, 0, (0, 2, 3))
    last = place(disagg(benchmark__client_placement="last_decode", **shape))
    assert (last.head, last.client) == (0, 3)


@pytest.mark.parametrize(
    ("made", "key", "text"),
    [
        (agg(frontend__orchestrator_placement="first_decode"), "frontend.orchestrator_placement", "no decode workers"),
        (agg(benchmark__client_placement="last_decode"), "benchmark.client_placement", "no decode workers"),
        (disagg(frontend__orchestrator_placement="middle"), "frontend.orchestrator_placement", "invalid"),
        (
            disagg(frontend__orchestrator_placement="first_decode", **of(FRONTEND)),
            "frontend.orchestrator_placement",
            "head",
        ),
        (disagg(benchmark__client_placement="last_decode", **of(CLIENT)), "benchmark.client_placement", "dedicated"),
        (agg(het_jobs=True), "resources.het_jobs", "two components"),
        (disagg(het_jobs=True, decode_nodes=0), "resources.decode_nodes", "share the prefill nodes"),
        (job(), "resources", "no worker"),
        (disagg(agg_workers=1, agg_nodes=1), "resources", "aggregated"),
        (job(prefill_workers=1, prefill_nodes=1), "resources.decode_workers", "need decode"),
        (job(agg_nodes=1), "resources.agg_workers", "no worker"),
        (agg(agg_workers=-1), "resources.agg_workers", "negative"),
        (agg(agg_nodes=-1, gpus_per_agg=1), "resources.agg_nodes", "negative"),
        (agg(agg_workers=5), "resources.gpus_per_agg", "1 nodes x 4 GPUs = 4 GPUs for 5 workers"),
        (agg(gpus_per_agg=0), "resources.gpus_per_agg", "0 GPUs"),
        (job(agg_workers=1), "resources.gpus_per_agg", "not known"),
        (agg(gpus_per_agg=12, agg_nodes=2, gpus_per_node=8), "resources.gpus_per_agg", "whole nodes"),
        (agg(resources__gpus_per_node=8), "resources.gpus_per_node", "has 4 GPUs"),
        (agg(gpus_per_node=10**25), "cluster.gpus_per_node", "no node has so many"),
        (agg(agg_workers=10**9, gpus_per_agg=1, agg_nodes=None), "resources.agg_workers", "no cluster has so many"),
        (agg(agg_nodes=10**9), "resources.agg_nodes", "no cluster has so many"),
        (agg(gpus_per_node=0), "cluster.gpus_per_node", "not known"),
        (disagg(gpus_per_prefill=4, gpus_per_decode=8, decode_nodes=0, gpus_per_node=8), "resources", "= 12 GPUs"),
        (
            disagg(gpus_per_prefill=8, gpus_per_decode=8, prefill_workers=2, decode_workers=2),
            "resources",
            "2 prefill x 8 + 2 decode x 8 = 32 GPUs are asked for, and there are 8",
        ),
    ],
)
def test_what_is_impossible_is_refused_with_the_numbers(made: Any, key: str, text: str) -> None:
    with pytest.raises(SrtctlError) as caught:
        place(made)
    found = [(problem.key, problem.message) for problem in caught.value.problems]
    assert any(key == k and text in m for k, m in found), found
    assert list(caught.value.problems) == [p for p in topology_problems(made) if p.severity is Severity.ERROR]


def test_spread_workers_are_named_where_they_are_the_cause() -> None:
    shape: dict[str, Any] = {"prefill_nodes": 1, "decode_nodes": 1, "gpus_per_prefill": 2, "gpus_per_decode": 1}
    made = disagg(**shape, prefill_workers=1, decode_workers=3, spread_workers=True)
    (problem,) = topology_problems(made)
    assert (problem.key, problem.value) == ("resources.spread_workers", True)
    assert "decode1 finds no place" in problem.message
    assert problem.message.endswith("; resources.spread_workers wants a node of its own for every worker")
    # 1 + 3 nodes when no two workers share one; otherwise 2 + 3 x 1 = 5 GPUs fit on 2 nodes of 4
    assert problem.allowed == "at least 4 nodes for workers"
    assert problem.hint.endswith("; without resources.spread_workers 2 are enough")
    # too small in any case: not its fault alone
    (problem,) = topology_problems(disagg(**shape, prefill_workers=1, decode_workers=9, spread_workers=True))
    assert problem.key == "resources" and problem.hint.endswith("; without resources.spread_workers 3 are enough")


def test_gpus_of_a_worker_from_its_nodes() -> None:
    found = place(job(gpus_per_node=8, prefill_nodes=2, prefill_workers=6, decode_nodes=0, decode_workers=2))
    assert len(found.slots) == 2
    assert {worker.gpu_count for worker in found.workers} == {2}
    assert sum(worker.gpu_count for worker in found.workers) == 16


def test_lost_gpus_and_idle_nodes_are_said() -> None:
    uneven = topology_problems(agg(agg_workers=3, gpus_per_node=8))
    assert [(p.severity, p.rule) for p in uneven] == [(Severity.WARNING, "idle-gpus")]
    assert "2 of 8 GPUs stay idle" in uneven[0].message
    idle = topology_problems(disagg(prefill_nodes=3, prefill_workers=3, gpus_per_prefill=2))
    assert [p.message for p in idle] == ["1 of 4 nodes for workers get no worker: their GPUs stay idle"]


def test_nodes_follow_from_the_workers() -> None:
    shape: dict[str, Any] = {"prefill_workers": 1, "decode_workers": 2, "gpus_per_prefill": 2, "gpus_per_decode": 4}
    assert places(place(job(**shape)).workers) == ["P0 n0{0,1}", "D0 n1{0,1,2,3}", "D1 n2{0,1,2,3}"]


def test_roles_share_a_node_where_the_cluster_has_only_one() -> None:
    shape: dict[str, Any] = {"prefill_workers": 1, "decode_workers": 1, "gpus_per_prefill": 1, "gpus_per_decode": 1}
    assert places(place(job(**shape)).workers) == ["P0 n0{0}", "D0 n1{0}"]
    assert places(place(job(cluster__nodes=1, **shape)).workers) == ["P0 n0{0}", "D0 n0{1}"]


def test_components_of_a_heterogeneous_job() -> None:
    shape: dict[str, Any] = {"prefill_nodes": 12, "prefill_workers": 12, "decode_nodes": 10, "decode_workers": 10}
    found = place(job(het_jobs=True, **shape))
    assert found.het_nodes == (12, 10)
    for worker in found.workers:
        assert {found.slots[rank.slot].het_group for rank in worker.ranks} == {int(worker.role == "decode")}
    assert place(job(het_jobs=True, **shape, **of(INFRA))).het_nodes == (13, 10)
    full = job(het_jobs=True, **{**shape, "prefill_nodes": 1, "prefill_workers": 2, "gpus_per_prefill": 4})
    with pytest.raises(SrtctlError, match="prefill1 finds no place"):
        place(full)


def test_slots_say_what_they_serve() -> None:
    found = place(disagg(**of(INFRA, CLIENT)))
    assert [slot.serves for slot in found.slots] == [
        ("infra",),
        ("head", "worker"),
        ("frontend", "worker"),
        ("client",),
    ]
