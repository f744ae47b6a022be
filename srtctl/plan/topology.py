"""Where everything of a deployment runs: workers on GPUs, services, frontends and the client on nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from srtctl.errors import UNSET, Problem, Severity, SrtctlError, errors_of
from srtctl.plan.demand import SHORT, demands, gpus_per_node, is_disaggregated
from srtctl.plan.model import Slot, Worker
from srtctl.plan.packing import Demand, DoesNotFitError, nodes_needed, pack
from srtctl.schema import JobConfig

MOST_FRONTENDS = 4096


@dataclass(frozen=True)
class Topology:
    """A placement; every number is the index of a slot.

    Attributes:
        slots: The nodes, in the order of Slurm's node list.
        workers: Prefill before decode, or aggregated ones.
        worker_slots: Nodes that were meant for workers.
        head: Where traffic enters: nginx, or the only frontend.
        infra: etcd and NATS.
        client: The benchmark client.
        frontends: One entry per frontend; several may share a node.
        nginx: None when a single frontend takes the traffic itself.
        het_nodes: Nodes of the two components of a heterogeneous job.
    """

    slots: tuple[Slot, ...]
    workers: tuple[Worker, ...]
    worker_slots: tuple[int, ...]
    head: int
    infra: int
    client: int
    frontends: tuple[int, ...]
    nginx: int | None
    het_nodes: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Nodes:
    """Nodes by what they are reserved for; the rest is for workers."""

    total: int
    infra: int | None
    frontend: int | None
    client: int | None
    pools: tuple[tuple[int, ...], ...]

    @property
    def for_workers(self) -> tuple[int, ...]:
        return tuple(index for pool in self.pools for index in pool)


def place(job: JobConfig) -> Topology:
    """The placement of a job.

    Raises:
        SrtctlError: It can't be placed; the problems say why, with the numbers.
    """
    topology, problems = _place(job)
    if topology is None:
        raise SrtctlError(errors_of(problems))
    return topology


def topology_problems(job: JobConfig) -> list[Problem]:
    """Everything wrong or doubtful about the placement of a job."""
    return _place(job)[1]


def _place(job: JobConfig) -> tuple[Topology | None, list[Problem]]:
    wanted, problems = demands(job)
    problems = problems + _placement_problems(job)
    if errors_of(problems):
        return None, problems
    sizes = _pool_sizes(job, wanted)
    nodes = _reserve(job, sizes)
    problems += _too_many_nodes(job, nodes.total)
    if errors_of(problems):
        return None, problems
    try:
        workers = _pack_pools(job, wanted, nodes.pools)
    except DoesNotFitError as unfit:
        return None, [*problems, _does_not_fit(job, wanted, sizes, unfit.worker)]
    topology = _assemble(job, nodes, workers)
    return topology, problems + _idle_nodes(topology)


def _placement_problems(job: JobConfig) -> list[Problem]:
    problems = []
    if job.frontend.dedicated_node and job.frontend.orchestrator_placement != "head":
        problems.append(_placement("frontend.orchestrator_placement", job.frontend.orchestrator_placement,
                                   ("head",), "a dedicated frontend node is the head"))  # fmt: skip
    if job.benchmark.client_dedicated_node and job.benchmark.client_placement != "head":
        problems.append(_placement("benchmark.client_placement", job.benchmark.client_placement,
                                   ("head",), "the client has a dedicated node"))  # fmt: skip
    for key, value, names in (
        ("frontend.orchestrator_placement", job.frontend.orchestrator_placement, ("head", "first_decode")),
        ("benchmark.client_placement", job.benchmark.client_placement, ("head", "last_decode")),
    ):
        if value not in names:
            problems.append(_placement(key, value, names, "invalid placement"))
        elif value != "head" and not is_disaggregated(job):
            problems.append(_placement(key, value, ("head",), "there are no decode workers to be placed beside"))
    if job.resources.het_jobs and not is_disaggregated(job):
        problems.append(Problem("het-jobs", "only a disaggregated job has two components", "resources.het_jobs", True,
                                "false"))  # fmt: skip
    elif job.resources.het_jobs and job.resources.decode_nodes == 0:
        problems.append(Problem(
            "het-jobs", "decode workers share the prefill nodes, and a heterogeneous job has nodes for each of the two",
            "resources.decode_nodes", 0, "at least 1, or null for as many as the workers need",
            "resources.het_jobs=false where they are to share nodes"))  # fmt: skip
    if (job.frontend.count or 0) > MOST_FRONTENDS:
        problems.append(Problem("too-large", "no plan is made for so many frontends", "frontend.count",
                                job.frontend.count, f"1 to {MOST_FRONTENDS}"))  # fmt: skip
    return problems


def _placement(key: str, value: str, names: Sequence[str], message: str) -> Problem:
    return Problem("placement", message, key, value, " or ".join(names))


def _pool_sizes(job: JobConfig, wanted: Sequence[Demand]) -> tuple[int, ...]:
    """Nodes for workers: one pool, or one per role for a heterogeneous job."""
    per_node, spread = gpus_per_node(job), job.resources.spread_workers
    each = [d.nodes if d.nodes is not None else nodes_needed([d], per_node, spread=spread) for d in wanted]
    if job.resources.het_jobs:
        return tuple(each)
    total, limit = sum(each), job.cluster.nodes
    if any(d.nodes == 0 for d in wanted) and any(d.nodes is None for d in wanted):
        total = nodes_needed(wanted, per_node, spread=spread)
    if limit is not None and all(d.nodes is None for d in wanted):
        # Nobody asked for this number of nodes: rather share nodes than ask for more than there are.
        reserved = _reserve(job, (0,)).total
        total = max(1, min(total, limit - reserved))
    return (total,)


def _reserve(job: JobConfig, sizes: Sequence[int]) -> _Nodes:
    """Reserved nodes stand first (services, then frontends) and last (client), workers between them."""
    infra, client = job.infra.etcd_nats_dedicated_node, job.benchmark.client_dedicated_node
    frontend = job.frontend.dedicated_node
    together = frontend and job.benchmark.colocate_with_frontend
    first: list[set[str]] = []
    last: list[set[str]] = []
    if together and infra:
        first.append({"infra", "frontend"} | ({"client"} if client else set()))
    elif together and client:
        last.append({"frontend", "client"})
    else:
        first += [{"infra"}] if infra else []
        first += [{"frontend"}] if frontend else []
        last += [{"client"}] if client else []
    pools, begin = [], len(first)
    for size in sizes:
        pools.append(tuple(range(begin, begin + size)))
        begin += size
    where = {name: index for index, names in enumerate(first) for name in names}
    where |= {name: begin + index for index, names in enumerate(last) for name in names}
    return _Nodes(begin + len(last), where.get("infra"), where.get("frontend"), where.get("client"), tuple(pools))


def _pack_pools(job: JobConfig, wanted: Sequence[Demand], pools: Sequence[Sequence[int]]) -> tuple[Worker, ...]:
    per_node, spread = gpus_per_node(job), job.resources.spread_workers
    if len(pools) == 1:
        return pack(wanted, pools[0], per_node, spread=spread)
    packed = [pack([demand], pool, per_node, spread=spread) for demand, pool in zip(wanted, pools, strict=True)]
    return tuple(worker for workers in packed for worker in workers)


def _assemble(job: JobConfig, nodes: _Nodes, workers: tuple[Worker, ...]) -> Topology:
    decode_leaders = [worker.ranks[0].slot for worker in workers if worker.role == "decode"]
    head = nodes.frontend if nodes.frontend is not None else nodes.for_workers[0]
    entrance = decode_leaders[0] if job.frontend.orchestrator_placement == "first_decode" else head
    client = nodes.client if nodes.client is not None else head
    if job.benchmark.client_placement == "last_decode":
        client = decode_leaders[-1]
    infra = nodes.infra if nodes.infra is not None else head
    frontends, nginx = _frontends(job, entrance, nodes)
    het = None
    if job.resources.het_jobs:
        first = nodes.pools[0][-1] + 1
        het = (first, nodes.total - first)
    serves: dict[str, set[int]] = {
        "head": {entrance}, "infra": {infra}, "frontend": set(frontends), "client": {client},
        "worker": {rank.slot for worker in workers for rank in worker.ranks},
    }  # fmt: skip
    slots = tuple(
        Slot(index, gpus_per_node(job), tuple(name for name, where in serves.items() if index in where),
             int(het is not None and index >= het[0]))
        for index in range(nodes.total)
    )  # fmt: skip
    return Topology(slots, workers, nodes.for_workers, entrance, infra, client, frontends, nginx, het)


def _frontends(job: JobConfig, entrance: int, nodes: _Nodes) -> tuple[tuple[int, ...], int | None]:
    """Slots of the frontends, and of nginx where there is one.

    An explicit count wins. Otherwise one per further worker node (as many as the settings allow) behind nginx, and a
    single frontend without nginx where there is no further node.
    """
    settings, count = job.frontend, job.frontend.count
    others = [slot for slot in nodes.for_workers if slot != entrance]
    if count == 1 or (count is None and not (settings.enable_multiple_frontends and others)):
        return (entrance,), None
    if count is None:
        count = min(settings.num_additional_frontends + 1, len(others))
    places = [entrance] if settings.dedicated_node or not others else others
    return tuple(places[number % len(places)] for number in range(count)), entrance


def _too_many_nodes(job: JobConfig, total: int) -> list[Problem]:
    limit = job.cluster.nodes
    if limit is None or total <= limit:
        return []
    text = f"the job needs at least {total} nodes, cluster {job.cluster.name!r} has {limit}"
    return [Problem("nodes", text, "resources", hint="fewer workers, smaller workers, or no dedicated nodes")]


def _does_not_fit(job: JobConfig, wanted: Sequence[Demand], sizes: Sequence[int], worker: str) -> Problem:
    per_node, spread = gpus_per_node(job), job.resources.spread_workers
    sums = " + ".join(f"{d.workers} {d.role} x {d.gpus}" for d in wanted)
    gpus, there = sum(d.total_gpus for d in wanted), sum(sizes)
    need, shared = _fewest_nodes(job, wanted, spread), _fewest_nodes(job, wanted, spread=False)
    text = f"{worker} finds no place: {sums} = {gpus} GPUs are asked for, and there are {there * per_node} for workers "
    text += f"(nodes x GPUs: {there} x {per_node})"
    whole = "" if gpus > there * per_node else "; GPUs of one worker lie on one node, or fill whole nodes"
    if need > shared:
        whole = "; resources.spread_workers wants a node of its own for every worker"
    reserved = _reserve(job, sizes).total - there
    hint = f"this needs at least {need + reserved} nodes" + (f" ({reserved} of them reserved)" if reserved else "")
    keys = [f"resources.{SHORT[demand.role]}_nodes" for demand in wanted if demand.nodes is not None]
    if keys:
        hint += f"; with {' and '.join(keys)} set to null their number follows from the workers"
    if need > shared:
        hint += f"; without resources.spread_workers {shared + reserved} are enough"
    key, value = ("resources.spread_workers", True) if shared <= there else ("resources", UNSET)
    return Problem("placement", text + whole, key, value, f"at least {need} nodes for workers", hint)


def _fewest_nodes(job: JobConfig, wanted: Sequence[Demand], spread: bool) -> int:
    pools = [[demand] for demand in wanted] if job.resources.het_jobs else [wanted]
    return sum(nodes_needed(pool, gpus_per_node(job), spread=spread) for pool in pools)


def _idle_nodes(topology: Topology) -> list[Problem]:
    idle = [index for index in topology.worker_slots if "worker" not in topology.slots[index].serves]
    if not idle:
        return []
    text = f"{len(idle)} of {len(topology.worker_slots)} nodes for workers get no worker: their GPUs stay idle"
    return [Problem("idle-nodes", text, "resources", severity=Severity.WARNING)]
