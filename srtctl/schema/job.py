"""A whole job: what Hydra composes, what a recipe writes, what an override changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.cluster import ClusterConfig
from srtctl.schema.fields import MISSING, key
from srtctl.schema.serving import (
    BackendConfig,
    DynamoConfig,
    FrontendConfig,
    HealthCheckConfig,
    InfraConfig,
    ModelConfig,
    ProfilingConfig,
    ResourcesConfig,
)
from srtctl.schema.submission import LauncherConfig, SlurmConfig


@dataclass
class JobConfig:
    name: str = key(MISSING, "Name of the job; the directory under the output directory.", transient=True)
    model: ModelConfig = key(ModelConfig, "What is served.")
    resources: ResourcesConfig = key(ResourcesConfig, "Workers, GPUs and nodes.")
    backend: BackendConfig = key(BackendConfig, "The engine in the workers.")
    frontend: FrontendConfig = key(FrontendConfig, "Where traffic enters.")
    dynamo: DynamoConfig = key(DynamoConfig, "The Dynamo runtime.")
    infra: InfraConfig = key(InfraConfig, "etcd and NATS.")
    benchmark: BenchmarkConfig = key(BenchmarkConfig, "What is measured.")
    profiling: ProfilingConfig = key(ProfilingConfig, "Profilers.")
    health_check: HealthCheckConfig = key(HealthCheckConfig, "How long servers may take to become ready.")
    cluster: ClusterConfig = key(ClusterConfig, "The site.")
    slurm: SlurmConfig = key(SlurmConfig, "Queue settings.", transient=True)
    launcher: LauncherConfig = key(LauncherConfig, "Submission settings.", transient=True)
    environment: Dict[str, str] = key(
        {}, "Variables of every worker and frontend; `{node}` is the node's name, `{node_id}` its number in the plan."
    )
    pass_environment: List[str] = key(
        [], "Names of variables whose values come from your shell and are written nowhere."
    )
    container_mounts: Dict[str, str] = key({}, "Host path -> container path.")
    extra_mount: List[str] = key([], "More mounts, as host:container.")
    sbatch_directives: Dict[str, Any] = key({}, "Further sbatch options; null for one without a value.", transient=True)
    srun_options: Dict[str, Any] = key({}, "Further srun options of every step.", transient=True)
    setup_script: Optional[str] = key(None, "Script that runs before every worker, in its place.")
    tags: List[str] = key([], "Words to find the run by.", transient=True)
    sweep: Dict[str, Any] = key({}, "Values of this point's sweep parameters.", transient=True)
