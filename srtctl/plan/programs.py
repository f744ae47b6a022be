"""The programs from outside that a plan may call, as found by `srtctl.tools`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from srtctl.errors import SrtctlError

if TYPE_CHECKING:
    from srtctl.schema import JobConfig

NAMES = ("etcd", "nats_server", "nginx", "dynamo_python", "sglang_python", "aiperf", "lm_eval", "nsys")


@dataclass(frozen=True)
class Programs:
    """Where programs are, and their releases.

    Attributes:
        paths: Name (one of `NAMES`) -> absolute path; a missing name was not found.
        versions: Name -> release, such as `1.6.1`; a missing name is not known from here.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """The program's path, or its bare name where it was not found (the checks have said so)."""
        return self.paths.get(name, name.replace("_", "-"))


def needed(job: JobConfig) -> tuple[str, ...]:
    """Names of the programs that a job starts on the bare nodes; what containers bring is not among them."""
    inside = job.cluster.container_runtime != "none"
    dynamo = job.frontend.type == "dynamo"
    names = []
    if dynamo:
        names += ["etcd", "nats_server"]
    if not (inside and job.frontend.nginx_container) and _has_nginx(job):
        names.append("nginx")
    if not inside:
        names += _engine_programs(job, dynamo)
        names += ["nsys"] if job.profiling.type.startswith("nsys") else []
    names += _client_programs(job, inside)
    return tuple(dict.fromkeys(names))


def _client_programs(job: JobConfig, inside: bool) -> list[str]:
    """What the benchmark's client is; SGLang's own comes with the engine's image."""
    from srtctl.benchmarks import BENCHMARKS

    names = list(getattr(BENCHMARKS.get(job.benchmark.type), "programs", ()))
    client = getattr(job.benchmark, "client", None)
    names += {"aiperf": ["aiperf"], "sglang-bench": ["sglang_python"]}.get(str(client), [])
    return [name for name in names if not (inside and name == "sglang_python")]


def _has_nginx(job: JobConfig) -> bool:
    """Whether several frontends share one entrance; a job that can't be placed has other problems."""
    from srtctl.plan.topology import place

    try:
        return place(job).nginx is not None
    except SrtctlError:
        return False


def _engine_programs(job: JobConfig, dynamo: bool) -> list[str]:
    """The interpreters that run workers and frontends."""
    installed = job.dynamo.install  # by the job, over the engine's environment
    names = ["dynamo_python"] if (dynamo or job.backend.type == "mocker") and not installed else []
    return [*names, "sglang_python"] if job.backend.type == "sglang" else names
