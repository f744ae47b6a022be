"""The ready-made options of conf/, composed quickly: a mode's file is laid over a job that was composed once."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from srtctl import compose
from srtctl.composition.registration import conf_directory
from srtctl.plan.build import build_plan
from srtctl.plan.model import Plan
from srtctl.plan.programs import Programs
from srtctl.schema import JobConfig
from srtctl.validate.types import build_job

CONF = conf_directory()
PROGRAMS = Programs(
    {name: f"/opt/{name}" for name in ("etcd", "nats_server", "nginx", "aiperf", "dynamo_python", "sglang_python")},
    {"etcd": "3.5.1"},
)
RUN = re.compile(r"^# Run: srtctl apply (.*\n(?:# (?![A-Z][a-z]+: ).*\n)*)", re.MULTILINE)
SIMPLE = ("tiny", "local")
NEEDS = {
    ("moe-a2a-backend", "megamoe"): "0.5.12",
    ("load-balance-method", "total_requests"): "0.5.8",
    ("fp4-gemm-backend", "flashinfer_cutlass"): "0.5.8",
    ("fp4-gemm-backend", "flashinfer_trtllm"): "0.5.8",
}
"""What a published shape says that no older release can do, and the first that can."""
NEEDED: dict[str, dict[str, Any]] = {
    "custom": {"command": "true"},
    **{name: {"trace_file": "/data/trace.jsonl"} for name in ("trace-replay", "mooncake-router")},
    **{name: {"dataset_path": "/data/questions"} for name in ("mmlu", "gpqa", "gsm8k", "longbenchv2")},
    "lm-eval": {"tasks": ["gsm8k"], "hf_home": "/data/huggingface"},
}
"""What an option of the benchmark group leaves to its user."""


def options(group: str) -> list[str]:
    """Names of all options of a group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def mode_file(mode: str) -> Path:
    return CONF / "mode" / f"{mode}.yaml"


def command_of(mode: str) -> list[str]:
    """The words after `srtctl apply` that run a mode, as its file says them; empty where it says none."""
    found = RUN.search(mode_file(mode).read_text())
    return found[1].replace("\n# ", " ").split() if found else []


def made_for(mode: str) -> tuple[str, str]:
    """Model and cluster that a mode is made for."""
    said = dict(word.split("=", 1) for word in command_of(mode))
    return (said["model"], said["cluster"]) if said else SIMPLE


def published() -> list[str]:
    """The modes that say where they come from."""
    return [mode for mode in options("mode") if "# Source: " in mode_file(mode).read_text()]


def words(model: str, cluster: str) -> list[str]:
    """Arguments for a job on a cluster where the model lies under /models."""
    chosen = ["backend=sglang", f"model={model}", f"cluster={cluster}"]
    return chosen if model == "tiny" else [*chosen, f"model.path=/models/{model}"]


@cache
def _base(model: str, cluster: str) -> dict[str, Any]:
    (point,) = compose.points([*words(model, cluster), "mode=agg", "benchmark=manual"])
    config = copy.deepcopy(dict(point.config))
    config["resources"] |= dict.fromkeys(("agg_nodes", "agg_workers", "gpus_per_agg"))
    return config


def config_of(mode: str) -> dict[str, Any]:
    """The whole config of a mode with the model and the cluster that it is made for."""
    config = copy.deepcopy(_base(*made_for(mode)))
    _lay(config, yaml.safe_load(mode_file(mode).read_text()))
    return config


def config_for(mode: str, version: str) -> dict[str, Any]:
    """The same on the image of an older release of SGLang, whose flags are translated."""
    config = config_of(mode)
    config["model"]["container"] = f"lmsysorg/sglang:v{version}-cu130"
    config["backend"]["flags"] = "translate"
    return config


def plan_of(config: dict[str, Any]) -> Plan:
    job = job_of(config)
    path = "/models/tiny" if job.model.path.startswith("builtin:") else job.model.path
    return build_plan(job, PROGRAMS, "d0", model_path=path, tokenizer_path=path)


def job_of(config: dict[str, Any]) -> JobConfig:
    job, problems = build_job(config)
    assert not problems, problems
    return job


def _lay(under: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay(under[key], value)
        else:
            under[key] = value
