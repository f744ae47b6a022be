"""What decides a deployment: model, resources, backend, frontend, services, profiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from srtctl.schema.fields import MISSING, key


@dataclass
class RoleFlags:
    """Engine flags by worker role; `common` holds for every role, under the role's own."""

    common: Dict[str, Any] = key({}, "Flags of every worker.")
    prefill: Dict[str, Any] = key({}, "Flags of prefill workers.")
    decode: Dict[str, Any] = key({}, "Flags of decode workers.")
    aggregated: Dict[str, Any] = key({}, "Flags of aggregated workers.")


@dataclass
class ModelConfig:
    name: Optional[str] = key(None, "Short name, used in names and results; default: the last part of the path.")
    path: str = key(MISSING, "Weights and tokenizer: a path, an alias of the cluster, hf:org/name, or builtin:tiny.")
    revision: Optional[str] = key(None, "Branch, tag or commit of a model of the hub; unset: its main branch.")
    container: Optional[str] = key(
        None, "Image that holds the engine: an alias of the cluster, a .sqsh path or a registry URI."
    )
    precision: Optional[str] = key(None, "Weight precision, such as nvfp4, fp8 or bf16; shown in results.")
    served_name: Optional[str] = key(None, "Name that clients ask for; default: `name`, else that of its directory.")
    tokenizer_path: Optional[str] = key(None, "Tokenizer for the client, where it is not in `path`.")
    stage_dir: Optional[str] = key(
        None, "Directory on nodes' own disks to copy the weights to first, once per node; kept."
    )
    experts: Optional[int] = key(None, "Routed experts of a mixture-of-experts model.", minimum=1)
    max_context_length: Optional[int] = key(None, "Longest context the model supports.", unit="tokens", minimum=1)
    weights_gib: Optional[float] = key(None, "Size of the weights in memory.", unit="GiB", minimum=0)
    engine_flags: RoleFlags = key(RoleFlags, "Engine flags that this model needs, under the mode's and the job's own.")


@dataclass
class ResourcesConfig:
    """Workers and nodes. Disaggregated when a prefill or decode number is given, aggregated when an agg one is."""

    gpu_type: Optional[str] = key(None, "GPU model wanted; must agree with the cluster's.")
    gpus_per_node: Optional[int] = key(None, "GPUs used of each node; default: the cluster's.", minimum=0)
    prefill_nodes: Optional[int] = key(None, "Nodes for prefill workers.", minimum=0)
    decode_nodes: Optional[int] = key(None, "Nodes for decode workers; 0: they share the prefill nodes.", minimum=0)
    agg_nodes: Optional[int] = key(None, "Nodes for aggregated workers.", minimum=0)
    prefill_workers: Optional[int] = key(None, "Prefill workers.", minimum=0)
    decode_workers: Optional[int] = key(None, "Decode workers.", minimum=0)
    agg_workers: Optional[int] = key(None, "Aggregated workers.", minimum=0)
    gpus_per_prefill: Optional[int] = key(
        None, "GPUs of one prefill worker; default: its nodes' GPUs over its workers.", minimum=0
    )
    gpus_per_decode: Optional[int] = key(None, "GPUs of one decode worker.", minimum=0)
    gpus_per_agg: Optional[int] = key(None, "GPUs of one aggregated worker.", minimum=0)
    spread_workers: bool = key(False, "Put every worker on a node of its own.")
    het_jobs: bool = key(False, "Ask for prefill and decode nodes as components of a heterogeneous job.")


@dataclass
class BackendConfig:
    """What every backend has; each adds its own keys in `srtctl/backends/<type>.py`."""

    type: str = key("sglang", "Which engine runs in the workers; one of the registered backends.")
    version: Optional[str] = key(
        None, "Release of the engine, such as 0.5.23; unset: the one in the container's name, else the newest known."
    )
    flags: str = key(
        "strict",
        "Flags that this release doesn't have: strict refuses them, translate gives them its own names and says so.",
        allowed=("strict", "translate"),
    )
    prefill_environment: Dict[str, str] = key(
        {}, "Variables of prefill workers; `{node}` is the node's name, `{node_id}` its number in the plan."
    )
    decode_environment: Dict[str, str] = key({}, "Variables of decode workers.")
    aggregated_environment: Dict[str, str] = key({}, "Variables of aggregated workers.")
    # Here and not in one backend alone, so that every shape of the mode group can be tried with mockers.
    sglang_config: RoleFlags = key(RoleFlags, "Flags of SGLang servers, by role; other backends ignore them.")


@dataclass
class FrontendConfig:
    type: str = key("dynamo", "What takes requests and routes them to workers.", allowed=("dynamo", "sglang-router"))
    enable_multiple_frontends: bool = key(True, "Several frontends behind nginx where the plan has several nodes.")
    num_additional_frontends: int = key(
        9, "Most frontends beside the first one, when their number follows the nodes.", minimum=0
    )
    count: Optional[int] = key(None, "Number of frontends; unset: it follows the nodes.", minimum=1)
    dedicated_node: bool = key(False, "Reserve a node of its own for the frontends.")
    orchestrator_placement: str = key(
        "head", "Where nginx (or the only frontend) runs.", allowed=("head", "first_decode")
    )
    args: Dict[str, Any] = key({}, "Further flags of the frontend, such as router-mode.")
    env: Dict[str, str] = key({}, "Variables of the frontends.")
    nginx_container: Optional[str] = key(None, "Image that holds nginx, where it does not come from the tools.")
    nginx_session_affinity: bool = key(False, "Send the requests of one session to the same frontend.")
    nginx_session_affinity_header: str = key("X-Dynamo-Session-ID", "Header that names the session.")
    nginx_keepalive_timeout: str = key("3600s", "How long nginx keeps an idle client connection.")


@dataclass
class DynamoConfig:
    version: Optional[str] = key(None, "Release of ai-dynamo; unset: the newest that is installed.")
    install: bool = key(False, "Install Dynamo into the container first, once per node.")
    wheel: Optional[str] = key(None, "Wheel to install instead of a release.")
    request_plane: Optional[str] = key(
        None, "How requests reach workers; unset: the release's own choice.", allowed=("tcp", "nats", "http")
    )
    event_plane: str = key("nats", "How workers' events travel.", allowed=("nats", "zmq"))
    lease_ttl_s: int = key(10, "How long etcd keeps a worker that went silent.", unit="s", minimum=1)


@dataclass
class HealthCheckConfig:
    """Deadline for the servers to become ready: max_attempts x interval_seconds."""

    max_attempts: int = key(180, "Length of the wait, in intervals.", minimum=1)
    interval_seconds: float = key(
        10, "Length of one interval; the servers are looked at far more often.", unit="s", minimum=0.1
    )


@dataclass
class InfraConfig:
    etcd_nats_dedicated_node: bool = key(False, "Reserve a node of its own for etcd and NATS, the first one.")
    nats_max_payload_mb: Optional[int] = key(None, "Largest NATS message; unset: 64.", unit="MiB", minimum=1)


@dataclass
class ProfilingPhase:
    start_step: Optional[int] = key(None, "First engine step that is recorded.", minimum=0)
    stop_step: Optional[int] = key(None, "Step at which recording ends.", minimum=0)


@dataclass
class ProfilingConfig:
    type: str = key("none", "Profiler of the workers.", allowed=("none", "torch", "nsys", "nsys-time"))
    prefill: Optional[ProfilingPhase] = key(None, "Steps to record on prefill workers.")
    decode: Optional[ProfilingPhase] = key(None, "Steps to record on decode workers.")
    aggregated: Optional[ProfilingPhase] = key(None, "Steps to record on aggregated workers.")
    extra_nsys_args: List[str] = key([], "Further arguments of nsys profile.")
    delay_secs: Optional[float] = key(None, "nsys-time: wait before recording.", unit="s", minimum=0)
    duration_secs: Optional[float] = key(None, "nsys-time: length of the recording.", unit="s", minimum=0)
