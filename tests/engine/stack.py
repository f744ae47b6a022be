"""Jobs whose workers are the real SGLang, small enough for two cores and no GPU."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The same place for everyone who wants the real engine; `make test-engine` makes it.
ENVIRONMENT = Path(os.environ.get("ENGINE_ENV") or ROOT / ".venv/tools/sglang-0.5.23-cpu")

READY_S = 600  # two engines at once import for a minute on two idle cores; this machine may not be idle
MEASUREMENTS = [1, 2]  # concurrencies; twice as many requests each
PROMPT_TOKENS, ANSWER_TOKENS = 32, 8

JOB = """
name: {name}
cluster:
  name: {name}
  executor: {executor}
  gpus_per_node: 8
  simulated_gpus: {simulated}
  nodes_share_host: {simulated}
  tools: {{sglang_python: {python}}}
model: {{name: tiny, path: {model}}}
resources: {resources}
backend:
  type: sglang
  version: 0.5.23
  sglang_config:
    common:
      device: cpu
      attention-backend: torch_native
      sampling-backend: pytorch
      disable-overlap-schedule: true
      mem-fraction-static: 0.1
      max-total-tokens: 4096
      context-length: 2048
      max-running-requests: 8
    aggregated: {flags}
    prefill: {{disaggregation-transfer-backend: mooncake}}
    decode:
      disaggregation-transfer-backend: mooncake
      disaggregation-decode-retraction-backup: cpu_tensor   # the default keeps pages in memory that CUDA has pinned
frontend: {{type: {frontend}, count: {frontends}}}
environment:
  SGLANG_USE_CPU_ENGINE: "1"
  SGLANG_CPU_OMP_THREADS_BIND: "{cores}"
  OMP_NUM_THREADS: "1"
  MC_FORCE_TCP: "1"
health_check: {{max_attempts: {ready_s}, interval_seconds: 1}}
benchmark:
  type: sa-bench
  isl: {isl}
  osl: {osl}
  concurrencies: {concurrencies}
  num_prompts_mult: 2
  num_warmup_mult: 0
  random_range_ratio: 1
"""

AGGREGATED = "{agg_nodes: 1, agg_workers: 1, gpus_per_agg: 1}"
SPANNING = "{gpus_per_node: 1, agg_nodes: 2, agg_workers: 1, gpus_per_agg: 2}"
PAIR = """{prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 1,
            decode_nodes: %d, decode_workers: 1, gpus_per_decode: 1}"""


def job(model: Path, frontend: str, shape: str, *, slurm: bool = False, flags: str = "") -> str:
    """A recipe.

    Args:
        frontend: `dynamo` (two of them, behind nginx) or `sglang-router` (one).
        shape: `pd`, `agg`, or `span`, which is one worker of two ranks on two nodes; the workers of a pair have a node
            each on a cluster, and share one here.
        flags: More flags of aggregated workers: `{name: value}` without the braces.
    """
    resources = {"agg": AGGREGATED, "span": SPANNING, "pd": PAIR % int(slurm)}[shape]
    return JOB.format(
        name=f"{frontend}-{shape}",
        executor="slurm" if slurm else "local",
        simulated="false" if slurm else "true",
        python=ENVIRONMENT / "bin/python",
        model=model,
        resources=resources,
        flags="{%s}" % (flags or "tp-size: 2" * (shape == "span")),
        cores="0|1" if shape == "span" else "0-1",  # of each rank
        frontend=frontend,
        frontends=2 if frontend == "dynamo" else 1,
        ready_s=READY_S,
        isl=PROMPT_TOKENS,
        osl=ANSWER_TOKENS,
        concurrencies=MEASUREMENTS,
    )


def servers(frontend: str, shape: str) -> set[str]:
    """Names of all processes that such a job has, the client aside."""
    workers = {
        "agg": {"aggregated0"},
        "span": {"aggregated0", "aggregated0-rank1"},
        "pd": {"prefill0", "decode0"},
    }[shape]
    dynamo = {"etcd", "nats", "nginx", "frontend0", "frontend1"}
    return workers | (dynamo if frontend == "dynamo" else {"frontend0"})
