"""How a job is handed over: the queue's settings and the launcher's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from srtctl.schema.fields import key


@dataclass
class DecodeNodesConfig:
    """What the second component of a heterogeneous job asks for where it differs from the first."""

    account: Optional[str] = key(None, "Account to charge for decode nodes.", transient=True)
    partition: Optional[str] = key(None, "Partition of decode nodes.", transient=True)
    qos: Optional[str] = key(None, "Quality of service of decode nodes.", transient=True)
    reservation: Optional[str] = key(None, "Reservation of decode nodes.", transient=True)
    constraint: Optional[str] = key(None, "Features of decode nodes.", transient=True)
    nodelist: Optional[str] = key(None, "Decode nodes to use.", transient=True)
    exclude: Optional[str] = key(None, "Decode nodes to avoid.", transient=True)
    mem: Optional[str] = key(None, "Memory of each decode node.", transient=True)
    gres: Optional[str] = key(None, "Generic resources of decode nodes, instead of --gpus-per-node.", transient=True)


@dataclass
class SlurmConfig:
    """Queue settings; none of them changes what is measured."""

    account: Optional[str] = key(None, "Account to charge; default: the cluster's.", transient=True)
    partition: Optional[str] = key(None, "Partition to ask; default: the cluster's.", transient=True)
    qos: Optional[str] = key(None, "Quality of service.", transient=True)
    time_limit: Optional[str] = key(None, "Per point: minutes, MM:SS, HH:MM:SS or D-HH:MM:SS.", transient=True)
    reservation: Optional[str] = key(None, "Reservation to run in.", transient=True)
    constraint: Optional[str] = key(None, "Node features to ask for.", transient=True)
    nodelist: Optional[str] = key(None, "Nodes to use.", transient=True)
    exclude: Optional[str] = key(None, "Nodes to avoid.", transient=True)
    dependency: Optional[str] = key(None, "Jobs to wait for.", transient=True)
    mem: Optional[str] = key(None, "Memory per node; default: all of it.", transient=True)
    gres: Optional[str] = key(None, "Generic resources, instead of --gpus-per-node.", transient=True)
    exclusive: Optional[bool] = key(None, "Ask for whole nodes; default: as the cluster says.", transient=True)
    segment: Optional[int] = key(None, "Nodes of one block.", transient=True, minimum=1)
    comment: Optional[str] = key(None, "Comment of the job.", transient=True)
    mail_user: Optional[str] = key(None, "Whom to write to.", transient=True)
    mail_type: List[str] = key([], "When to write.", transient=True)
    decode: DecodeNodesConfig = key(
        DecodeNodesConfig, "Decode nodes, with `resources.het_jobs`, where they differ.", transient=True
    )


@dataclass
class LauncherConfig:
    wait: bool = key(False, "Stay until the results are there, with live progress.", transient=True)
    share_deployment: bool = key(
        True, "Run points that differ only in the workload on the same servers.", transient=True
    )
    max_points_per_allocation: Optional[int] = key(None, "Most points that share servers.", transient=True, minimum=1)
    max_in_flight: Optional[int] = key(
        None, "Most allocations at one time; local default: 1.", transient=True, minimum=1
    )
    metric: str = key("total_tok_s_per_gpu", "Column that an optimising sweeper gets back.", transient=True)
