"""A real Slurm cluster of several nodes on this machine, for tests and for trying srtctl by hand."""

from __future__ import annotations

from .cluster import Cluster
from .node import Leftovers, Node
from .packages import UnavailableError, why_unavailable
from .processes import Process
from .spec import Partition, Spec

__all__ = ["Cluster", "Leftovers", "Node", "Partition", "Process", "Spec", "UnavailableError", "why_unavailable"]
