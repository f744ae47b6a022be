"""The other rules, one row each: a good job, one change, and exactly what is found."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.validate import SiteFacts
from tests.validate.jobs import AGGREGATED, ERROR, MOCKER, NOTE, SGLANG, WARNING, Row, findings, rows

SHARED_CACHE = {"environment": {"HF_HOME": "/hf"}, "cluster.default_mounts": {"/shared/hf": "/hf"}}
REAL_GPUS = {"cluster.executor": "slurm", "cluster.simulated_gpus": False}
ROWS: dict[str, Row] = {
    # names of things
    "unknown backend": (MOCKER, {"backend.type": "mock"}, {("unknown-option", ERROR, "backend.type")}),
    "alias misspelt": (SGLANG, {"model.path": "dsr2"}, {("model-path", ERROR, "model.path")}),
    "hub id without hf:": (SGLANG, {"model.path": "Qwen/Qwen3-32B"}, {("model-path", ERROR, "model.path")}),
    "hub id": (SGLANG, {"model.path": "hf:Qwen/Qwen3-32B", **SHARED_CACHE}, set()),
    "bad hub id": (SGLANG, {"model.path": "hf:Qwen3"}, {("model-path", ERROR, "model.path")}),
    "built-in that is not there": (MOCKER, {"model.path": "builtin:big"}, {("model-path", ERROR, "model.path")}),
    "image alias misspelt": (SGLANG, {"model.container": "sglnag"}, {("container", ERROR, "model.container")}),
    "image in a registry": (SGLANG, {"model.container": "lmsysorg/sglang:v0.5.21"}, set()),
    "no image where every process needs one": (
        SGLANG, {"model.container": None},
        {("container", ERROR, "model.container")}),
    "image where there are no containers": (
        MOCKER, {"model.container": "lmsysorg/sglang:v1"}, {("unused-container", WARNING, "model.container")}),
    "relative staging directory": (SGLANG, {"model.stage_dir": "fast"}, {("model-path", ERROR, "model.stage_dir")}),
    "staging where mounts can't": (
        SGLANG, {"model.stage_dir": "/raid/a,b"}, {("mount", ERROR, "model.stage_dir")}),
    "revision of a directory": (SGLANG, {"model.revision": "v2"}, {("model-revision", ERROR, "model.revision")}),
    "revision of a hub model": (
        SGLANG, {"model.path": "hf:Qwen/Qwen3-32B", "model.revision": "v2", **SHARED_CACHE}, set()),
    "tokenizer that is no path, alias or hub id": (
        SGLANG, {"model.tokenizer_path": "Qwen/Qwen3-32B"}, {("model-path", ERROR, "model.tokenizer_path")}),
    "tokenizer of the hub": (SGLANG, {"model.tokenizer_path": "hf:Qwen/Qwen3-32B"}, set()),
    "tokenizer of a bad hub id": (
        SGLANG, {"model.tokenizer_path": "hf:Qwen3"}, {("model-path", ERROR, "model.tokenizer_path")}),
    "tokenizer by its alias": (SGLANG, {"model.tokenizer_path": "qwen3-32b"}, set()),
    # formats that published recipes name beside the usual ones
    **{f"precision {name}": (SGLANG, {"model.precision": name}, set()) for name in ("mxfp4", "int4", "FP8")},
    "path that mounts can't have": (SGLANG, {"model.path": "/models/a:b"}, {("mount", ERROR, "model.path")}),
    "another GPU": (SGLANG, {"resources.gpu_type": "gb200"}, {("gpu-type", ERROR, "resources.gpu_type")}),
    # 8 x 79.6 = 636.8 GiB: DeepSeek-R1 in FP8 does not fit one node of H100
    "weights larger than a worker's GPUs": (
        SGLANG, {"model.weights_gib": 642, "cluster.gpu_memory_gib": 79.6},
        {("weights", ERROR, "resources.gpus_per_prefill")}),
    "weights without a size": (
        SGLANG, {"model.weights_gib": float("inf"), "cluster.gpu_memory_gib": 79.6},
        {("minimum", ERROR, "model.weights_gib")}),
    "weights that fit": (SGLANG, {"model.weights_gib": 642, "cluster.gpu_memory_gib": 140.4}, set()),
    "weights partly in the host's memory": (
        SGLANG, {"model.weights_gib": 642, "cluster.gpu_memory_gib": 79.6,
                 "backend.sglang_config.prefill.cpu-offload-gb": 20}, set()),
    "weights of a simulated engine": (MOCKER, {"model.weights_gib": 642, "cluster.gpu_memory_gib": 79.6}, set()),
    "real engine, paper GPUs": (
        AGGREGATED, {"cluster.simulated_gpus": True},
        {("simulated-gpus", WARNING, "backend.type")}),
    "a shape of SGLang's, simulated on real GPUs": (
        MOCKER, {**REAL_GPUS, "backend.sglang_config.prefill": {"tp-size": 8}},
        {("simulated-engine", WARNING, "backend.type")}),
    "simulated on real GPUs, which is all it says": (MOCKER, REAL_GPUS, set()),
    "a shape of SGLang's on paper GPUs": (MOCKER, {"backend.sglang_config.prefill": {"tp-size": 8}}, set()),
    # frontends, services, placement of the rest
    "header that would end a line of nginx.conf": (
        MOCKER, {"frontend.nginx_session_affinity_header": "X;}"},
        {("nginx", ERROR, "frontend.nginx_session_affinity_header")}),
    "time that would": (
        MOCKER, {"frontend.nginx_keepalive_timeout": "1h; evil"},
        {("nginx", ERROR, "frontend.nginx_keepalive_timeout")}),
    "router with the mocker": (
        MOCKER, {"frontend.type": "sglang-router"},
        {("frontend-backend", ERROR, "frontend.type")}),
    "a node for unused services": (
        SGLANG, {"frontend.type": "sglang-router", "infra.etcd_nats_dedicated_node": True},
        {("unused-services", WARNING, "infra.etcd_nats_dedicated_node")}),
    "two sources of Dynamo": (
        SGLANG, {"dynamo.version": "1.6.1", "dynamo.wheel": "/w.whl", "dynamo.install": True},
        {("dynamo-source", ERROR, "dynamo.wheel")}),
    "dedicated frontend elsewhere": (
        MOCKER, {"frontend.dedicated_node": True, "frontend.orchestrator_placement": "first_decode"},
        {("placement", ERROR, "frontend.orchestrator_placement")}),
    "beside decode workers that are not there": (
        AGGREGATED, {"benchmark.client_placement": "last_decode"},
        {("placement", ERROR, "benchmark.client_placement")}),
    # profilers
    "phases missing": (
        SGLANG, {"profiling": {"type": "torch", "prefill": {"start_step": 1, "stop_step": 2}}},
        {("profiling-phase", ERROR, "profiling.decode")}),
    "phase of another mode": (
        AGGREGATED, {"profiling": {"type": "nsys", "aggregated": {"stop_step": 3}, "decode": {"start_step": 1}}},
        {("profiling-phase", ERROR, "profiling.decode")}),
    "stops before it starts": (
        AGGREGATED, {"profiling": {"type": "torch", "aggregated": {"start_step": 5, "stop_step": 5}}},
        {("profiling-phase", ERROR, "profiling.aggregated.stop_step")}),
    "no window": (
        AGGREGATED, {"profiling": {"type": "nsys-time", "delay_secs": 3}},
        {("profiling-window", ERROR, "profiling.duration_secs")}),
    "phases for nothing": (
        AGGREGATED, {"profiling": {"type": "none", "aggregated": {"start_step": 5}}},
        {("profiling-phase", WARNING, "profiling.aggregated")}),
    "stops where recording begins": (
        AGGREGATED, {"profiling": {"type": "torch", "aggregated": {"stop_step": 0}}},
        {("profiling-phase", ERROR, "profiling.aggregated.stop_step")}),
    "records to the end": (
        AGGREGATED, {"profiling": {"type": "torch", "aggregated": {"start_step": 5}}},
        {("profiling-phase", WARNING, "profiling.aggregated.stop_step")}),
    "records without an end": (
        AGGREGATED, {"benchmark": {"type": "manual"}, "profiling": {"type": "torch", "aggregated": {"start_step": 5}}},
        {("profiling-phase", ERROR, "profiling.aggregated.stop_step")}),
    "steps by the clock": (
        AGGREGATED, {"profiling": {"type": "nsys-time", "delay_secs": 3, "duration_secs": 4,
                                   "aggregated": {"stop_step": 5}}},
        {("profiling-phase", WARNING, "profiling.aggregated")}),
    "no time at all": (
        AGGREGATED, {"profiling": {"type": "nsys-time", "delay_secs": 3, "duration_secs": 0}},
        {("profiling-window", ERROR, "profiling.duration_secs")}),
    "arguments that undo ours": (
        AGGREGATED, {"profiling": {"type": "nsys", "aggregated": {"stop_step": 5},
                                   "extra_nsys_args": ["--sample=none", "-o", "/tmp/x"]}},
        {("profiling-nsys", ERROR, "profiling.extra_nsys_args")}),
    "arguments for no nsys": (
        AGGREGATED, {"profiling": {"type": "torch", "aggregated": {"stop_step": 5}, "extra_nsys_args": ["--x"]}},
        {("profiling-nsys", WARNING, "profiling.extra_nsys_args")}),
    "nothing to record": (
        MOCKER, {"profiling": {"type": "nsys-time", "delay_secs": 1, "duration_secs": 1}},
        {("profiling-backend", ERROR, "profiling.type")}),
    # variables
    "a secret by its name": (
        MOCKER, {"environment.HF_TOKEN": "abcdef"}, {("secret", ERROR, "environment.HF_TOKEN")}),
    "a secret by its form": (
        MOCKER, {"backend.prefill_environment": {"X": "hf_" + "a" * 34}},
        {("secret", ERROR, "backend.prefill_environment.X")}),
    "a secret in a command": (
        MOCKER, {"benchmark": {"type": "custom", "command": "curl -H sk-" + "a" * 40}},
        {("secret", ERROR, "benchmark.command")}),
    "a secret flag": (
        SGLANG, {"backend.sglang_config.common": {"api-key": "topsecret"}},
        {("secret", ERROR, "backend.sglang_config.common.api-key")}),
    "only sounds like one": (
        MOCKER, {"environment": {"TOKENIZERS_PARALLELISM": "false", "MAX_TOKEN": "12", "KEY_FILE": "/k",
                                 "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK": "512"}}, set()),
    "a variable with a value where a name is wanted": (
        MOCKER, {"pass_environment": ["HF_TOKEN=abc"]}, {("environment-name", ERROR, "pass_environment[0]")}),
    "a variable that is not set": (
        MOCKER, {"pass_environment": ["HF_TOKEN", "OTHER"]}, {("passed-variable", WARNING, "pass_environment[1]")}),
    "a variable that is given twice": (
        MOCKER, {"pass_environment": ["A"], "environment.A": "1"}, {("passed-variable", ERROR, "pass_environment[0]")}),
    "no name of a variable": (
        MOCKER, {"environment": {"MY-VAR": "1"}},
        {("environment-name", ERROR, "environment.MY-VAR")}),
    "a variable that placement decides": (
        MOCKER, {"environment.CUDA_VISIBLE_DEVICES": "0"},
        {("owned-variable", WARNING, "environment.CUDA_VISIBLE_DEVICES")}),
    "one of our marks": (MOCKER, {"environment.A": "@host:slot0@"}, {("reserved-mark", ERROR, "environment.A")}),
    # mounts, queue
    "relative mount": (SGLANG, {"extra_mount": ["data:/data"]}, {("mount", ERROR, "extra_mount[0]")}),
    "mount with an option": (SGLANG, {"extra_mount": ["/data:/data:ro"]}, set()),
    "two mounts, one place": (
        SGLANG, {"container_mounts": {"/a": "/x"}, "extra_mount": ["/b:/x"]}, {("mount", ERROR, "extra_mount[0]")}),
    "mounts without containers": (MOCKER, {"extra_mount": ["/a:/b"]}, {("unused-container", WARNING, "extra_mount")}),
    "directive that is ours": (
        SGLANG, {"sbatch_directives": {"nodes": 4}}, {("slurm-option", ERROR, "sbatch_directives.nodes")}),
    "directive with underscores": (
        SGLANG, {"sbatch_directives": {"cpus_per_task": 4}},
        {("slurm-option", ERROR, "sbatch_directives.cpus_per_task")}),
    "directive that adds a line": (
        SGLANG, {"sbatch_directives": {"mem": "0\n#SBATCH --qos=x"}},
        {("slurm-option", ERROR, "sbatch_directives.mem"), ("text", ERROR, "sbatch_directives.mem")}),
    "directive with a list": (
        SGLANG, {"srun_options": {"cpu-bind": ["none"]}}, {("slurm-option", ERROR, "srun_options.cpu-bind")}),
    "good directives": (SGLANG, {"sbatch_directives": {"mem": "0", "exclusive": None, "cpus-per-task": 144}}, set()),
    "seconds that YAML made": (SGLANG, {"slurm.time_limit": 14400}, {("time-limit", WARNING, "slurm.time_limit")}),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rules(name: str) -> None:
    base, changes, expected = ROWS[name]
    assert rows(findings(base, changes)) == expected


@pytest.mark.parametrize(("executor", "severity"), [("local", ERROR), ("slurm", NOTE)])
@pytest.mark.parametrize(
    ("changes", "path", "key"),
    [
        ({}, "/models/DeepSeek-R1", "model.path"),
        ({}, "/images/sglang.sqsh", "model.container"),
        ({"model.tokenizer_path": "/tok"}, "/tok", "model.tokenizer_path"),
        ({"extra_mount": ["/data:/data"]}, "/data", "extra_mount[0]"),
    ],
)
def test_what_is_missing_here_is_an_error_only_where_it_runs_here(
    executor: str, severity: str, changes: dict[str, Any], path: str, key: str
) -> None:
    facts = SiteFacts(paths={path: False})
    found = findings(SGLANG, {"cluster.executor": executor, **changes}, facts)
    assert rows(found) == {("missing-path", severity, key)}


def test_setup_script_that_cant_be_read() -> None:
    found = findings(MOCKER, {"setup_script": "s.sh"}, SiteFacts(setup_script="No such file or directory"))
    assert rows(found) == {("setup-script", ERROR, "setup_script")}


def test_open_files() -> None:
    changes = {"benchmark.concurrencies": [600], "backend.max_num_seqs": 1000}
    assert rows(findings(MOCKER, changes, SiteFacts(open_files_limit=1024))) == {
        ("open-files", WARNING, "benchmark.concurrencies")
    }
    assert rows(findings(MOCKER, changes, SiteFacts(open_files_limit=1200))) == set()
