"""Jobs for the tests of planning."""

from __future__ import annotations

from typing import Any

from srtctl.backends import BACKENDS
from srtctl.benchmarks import BENCHMARKS
from srtctl.plan.build import build_plan
from srtctl.plan.model import Plan, Worker
from srtctl.plan.programs import Programs
from srtctl.schema import JobConfig

PROGRAMS = Programs(
    {
        "etcd": "/opt/etcd",
        "nats_server": "/opt/nats-server",
        "nginx": "/opt/nginx",
        "dynamo_python": "/opt/dynamo/bin/python",
        "sglang_python": "/opt/sglang/bin/python",
    },
    {"etcd": "3.5.1", "dynamo_python": "1.6.1"},
)
MODEL = "/models/tiny"


def job(*, gpus_per_node: int = 4, backend: str = "mocker", frontend: str = "dynamo", **values: Any) -> JobConfig:
    """A job; `values` are dotted keys with `__` for the dot, without one keys of `resources`."""
    made = JobConfig(name="job", backend=BACKENDS[backend].params(), benchmark=BENCHMARKS["manual"].params())
    made.cluster.gpus_per_node = gpus_per_node
    made.frontend.type = frontend
    made.model.path, made.model.name = MODEL, "tiny"
    for key, value in values.items():
        node: Any = made if "__" in key else made.resources
        *parents, leaf = key.split("__")
        for parent in parents:
            node = getattr(node, parent)
        assert hasattr(node, leaf), key
        setattr(node, leaf, value)
    return made


def disagg(**values: Any) -> JobConfig:
    """One prefill and one decode worker, a node each."""
    return job(**{"prefill_nodes": 1, "decode_nodes": 1, "prefill_workers": 1, "decode_workers": 1, **values})


def agg(**values: Any) -> JobConfig:
    """One aggregated worker on one node."""
    return job(**{"agg_nodes": 1, "agg_workers": 1, **values})


def plan_of(made: JobConfig, **values: Any) -> Plan:
    return build_plan(made, PROGRAMS, "d0", model_path=MODEL, tokenizer_path=MODEL, **values)


def places(workers: tuple[Worker, ...]) -> list[str]:
    """Placements as text: `P0 n0{0,1}`, the ranks of a worker joined by `+`."""
    letter = {"prefill": "P", "decode": "D", "aggregated": "A"}
    return [
        f"{letter[w.role]}{w.index} " + "+".join(f"n{r.slot}{{{','.join(map(str, r.gpus))}}}" for r in w.ranks)
        for w in workers
    ]
