"""Which number each port would like to have: the ones that users know, made unique on every host.

These are requests. The numbers are fixed when the run begins, by trying them on the nodes.
"""

from __future__ import annotations

from collections.abc import Container

from srtctl.plan.model import PortRequest

PUBLIC = 8000
FRONTEND = 8180
ROUTER_METRICS = 29000
ETCD_CLIENT, ETCD_PEER = 2379, 2380
NATS_CLIENT, NATS_MONITOR = 4222, 8222
WORKER_HTTP, WORKER_HTTP_STRIDE = 6100, 32
BOOTSTRAP = 7200
KV_EVENTS = 5200
SYSTEM, SYSTEM_MAX = 7500, 32767  # Dynamo keeps its system port in a signed 16-bit number
NCCL = 17500
DIST_INIT = 8300


class PortBook:
    """Gives out preferred numbers, none of them twice on one host.

    Args:
        one_host: All slots are the same machine, so that a number is used once in the whole plan.
    """

    def __init__(self, *, one_host: bool = False):
        self._one_host = one_host
        self._taken: dict[int, set[int]] = {}
        self.requests: list[PortRequest] = []

    def request(
        self, name: str, slot: int, preferred: int, *, stride: int = 1, count: int = 1, max_port: int = 65535
    ) -> str:
        """Ask for `count` consecutive ports on a slot, from `preferred` up in steps of `stride`; returns the token."""
        taken = self._taken.setdefault(0 if self._one_host else slot, set())
        number = preferred
        while not taken.isdisjoint(range(number, number + count)):
            number += stride
        if number + count - 1 > max_port:
            number = max_port - count + 1  # the binder finds another one: this is only a wish
        taken.update(range(number, number + count))
        self.requests.append(PortRequest(name, slot, number, max_port, count))
        return port_token(name)


def port_token(name: str) -> str:
    return f"@port:{name}@"


def answers_on(worker: str, ports: Container[str]) -> str:
    """Name of the port where a worker answers HTTP: Dynamo's have their system port and no other."""
    system = f"{worker}/system"
    return system if system in ports else f"{worker}/http"


def host_token(slot: int) -> str:
    return f"@host:slot{slot}@"


def node_token(slot: int) -> str:
    return f"@node:slot{slot}@"


def interface_token(slot: int) -> str:
    return f"@iface:slot{slot}@"


def scratch_token(slot: int) -> str:
    return f"@scratch:slot{slot}@"


def address(slot: int, port_name: str) -> str:
    """`host:port`, both as tokens."""
    return f"{host_token(slot)}:{port_token(port_name)}"
