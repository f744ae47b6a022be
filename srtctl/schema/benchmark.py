"""What every benchmark has; each type adds its own keys in `srtctl/benchmarks/<type>.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from srtctl.schema.fields import key


@dataclass
class BenchmarkConfig:
    type: str = key("manual", "Which benchmark runs against the servers; one of the registered types.")
    client_placement: str = key(
        "head",
        "Where the client runs: on the first node, or beside the last decode worker.",
        allowed=("head", "last_decode"),
    )
    client_dedicated_node: bool = key(False, "Reserve a node of its own for the client, the last one.")
    colocate_with_frontend: bool = key(
        True, "With a dedicated client node and a dedicated frontend node: use one node for both."
    )
    timeout_s: Optional[float] = key(None, "Longest time one measurement may take.", unit="s", minimum=1)
