"""How the ranks of an SGLang worker find each other and their partners: what of a command follows from places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from srtctl.plan.model import Worker
from srtctl.plan.ports import BOOTSTRAP, DIST_INIT, PortBook, address, port_token

# Ports that an engine counts up from its rendezvous port: up to 6 for its own queues, the 13th for the handshake of its
# nodes, and in some releases one for each data-parallel rank.
DIST_INIT_SPAN = 14


def data_parallel(flags: Mapping[str, Any]) -> tuple[int, int]:
    """Replicas of the model in one worker, and attention ranks inside one model; what is no number counts as 1.

    `enable-dp-attention` makes attention ranks of `dp-size`, which counts replicas otherwise.
    """
    sizes = {name: str(flags.get(name, 1)) for name in ("dp-size", "attn-dp-size")}
    dp, attention = (max(1, int(size)) if size.isdecimal() else 1 for size in sizes.values())
    if attention == 1 and flags.get("enable-dp-attention") is True:
        return 1, dp
    return (1, attention) if attention > 1 else (dp, 1)


def disaggregation(worker: Worker, rank: int, ports: PortBook) -> list[str]:
    if worker.role == "aggregated":
        return []
    argv = ["--disaggregation-mode", worker.role]
    if worker.role == "prefill":
        name = f"{worker.name}/bootstrap"  # one for all ranks: the server that listens there is the leader's
        token = port_token(name) if rank else ports.request(name, worker.ranks[0].slot, BOOTSTRAP)
        argv += ["--disaggregation-bootstrap-port", token]
    return argv


def rendezvous(worker: Worker, rank: int, ports: PortBook, attention_ranks: int) -> list[str]:
    """Where a worker's ranks meet. Attention ranks use these ports on one node too: unsaid, SGLang takes some near its
    HTTP port, and another worker of that node may have been given them."""
    nodes = len(worker.ranks)
    if nodes == 1 and attention_ranks == 1:
        return []
    leader, name = worker.ranks[0].slot, f"{worker.name}/dist-init"
    if rank == 0:
        ports.request(name, leader, DIST_INIT, count=DIST_INIT_SPAN + attention_ranks)
    argv = ["--dist-init-addr", address(leader, name)]
    return argv if nodes == 1 else [*argv, "--nnodes", str(nodes), "--node-rank", str(rank)]
