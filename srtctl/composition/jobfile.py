"""srt-slurm's job files, key by key: what srtctl makes of each. The one home of this knowledge; docs are made from it.

A plain recipe is read by these rules, so a key is kept, changed into ours, refused by name, or said to have no effect:
none is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Reading(Enum):
    """What becomes of a key."""

    KEPT = "supported"
    CHANGED = "read as"
    NO_EFFECT = "no effect"
    REFUSED = "refused"
    PART = "refused with"


@dataclass(frozen=True)
class FormatKey:
    """One key of the format.

    Attributes:
        reading: What becomes of it.
        text: Kept and changed: what to know. No effect: the reason. Refused: what to do instead.
        off: Refused or without effect: values that ask for nothing, so that nothing is lost without them.
        part_of: Settings of something refused: the key that switches it on.
        types: Of a benchmark key: the types in srt-slurm that use it; empty for all.
    """

    reading: Reading
    text: str = ""
    off: tuple[object, ...] = (None, False)
    part_of: str = ""
    types: tuple[str, ...] = ()


def _kept(names: str, text: str = "") -> dict[str, FormatKey]:
    return dict.fromkeys(names.split(), FormatKey(Reading.KEPT, text))


def _changed(names: str, text: str) -> dict[str, FormatKey]:
    return dict.fromkeys(names.split(), FormatKey(Reading.CHANGED, text))


def _no_effect(names: str, text: str, off: tuple[object, ...] = (None,)) -> dict[str, FormatKey]:
    return dict.fromkeys(names.split(), FormatKey(Reading.NO_EFFECT, text, off))


def _refused(names: str, text: str, off: tuple[object, ...] = (None, False)) -> dict[str, FormatKey]:
    return dict.fromkeys(names.split(), FormatKey(Reading.REFUSED, text, off))


def _part(prefix: str, names: str, switch: str) -> dict[str, FormatKey]:
    entry = FormatKey(Reading.PART, f"a setting of {switch}", part_of=switch)
    return {f"{prefix}.{name}": entry for name in names.split()}


def _bench(names: str, *types: str, text: str = "") -> dict[str, FormatKey]:
    return {f"benchmark.{name}": FormatKey(Reading.KEPT, text, types=types) for name in names.split()}


_ACCURACY = ("mmlu", "gpqa", "gsm8k", "longbenchv2")
_TRTLLM = "a setting of the trtllm backend"
_SOURCES = "give a release in dynamo.version, or a wheel built from that source in dynamo.wheel"
_EMPTY: tuple[object, ...] = (None, False, "", [], {})

_JOB = {
    **_kept("name srun_options sbatch_directives"),
    **_kept("environment", "{node} is the node's name, {node_id} its number in the plan"),
    **_kept("setup_script", "looked for beside the recipe, then in configs/ and configs/patches/ there and above"),
    **_changed(
        "container_mounts extra_mount",
        "$VARIABLE comes from your shell when you submit; {log_dir} and the like are refused",
    ),
    **_kept("sweep", "values keep their types; {parameter} also without quotes; mode: zip works"),
    **_kept("base override_* zip_override_*"),
    **_changed("lock", "taken out: srt-slurm's own record of an earlier run"),
    **_no_effect("enable_config_dump", "the composed job is always written", (None, True)),
    **_no_effect("output.log_dir", "srtctl decides where logs go; -o DIR names the directory of all results"),
}
_MODEL = {
    **_kept("model.path", "an alias of the cluster, a path, or hf:org/name"),
    **_kept("model.container model.precision model.stage_dir"),
}
_RESOURCES = {
    **_kept("resources.gpu_type", "must agree with the cluster's"),
    **_kept("resources.gpus_per_node", "unset: the cluster's (srt-slurm: 4)"),
    **_kept(" ".join(f"resources.{role}_{what}" for what in ("nodes", "workers") for role in
                     ("prefill", "decode", "agg"))),
    **_kept("resources.gpus_per_prefill resources.gpus_per_decode resources.gpus_per_agg",
            "GPUs that a division leaves over are said, and a worker must fill whole nodes or fit into one"),
    **_kept("resources.spread_workers resources.het_jobs"),
    **_kept("slurm.account slurm.partition slurm.time_limit"),
}  # fmt: skip
_BACKEND = {
    **_kept("backend.type", "sglang, mocker; trtllm and vllm are refused"),
    **_kept("backend.prefill_environment backend.decode_environment backend.aggregated_environment",
            "{node} is the node's name, {node_id} its number in the plan"),
    **_kept("backend.sglang_config.prefill backend.sglang_config.decode backend.sglang_config.aggregated",
            "what placement decides (host, port, ranks, addresses) is srtctl's, said once"),
    **_kept("backend.kv_events_config"),
    **_refused("backend.mooncake_kv_store", "run a Mooncake master of your own, and name it to the workers: "
               "backend.prefill_environment.MOONCAKE_MASTER, and the same for the other roles", _EMPTY),
    **_no_effect("backend.gpu_type", "resources.gpu_type says it"),
    **_changed("backend.enable_multiple_frontends", "frontend.enable_multiple_frontends"),
    **_changed("backend.num_additional_frontends", "frontend.num_additional_frontends"),
    **_refused("backend.enable_profiling", "profiling: {type: torch, prefill: {start_step, stop_step}, …}"),
    **_changed("backend.engine_type", "the same; a mocker that names none simulates vllm, as in srt-slurm"),
    **_kept(" ".join(f"backend.{name}" for name in (
        "speedup_ratio", "decode_speedup_ratio", "num_gpu_blocks_override", "max_num_seqs", "max_num_batched_tokens",
        "block_size", "data_parallel_size", "num_workers", "startup_time", "kv_transfer_bandwidth", "kv_cache_dtype",
        "enable_prefix_caching", "enable_chunked_prefill", "preemption_mode", "mocker_config"))),
    **_refused("backend.trtllm_config backend.vllm_config", "srtctl runs sglang and the mocker", _EMPTY),
}  # fmt: skip
_FRONTEND = {
    **_changed("frontend.type", "dynamo; sglang is sglang-router; trtllm_serve and vllm are refused"),
    **_kept("frontend.enable_multiple_frontends frontend.num_additional_frontends"),
    **_kept("frontend.nginx_container frontend.nginx_session_affinity frontend.nginx_session_affinity_header"),
    **_kept("frontend.nginx_keepalive_timeout", "unset: 3600s (srt-slurm: 600s)"),
    **_no_effect("frontend.nginx_raise_ulimit", "the limit is always raised as far as the system allows"),
    **_kept("frontend.args frontend.env frontend.dedicated_node frontend.orchestrator_placement"),
    **_refused("frontend.ctx_router frontend.gen_router frontend.server_config_extra", _TRTLLM, _EMPTY),
}
_DYNAMO = {
    **_changed("dynamo.install", "unset: true where the recipe names a release or a wheel and the cluster runs "
               "containers; otherwise the image's own is used (srt-slurm: 0.8.0 is installed)"),
    **_kept("dynamo.version dynamo.wheel"),
    **_kept("dynamo.request_plane", "unset: the release's own choice"),
    **_kept("dynamo.event_plane", "unset: nats"),
    **_refused("dynamo.hash dynamo.top_of_tree dynamo.cargo_patches", _SOURCES, _EMPTY),
    **_kept("infra.etcd_nats_dedicated_node infra.nats_max_payload_mb"),
    **_kept("health_check.max_attempts health_check.interval_seconds",
            "their product is the deadline; servers are looked at far more often"),
}  # fmt: skip
_BENCHMARK = {
    **_kept("benchmark.type"),
    **_bench("isl osl concurrencies", "sa-bench", "sglang-bench"),
    **_bench("req_rate", "sa-bench"),
    **_bench("client_placement client_dedicated_node colocate_with_frontend"),
    **_bench("num_examples", *_ACCURACY[:3]),
    **_bench("max_tokens num_threads", *_ACCURACY),
    **_bench("repeat", "mmlu", "gpqa"),
    **_bench("max_context_length categories", "longbenchv2"),
    **_bench("num_shots", "gsm8k"),
    **_bench("temperature top_p top_k", *_ACCURACY),
    **_bench("random_range_ratio num_prompts_mult num_warmup_mult use_chat_template", "sa-bench"),
    **_bench("reuse_http_connections", "sa-bench"),
    **_bench("dataset_name dataset_path", "sa-bench"),
    **_bench("slow_down_sleep_time slow_down_wait_time", "sa-bench",
             text="workers are measured as they are; leave it out"),
    "benchmark.custom_tokenizer": FormatKey(
        Reading.KEPT, "a directory or org/name; a name of Python code is taken out", types=("sa-bench",)),
    **_bench("num_requests concurrency prefix_ratios", "router"),
    **_bench("mooncake_workload ttft_threshold_ms itl_threshold_ms", "mooncake-router"),
    **_bench("trace_file aiperf_package", "trace-replay"),
    **_bench("aiperf_args", "mooncake-router", "trace-replay"),
    **_bench("command env container_image", "custom"),
    **_no_effect("benchmark.sweep", "srt-slurm does not read it either; `sweep` at the top of the file sweeps"),
    **_refused("benchmark.export_node_metrics", "node metrics are not exported; the workers' logs are kept"),
}  # fmt: skip
_PROFILING = {
    **_kept("profiling.type profiling.delay_secs profiling.duration_secs"),
    **_changed("profiling.extra_nsys_args", "a list; a text is split as a shell does"),
    **_kept("profiling.prefill profiling.decode profiling.aggregated"),
    **_no_effect("profiling.benchmark_duration_secs", "the benchmark decides how long it runs"),
}
_WATCHING = {
    **_refused("observability.enabled observability.scrape_metrics observability.build_dashboard",
               "there is no collector: leave it out, or scrape the workers' /metrics yourself"),
    **_refused("observability.enable_otel", "set DYN_LOGGING_JSONL and the OTEL_ variables in `environment`"),
    **_part("observability", "scrape_interval_seconds scrape_output", "observability.enabled"),
    **_part("observability", "otel_endpoint", "observability.enable_otel"),
    **_refused("observability.tachometer.enabled", "there is no collector: leave it out"),
    **_part("observability.tachometer", "binary_path default_frequency sync_interval_secs compaction_threads "
            "storage_subdir extra_metadata dcgm_exporter node_exporter", "observability.tachometer.enabled"),
    **_refused("telemetry.enabled", "GPU power is not sampled: leave it out"),
    **_part("telemetry", "dcgm_exporter default_frequency storage_subdir required startup_timeout_seconds "
            "request_timeout_seconds collector_join_timeout_seconds", "telemetry.enabled"),
    **_no_effect("identity.model identity.container identity.frameworks",
                 "every row of the results says what ran; backend.version names the engine's release"),
    **_refused("reporting.status reporting.s3", "results stay in the output directory: `srtctl results --json`",
               _EMPTY),
    **_refused("reporting.ai_analysis.enabled", "`srtctl status` names the first cause of a failure"),
    **_part("reporting.ai_analysis", "openrouter_api_key gh_token repos_to_search pr_search_days prompt",
            "reporting.ai_analysis.enabled"),
}  # fmt: skip

KEYS: dict[str, FormatKey] = {
    **_JOB, **_MODEL, **_RESOURCES, **_BACKEND, **_FRONTEND, **_DYNAMO, **_BENCHMARK, **_PROFILING, **_WATCHING,
}  # fmt: skip
"""Dotted key -> what becomes of it, in the order of the format; a key stands for all below it."""

REFUSED_TYPES = {
    "backend": dict.fromkeys(("trtllm", "vllm"), "srtctl runs sglang and the mocker"),
    "frontend": {
        "trtllm_serve": "it needs TensorRT-LLM workers: choose dynamo or sglang",
        "vllm": "it needs vLLM workers: choose dynamo or sglang",
    },
}
"""Node -> its types that srt-slurm has and srtctl has not -> what to do."""

RENAMED_TYPES = {"frontend": {"sglang": "sglang-router"}}

# Nodes of the format that a job of ours does not have.
FOREIGN_NODES = ("output", "identity", "reporting", "telemetry", "observability")


def entry_of(path: str) -> tuple[str, FormatKey] | None:
    """The row of the table that decides about a dotted key: its own or that of the nearest key above."""
    while path:
        if path in KEYS:
            return path, KEYS[path]
        path = path.rpartition(".")[0]
    return None


def known_below(node: str) -> Iterable[str]:
    """The keys of the format below a node."""
    return (path for path in KEYS if path.startswith(f"{node}."))


def in_words(path: str) -> tuple[str, str]:
    """What becomes of a key, for people: `supported`, `refused` or `no effect`, and what to know about it."""
    from srtctl.benchmarks import BENCHMARKS

    entry = KEYS[path]
    if entry.reading is Reading.PART:
        return "refused", f"with {entry.part_of}; no effect without"
    if entry.reading in (Reading.REFUSED, Reading.NO_EFFECT):
        return entry.reading.value, entry.text
    if not path.startswith("benchmark.") or not entry.types:
        return "supported", entry.text
    key = path.partition(".")[2]
    users = [name for name in BENCHMARKS if key in BENCHMARKS[name].params.__dataclass_fields__]
    lacking = [name for name in entry.types if name not in users]
    if not users:
        return "refused", f"with {', '.join(lacking)}; no effect with other types"
    others = f"; refused with {', '.join(lacking)}" if lacking else ""
    return "supported", f"with {', '.join(users)}{others}" + (f"; {entry.text}" if entry.text else "")
