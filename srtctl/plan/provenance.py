"""What a plan says about itself: by how many GPUs its figures are divided, and what they were measured with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from srtctl.backends import BACKENDS
from srtctl.plan.model import ROLES, Worker
from srtctl.plan.programs import Programs
from srtctl.schema import JobConfig


def gpu_counts(workers: Sequence[Worker]) -> dict[str, int]:
    """GPUs by role and in all."""
    counts = {role: sum(worker.gpu_count for worker in workers if worker.role == role) for role in ROLES}
    return {**counts, "all": sum(counts.values())}


def provenance(job: JobConfig, programs: Programs, model_path: str, tokenizer_path: str) -> dict[str, Any]:
    """What is known at submission of what a figure will be measured with."""
    return {
        "versions": dict(programs.versions),
        "model_path": model_path,
        "model_revision": job.model.revision,
        "tokenizer_path": tokenizer_path,
        "model_precision": job.model.precision,
        "engine": getattr(job.backend, "engine_type", job.backend.type),
        **BACKENDS[job.backend.type].provenance(job),
        "cluster": job.cluster.name,
        "gpu_type": job.resources.gpu_type or job.cluster.gpu_type,
        "gpus_simulated": not BACKENDS[job.backend.type].engines_use_gpus,
    }
