"""The variables of processes: what each release of Dynamo needs to be found, and who may overrule what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from srtctl.errors import Problem, Severity
from srtctl.plan.ports import address, host_token, interface_token, node_token
from srtctl.schema import JobConfig

# Placement decides these; a value from outside would break the run or lead it elsewhere.
OWNED = (
    "ETCD_ENDPOINTS", "NATS_SERVER", "DYN_DISCOVERY_BACKEND", "DYN_SYSTEM_PORT", "DYN_SYSTEM_HOST",
    "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip


def base() -> dict[str, str]:
    """Variables of every worker and frontend."""
    # The model is a directory by now: a missing file is an error there, never a reason to ask the hub.
    return {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


def dynamo(job: JobConfig, slot: int, infra_slot: int) -> dict[str, str]:
    """Variables of every process that takes part in Dynamo's discovery."""
    host = host_token(slot)
    env = {
        "ETCD_ENDPOINTS": f"http://{address(infra_slot, 'etcd/client')}",
        "NATS_SERVER": f"nats://{address(infra_slot, 'nats/client')}",
        "ETCD_LEASE_TTL": str(job.dynamo.lease_ttl_s),
        "DYN_DISCOVERY_BACKEND": "etcd",
        "DYN_EVENT_PLANE": job.dynamo.event_plane,
        "DYN_LOG": "info",
        "DYN_SDK_DISABLE_ANSI_LOGGING": "1",
        # Without these, addresses of the default route are advertised, whatever interface the site wants.
        "DYN_TCP_RPC_HOST": host,
        "DYN_HTTP_RPC_HOST": host,
        "DYN_EVENT_PLANE_HOST": host,
        # Releases up to 1.4 take only the name of an interface here; later ones take both.
        "DYN_TCP_RESPONSE_STREAM_HOST": interface_token(slot),
    }
    if job.dynamo.request_plane:
        env["DYN_REQUEST_PLANE"] = job.dynamo.request_plane
    return env


def dynamo_worker(slot: int, system_port: str) -> dict[str, str]:
    """Further variables of a Dynamo worker; `system_port` is a token.

    The system port is more than a probe's address: through it a worker of release 1.4 hands tokenizer and
    configuration to the frontends, which otherwise look for the served name on the hub. Its /health stays 503 for
    ever unless it is told which endpoint counts. Told to end, it leaves discovery and then waits 5 s for requests
    that are on their way; when we tell it, nobody sends any, and etcd would be gone before it is through.
    """
    return {
        "DYN_SYSTEM_PORT": system_port,
        "DYN_SYSTEM_HOST": host_token(slot),
        "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
        "DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS": "0",
    }


def visible_gpus(gpus: Sequence[int], gpus_of_node: int) -> dict[str, str]:
    """Only for a part of a node: a worker that has the whole node sees all of it anyway."""
    return {} if len(gpus) >= gpus_of_node else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}


def merge(ours: Mapping[str, str], *theirs: Mapping[str, str]) -> dict[str, str]:
    """Our values under the user's, later ones over earlier ones; what placement decides stays ours."""
    merged = dict(ours)
    for layer in theirs:
        merged.update({name: value for name, value in layer.items() if name not in OWNED})
    return merged


def of_role(job: JobConfig, role: str, slot: int) -> dict[str, str]:
    """The user's variables of a worker role, with `{node}` and `{node_id}` filled in."""
    return filled(getattr(job.backend, f"{role}_environment"), slot)


def filled(values: Mapping[str, str], slot: int) -> dict[str, str]:
    """The user's variables on one node: `{node}` is its name, `{node_id}` its number in the plan."""
    names = {"{node}": node_token(slot), "{node_id}": str(slot)}
    found = {}
    for name, value in values.items():
        text = str(value)
        for placeholder, replacement in names.items():
            text = text.replace(placeholder, replacement)
        found[name] = text
    return found


def environment_problems(job: JobConfig) -> list[Problem]:
    """Variables that are set although placement decides them."""
    places: dict[str, Mapping[str, str]] = {
        "cluster.environment": job.cluster.environment,
        "environment": job.environment,
        "frontend.env": job.frontend.env,
    }
    for role in ("prefill", "decode", "aggregated"):
        places[f"backend.{role}_environment"] = getattr(job.backend, f"{role}_environment")
    return [
        Problem("owned-variable", "placement decides this variable; the value given here is not used", f"{key}.{name}",
                values[name], hint="remove it", severity=Severity.WARNING)
        for key, values in places.items() for name in values if name in OWNED
    ]  # fmt: skip
