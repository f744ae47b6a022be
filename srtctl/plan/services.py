"""etcd and NATS: the services that Dynamo's discovery needs. Their data lives as long as the run, on a local disk."""

from __future__ import annotations

from srtctl.plan.model import Probe, Process, RenderedFile
from srtctl.plan.ports import (
    ETCD_CLIENT,
    ETCD_PEER,
    NATS_CLIENT,
    NATS_MONITOR,
    PortBook,
    address,
    host_token,
    port_token,
    scratch_token,
)
from srtctl.plan.programs import Programs
from srtctl.schema import JobConfig

NAMES = ("etcd", "nats")
NATS_FILE = "nats.conf"
NATS_MAX_PAYLOAD_MIB = 64
READY_TIMEOUT_S = 60.0

# A lone member elects itself after a random part of these; its defaults (100 and 1000 ms) cost up to a second.
HEARTBEAT_MS, ELECTION_MS = 20, 100


def services(job: JobConfig, slot: int, programs: Programs, ports: PortBook) -> list[Process]:
    """etcd and NATS on the infrastructure node; they start side by side."""
    return [_etcd(slot, programs, ports), _nats(slot, programs, ports)]


def nats_file(job: JobConfig) -> RenderedFile:
    """What NATS takes from a file only."""
    payload = (job.infra.nats_max_payload_mb or NATS_MAX_PAYLOAD_MIB) * 1024 * 1024
    pending = max(payload, 64 * 1024 * 1024)  # NATS refuses a payload above this limit, whose default is 64 MiB
    return RenderedFile(NATS_FILE, f"max_payload: {payload}\nmax_pending: {pending}\n")


def _etcd(slot: int, programs: Programs, ports: PortBook) -> Process:
    ports.request("etcd/client", slot, ETCD_CLIENT)
    ports.request("etcd/peer", slot, ETCD_PEER)
    client, peer = (f"http://{address(slot, f'etcd/{name}')}" for name in ("client", "peer"))
    argv = [programs.path("etcd"), "--name", "srtctl", "--data-dir", f"{scratch_token(slot)}/etcd"]
    argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
    argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"srtctl={peer}"]
    argv += ["--heartbeat-interval", str(HEARTBEAT_MS), "--election-timeout", str(ELECTION_MS)]
    argv += ["--log-level", "warn"]
    if _at_least(programs.versions.get("etcd", ""), (3, 5)):
        argv.append("--unsafe-no-fsync")  # unknown before 3.5; the data dies with the run anyway
    probe = Probe("http", address(slot, "etcd/client"), "/health", expect_json={"health": "true"})
    return _service("etcd", slot, argv, probe)


def _nats(slot: int, programs: Programs, ports: PortBook) -> Process:
    ports.request("nats/client", slot, NATS_CLIENT)
    ports.request("nats/monitor", slot, NATS_MONITOR)
    argv = [programs.path("nats_server"), "-c", NATS_FILE, "-n", "srtctl", "-a", host_token(slot)]
    argv += ["-p", port_token("nats/client"), "-m", port_token("nats/monitor")]
    argv += ["-js", "-sd", f"{scratch_token(slot)}/nats"]
    probe = Probe("http", address(slot, "nats/monitor"), "/healthz", expect_json={"status": "ok"})
    return _service("nats", slot, argv, probe)


def _service(name: str, slot: int, argv: list[str], probe: Probe) -> Process:
    return Process(name, name, slot, tuple(argv), probe=probe, ready_timeout_s=READY_TIMEOUT_S, container=False)


def _at_least(version: str, wanted: tuple[int, ...]) -> bool:
    """False also for an unknown version."""
    parts = version.split(".")[: len(wanted)]
    return all(part.isdigit() for part in parts) and tuple(int(part) for part in parts) >= wanted
