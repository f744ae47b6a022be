"""Jobs to start from, as plain dicts, and a way to change one key of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from srtctl.errors import Problem
from srtctl.validate import SiteFacts, check_config

ERROR, WARNING, NOTE = "error", "warning", "note"
PREFILL, DECODE = "backend.sglang_config.prefill", "backend.sglang_config.decode"

Row = tuple[Mapping[str, Any], dict[str, Any], set[tuple[str, str, str]]]
"""A good job, what is changed in it, and (rule, severity, key) of everything that is then found."""

GONE = object()
"""Takes a key out."""

MOCKER: dict[str, Any] = {
    "name": "demo",
    "model": {"path": "builtin:tiny"},
    "backend": {"type": "mocker"},
    "frontend": {"type": "dynamo"},
    "resources": {"prefill_workers": 1, "decode_workers": 2, "gpus_per_prefill": 2, "gpus_per_decode": 1},
    "benchmark": {"type": "sa-bench", "isl": 1024, "osl": 128, "concurrencies": [4, 8]},
    "cluster": {"name": "local", "executor": "local", "gpus_per_node": 8, "simulated_gpus": True},
}

SGLANG: dict[str, Any] = {
    "name": "dsr1",
    "model": {"path": "dsr1", "container": "sglang", "experts": 256},
    "backend": {
        "type": "sglang",
        "version": "0.5.21",  # the last that doesn't call enable-dp-attention deprecated
        "sglang_config": {
            "prefill": {"tp-size": 8, "disaggregation-transfer-backend": "nixl", "kv-cache-dtype": "fp8_e4m3"},
            "decode": {"tp-size": 16, "dp-size": 16, "ep-size": 16, "enable-dp-attention": True,
                       "disaggregation-transfer-backend": "nixl", "kv-cache-dtype": "fp8_e4m3",
                       "max-running-requests": 512, "context-length": 2200},
        },
    },
    "resources": {"prefill_nodes": 2, "prefill_workers": 2, "decode_nodes": 2, "decode_workers": 1},
    "benchmark": {"type": "sa-bench", "isl": 1024, "osl": 1024, "concurrencies": [64, 256]},
    "cluster": {
        "name": "h100x8",
        "executor": "slurm",
        "gpus_per_node": 8,
        "gpu_type": "h100",
        "container_runtime": "pyxis",
        "model_paths": {"dsr1": "/models/DeepSeek-R1", "qwen3-32b": "/models/Qwen3-32B"},
        "containers": {"sglang": "/images/sglang.sqsh"},
    },
}  # fmt: skip

AGGREGATED: dict[str, Any] = {
    **SGLANG,
    "backend": {"type": "sglang", "version": "0.5.21", "sglang_config": {"aggregated": {"tp-size": 8}}},
    "resources": {"agg_nodes": 2, "agg_workers": 2},
}

FACTS = SiteFacts(
    paths={"/models/DeepSeek-R1": True, "/images/sglang.sqsh": True},
    environment=frozenset({"HF_TOKEN"}),
    open_files_limit=20000,
)


def changed(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `base` with the values of dotted keys replaced."""
    config: dict[str, Any] = copy.deepcopy(dict(base))
    for key, value in changes.items():
        *nodes, last = key.split(".")
        inner = config
        for node in nodes:
            inner = inner.setdefault(node, {})
        if value is GONE:
            inner.pop(last, None)
        else:
            inner[last] = value
    return config


def findings(base: Mapping[str, Any], changes: Mapping[str, Any], facts: SiteFacts = FACTS) -> list[Problem]:
    """What is found in the changed job."""
    return check_config(changed(base, changes), facts=facts)


def rows(problems: list[Problem]) -> set[tuple[str, str, str]]:
    """(rule, severity, key) of each."""
    return {(p.rule, p.severity.value, p.key) for p in problems}
