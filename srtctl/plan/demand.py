"""From `resources` to what each role asks for, with everything that is wrong about it."""

from __future__ import annotations

from dataclasses import dataclass

from srtctl.errors import UNSET, Problem, Severity, counted
from srtctl.plan.packing import Demand
from srtctl.schema import JobConfig, ResourcesConfig

# No machine is larger; a slip of the finger is, and would take this one's memory before it were refused.
MOST_GPUS_PER_NODE = 1024
MOST_GPUS = 200_000

SHORT = {"prefill": "prefill", "decode": "decode", "aggregated": "agg"}


@dataclass(frozen=True)
class _Asked:
    """The three numbers of one role as they were written."""

    role: str
    nodes: int | None
    workers: int | None
    gpus: int | None

    @property
    def any(self) -> bool:
        return bool(self.nodes or self.workers)

    def key(self, what: str) -> str:
        short = SHORT[self.role]
        return f"resources.gpus_per_{short}" if what == "gpus" else f"resources.{short}_{what}"


def gpus_per_node(job: JobConfig) -> int:
    """GPUs used of each node, 0 when neither the job nor the cluster says it."""
    own = job.resources.gpus_per_node
    return own if own is not None else job.cluster.gpus_per_node or 0


def demands(job: JobConfig) -> tuple[list[Demand], list[Problem]]:
    """What each role asks for, in the order of placement; the demands are complete only when no problem is an error."""
    asked = [a for a in _asked(job.resources) if a.any]
    problems = _node_problems(job) + _mode_problems(asked)
    if problems:
        return [], problems
    found: list[Demand] = []
    for one in asked:
        other = next((a for a in asked if a is not one), None)
        demand, wrong = _demand(one, other, gpus_per_node(job))
        problems += wrong
        found += [demand] if demand else []
    return found, problems


def is_disaggregated(job: JobConfig) -> bool:
    """True when prefill and decode have workers of their own."""
    return any(a.any for a in _asked(job.resources)[:2])


def _asked(resources: ResourcesConfig) -> list[_Asked]:
    r = resources
    return [
        _Asked("prefill", r.prefill_nodes, r.prefill_workers, r.gpus_per_prefill),
        _Asked("decode", r.decode_nodes, r.decode_workers, r.gpus_per_decode),
        _Asked("aggregated", r.agg_nodes, r.agg_workers, r.gpus_per_agg),
    ]


def _node_problems(job: JobConfig) -> list[Problem]:
    own, cluster = job.resources.gpus_per_node, job.cluster.gpus_per_node
    if gpus_per_node(job) < 1:
        key = "resources.gpus_per_node" if own is not None else "cluster.gpus_per_node"
        value = own if own is not None else UNSET if cluster is None else cluster
        return [Problem("gpus-per-node", "how many GPUs a node has is not known", key, value, "at least 1",
                        "a machine without GPUs can run the mocker: cluster.simulated_gpus=true")]  # fmt: skip
    if gpus_per_node(job) > MOST_GPUS_PER_NODE:
        key = "resources.gpus_per_node" if own is not None else "cluster.gpus_per_node"
        return [Problem("gpus-per-node", "no node has so many GPUs", key, gpus_per_node(job),
                        f"1 to {MOST_GPUS_PER_NODE}")]  # fmt: skip
    if own is not None and cluster and own > cluster:
        return [Problem("gpus-per-node", f"a node of cluster {job.cluster.name!r} has {cluster} GPUs",
                        "resources.gpus_per_node", own, f"1 to {cluster}")]  # fmt: skip
    return []


def _mode_problems(asked: list[_Asked]) -> list[Problem]:
    roles = {a.role for a in asked}
    both = "prefill_workers and decode_workers for disaggregated serving, or agg_workers"
    if not roles:
        return [Problem("no-workers", "no worker is asked for", "resources", allowed=both)]
    if "aggregated" in roles and len(roles) > 1:
        return [Problem("mixed-mode", "aggregated workers can't serve beside prefill and decode workers", "resources",
                        allowed=both, hint="set the numbers of the other kind to null")]  # fmt: skip
    if len(roles) == 1 and "aggregated" not in roles:
        present = next(iter(roles))
        missing = "decode" if present == "prefill" else "prefill"
        return [Problem("no-workers", f"{present} workers need {missing} workers beside them",
                        f"resources.{missing}_workers", allowed="at least 1")]  # fmt: skip
    return []


def _demand(one: _Asked, other: _Asked | None, per_node: int) -> tuple[Demand | None, list[Problem]]:
    if not one.workers:
        value = one.workers if one.workers is not None else UNSET
        return None, [Problem("no-workers", f"{counted(one.nodes or 0, 'node')} asked for, but no worker to run there",
                              one.key("workers"), value, "at least 1")]  # fmt: skip
    if one.workers < 0 or (one.nodes or 0) < 0:
        what = "workers" if one.workers < 0 else "nodes"
        return None, [Problem("negative", "must not be negative", one.key(what), getattr(one, what), "0 or more")]
    if (one.nodes or 0) * per_node > MOST_GPUS:
        text = f"no cluster has so many nodes of {per_node} GPUs"
        return None, [Problem("too-large", text, one.key("nodes"), one.nodes, f"up to {MOST_GPUS // per_node}")]
    gpus, problems = _gpus_of_one(one, other, per_node)
    if gpus is None:
        return None, problems
    if one.workers * gpus > MOST_GPUS:
        text = f"{one.workers} workers of {gpus} GPUs: no cluster has so many"
        return None, [Problem("too-large", text, one.key("workers"), one.workers, f"up to {MOST_GPUS} GPUs in all")]
    if gpus > per_node and gpus % per_node:
        whole = f"up to {per_node}, or a multiple of {per_node}"
        text = f"{a_worker(one.role)} of {gpus} GPUs does not fill whole nodes of {per_node} GPUs"
        return None, [*problems, Problem("gpus-per-worker", text, one.key("gpus"), gpus, whole)]
    return Demand(one.role, one.workers, gpus, one.nodes), problems


def _gpus_of_one(one: _Asked, other: _Asked | None, per_node: int) -> tuple[int | None, list[Problem]]:
    """GPUs of one worker: as written, else its nodes' GPUs over its workers, else (no nodes of its own) the other's."""
    if one.gpus is not None:
        return _at_least_one(one, one.gpus, "", per_node)
    if one.nodes:
        total, workers = one.nodes * per_node, one.workers or 1
        counted = f" ({one.nodes} nodes x {per_node} GPUs = {total} GPUs for {workers} workers)"
        gpus, problems = _at_least_one(one, total // workers, counted, per_node)
        shares = other is not None and other.nodes == 0
        if gpus and total % workers and not shares:
            text = f"{total % workers} of {total} GPUs stay idle: {gpus} for each of {workers} {one.role} workers"
            problems.append(Problem("idle-gpus", text, one.key("workers"), workers, severity=Severity.WARNING))
        return gpus, problems
    if one.nodes == 0 and other is not None and (other.gpus is not None or other.nodes):
        return _gpus_of_one(other, None, per_node)[0], []
    return None, [Problem("gpus-per-worker", f"how many GPUs {a_worker(one.role)} has is not known", one.key("gpus"),
                          allowed="at least 1", hint=f"set it, or {one.key('nodes')}")]  # fmt: skip


def a_worker(role: str) -> str:
    """`a prefill worker`, with its article."""
    return f"an {role} worker" if role == "aggregated" else f"a {role} worker"


def _at_least_one(one: _Asked, gpus: int, counted: str, per_node: int) -> tuple[int | None, list[Problem]]:
    if gpus >= 1:
        return gpus, []
    text = f"{a_worker(one.role)} gets {gpus} GPUs{counted}"
    return None, [Problem("gpus-per-worker", text, one.key("gpus"), gpus, "at least 1")]
