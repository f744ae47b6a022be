"""The shape of a job: one dataclass per part, with the type, unit and meaning of every key.

Plain dataclasses of the standard library, read by Hydra as structured configs, by `validate` and `plan` as typed
values, and by the documentation generator. Values that a choice brings live in `conf/`; a default given here holds
where no group says otherwise.
"""

from __future__ import annotations

from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.cluster import ClusterConfig, ToolsConfig
from srtctl.schema.fields import MISSING, key
from srtctl.schema.job import JobConfig
from srtctl.schema.serving import (
    BackendConfig,
    DynamoConfig,
    FrontendConfig,
    HealthCheckConfig,
    InfraConfig,
    ModelConfig,
    ProfilingConfig,
    ProfilingPhase,
    ResourcesConfig,
    RoleFlags,
)
from srtctl.schema.submission import DecodeNodesConfig, LauncherConfig, SlurmConfig

__all__ = [
    "MISSING",
    "BackendConfig",
    "BenchmarkConfig",
    "ClusterConfig",
    "DecodeNodesConfig",
    "DynamoConfig",
    "FrontendConfig",
    "HealthCheckConfig",
    "InfraConfig",
    "JobConfig",
    "LauncherConfig",
    "ModelConfig",
    "ProfilingConfig",
    "ProfilingPhase",
    "ResourcesConfig",
    "RoleFlags",
    "SlurmConfig",
    "ToolsConfig",
    "key",
]
