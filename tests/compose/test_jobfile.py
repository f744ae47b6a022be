"""Every key of srt-slurm's job files is kept, refused by name, or said to have no effect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srtctl import recipe
from srtctl.benchmarks import BENCHMARKS
from srtctl.composed import ComposedPoint
from srtctl.composition import jobfile
from srtctl.composition.jobfile import Reading
from srtctl.composition.shape import kinds_of
from srtctl.composition.sweeping import set_path
from srtctl.errors import Severity, SrtctlError
from srtctl.yamltext import dump_sections

Points = Callable[..., list[ComposedPoint]]

# The format's keys, written down from its description and not from our table
FORMAT = """
name environment container_mounts extra_mount srun_options sbatch_directives enable_config_dump setup_script
sweep base override_small zip_override_tp lock output.log_dir
model.path model.container model.precision model.stage_dir
resources.gpu_type resources.gpus_per_node resources.prefill_nodes resources.decode_nodes resources.prefill_workers
resources.decode_workers resources.agg_nodes resources.agg_workers resources.spread_workers resources.het_jobs
resources.gpus_per_prefill resources.gpus_per_decode resources.gpus_per_agg
slurm.account slurm.partition slurm.time_limit
backend.type backend.gpu_type backend.prefill_environment backend.decode_environment backend.aggregated_environment
backend.sglang_config.prefill backend.sglang_config.decode backend.sglang_config.aggregated
backend.enable_multiple_frontends backend.num_additional_frontends backend.enable_profiling
backend.kv_events_config backend.kv_events_config.prefill backend.mooncake_kv_store.container
backend.mooncake_kv_store.env backend.mooncake_kv_store.master_extra_args
backend.trtllm_config backend.vllm_config backend.mocker_config backend.engine_type backend.speedup_ratio
backend.decode_speedup_ratio backend.num_gpu_blocks_override backend.max_num_seqs backend.max_num_batched_tokens
backend.block_size backend.data_parallel_size backend.num_workers backend.startup_time backend.kv_transfer_bandwidth
backend.kv_cache_dtype backend.enable_prefix_caching backend.enable_chunked_prefill backend.preemption_mode
frontend.type frontend.enable_multiple_frontends frontend.num_additional_frontends frontend.nginx_container
frontend.nginx_raise_ulimit frontend.nginx_session_affinity frontend.nginx_session_affinity_header
frontend.nginx_keepalive_timeout frontend.args frontend.env frontend.ctx_router frontend.gen_router
frontend.server_config_extra frontend.orchestrator_placement frontend.dedicated_node
dynamo.install dynamo.version dynamo.hash dynamo.top_of_tree dynamo.wheel dynamo.request_plane dynamo.event_plane
dynamo.cargo_patches
benchmark.type benchmark.isl benchmark.osl benchmark.concurrencies benchmark.req_rate benchmark.client_placement
benchmark.client_dedicated_node benchmark.colocate_with_frontend benchmark.num_examples benchmark.max_tokens
benchmark.repeat benchmark.num_threads benchmark.max_context_length benchmark.categories benchmark.num_shots
benchmark.temperature benchmark.top_p benchmark.top_k benchmark.random_range_ratio benchmark.num_prompts_mult
benchmark.num_warmup_mult benchmark.dataset_name benchmark.dataset_path benchmark.custom_tokenizer
benchmark.use_chat_template benchmark.reuse_http_connections benchmark.slow_down_sleep_time
benchmark.slow_down_wait_time benchmark.num_requests benchmark.concurrency benchmark.prefix_ratios
benchmark.mooncake_workload benchmark.ttft_threshold_ms benchmark.itl_threshold_ms benchmark.trace_file
benchmark.aiperf_package benchmark.aiperf_args benchmark.command benchmark.container_image benchmark.env
benchmark.sweep benchmark.export_node_metrics
profiling.type profiling.extra_nsys_args profiling.prefill profiling.decode profiling.aggregated profiling.delay_secs
profiling.duration_secs profiling.benchmark_duration_secs profiling.prefill.start_step profiling.decode.stop_step
observability.enabled observability.enable_otel observability.otel_endpoint observability.scrape_metrics
observability.scrape_interval_seconds observability.scrape_output observability.build_dashboard
observability.tachometer.enabled observability.tachometer.binary_path observability.tachometer.default_frequency
observability.tachometer.sync_interval_secs observability.tachometer.compaction_threads
observability.tachometer.storage_subdir observability.tachometer.extra_metadata observability.tachometer.dcgm_exporter
observability.tachometer.node_exporter
telemetry.enabled telemetry.dcgm_exporter telemetry.default_frequency telemetry.storage_subdir telemetry.required
telemetry.startup_timeout_seconds telemetry.request_timeout_seconds telemetry.collector_join_timeout_seconds
health_check.max_attempts health_check.interval_seconds infra.etcd_nats_dedicated_node infra.nats_max_payload_mb
identity.model.repo identity.model.revision identity.container.image identity.frameworks.sglang
reporting.status.endpoint reporting.ai_analysis.enabled reporting.ai_analysis.prompt reporting.s3.bucket
reporting.ai_analysis.openrouter_api_key reporting.ai_analysis.gh_token reporting.ai_analysis.repos_to_search
reporting.ai_analysis.pr_search_days
""".split()

# Not a key of a job: what a file is made of
_OF_FILES = ("base", "override_*", "zip_override_*", "sweep", "lock")
_MOVED = ("backend.enable_multiple_frontends", "backend.num_additional_frontends")


@pytest.mark.parametrize("key", FORMAT)
def test_every_key_of_the_format_is_in_the_table(key: str) -> None:
    pattern = key.replace("override_small", "override_*").replace("override_tp", "override_*")
    found = jobfile.entry_of(pattern)
    assert found is not None
    assert jobfile.in_words(found[0])[0] in ("supported", "refused", "no effect")


def test_the_table_has_no_key_that_the_format_has_not() -> None:
    known = " ".join(FORMAT) + " "
    for path in jobfile.KEYS:
        first = path.replace("*", "")
        assert f" {first}" in f" {known}", f"{path} is no key of the format"


def _of(*readings: Reading) -> list[str]:
    return [path for path, entry in jobfile.KEYS.items() if entry.reading in readings]


@pytest.mark.parametrize("path", [path for path in _of(Reading.KEPT, Reading.CHANGED) if path not in _OF_FILES])
def test_a_key_that_is_kept_is_one_of_ours(path: str) -> None:
    if path in _MOVED:
        path = path.replace("backend", "frontend")
    if path.startswith("benchmark.") and jobfile.in_words(path)[0] == "refused":
        key = path.partition(".")[2]
        types = jobfile.KEYS[path].types
        assert not any(key in BENCHMARKS[name].params.__dataclass_fields__ for name in types if name in BENCHMARKS)
    else:
        assert kinds_of(path), f"{path} is said to be supported, and a job has no such key"


def plain(**values: Any) -> str:
    config: dict[str, Any] = {"name": "x", "model": {"path": "builtin:tiny"}, "backend": {"type": "mocker"}}
    config["resources"] = {"agg_nodes": 1, "agg_workers": 1}
    for path, value in values.items():
        set_path(config, path.replace("__", "."), value)
    return dump_sections(config)


def problems_of(write: Callable[..., Path], points_of: Points, text: str) -> list[Any]:
    try:
        return list(points_of(text)[0].problems)
    except SrtctlError as error:
        return list(error.problems)


@pytest.mark.parametrize("path", _of(Reading.REFUSED))
def test_what_is_refused_is_named(write: Callable[..., Path], points_of: Points, path: str) -> None:
    found = problems_of(write, points_of, plain(**{path: True}))
    assert [(p.rule, p.key, p.severity, p.value) for p in found] == [("unsupported-key", path, Severity.ERROR, True)]
    assert found[0].hint
    assert ":" in found[0].source


@pytest.mark.parametrize("path", _of(Reading.REFUSED))
def test_what_is_refused_may_be_off(write: Callable[..., Path], points_of: Points, path: str) -> None:
    assert problems_of(write, points_of, plain(**{path: False})) == []


@pytest.mark.parametrize("path", _of(Reading.NO_EFFECT))
def test_what_has_no_effect_says_so(write: Callable[..., Path], points_of: Points, path: str) -> None:
    found = problems_of(write, points_of, plain(**{path: "value"}))
    assert [(p.rule, p.key, p.severity) for p in found] == [("ignored-key", path, Severity.WARNING)]
    assert found[0].message.startswith("has no effect: ")
    assert found[0].source.rpartition(":")[2].isdigit()


@pytest.mark.parametrize("path", _of(Reading.PART))
def test_settings_of_what_is_refused(write: Callable[..., Path], points_of: Points, path: str) -> None:
    switch = jobfile.KEYS[path].part_of
    on = problems_of(write, points_of, plain(**{path: "value", switch: True}))
    assert [(p.rule, p.key) for p in on] == [("unsupported-key", switch)]
    off = problems_of(write, points_of, plain(**{path: "value", switch: False}))
    assert [(p.rule, p.key, p.message) for p in off] == [("ignored-key", path, f"has no effect: {switch} is off")]


@pytest.mark.parametrize(
    ("node", "name"), [(node, name) for node, hints in jobfile.REFUSED_TYPES.items() for name in hints]
)
def test_types_that_only_srt_slurm_has(write: Callable[..., Path], points_of: Points, node: str, name: str) -> None:
    found = problems_of(write, points_of, plain(**{f"{node}.type": name}))
    assert [(p.rule, p.key, p.value) for p in found] == [("unsupported-key", f"{node}.type", name)]
    assert found[0].hint == jobfile.REFUSED_TYPES[node][name]


def test_all_that_is_wrong_is_said_at_once(write: Callable[..., Path], points_of: Points) -> None:
    text = plain(**{"backend.type": "vllm", "telemetry.enabled": True, "telemetry.enabeld": True, "dynamo.hash": "abc"})
    found = problems_of(write, points_of, text)
    assert {(p.rule, p.key) for p in found} == {
        ("unsupported-key", "backend.type"),
        ("unsupported-key", "telemetry.enabled"),
        ("unknown-key", "telemetry.enabeld"),
        ("unsupported-key", "dynamo.hash"),
    }
    assert next(p.hint for p in found if p.key == "telemetry.enabeld") == "did you mean telemetry.enabled?"


def test_benchmark_keys_of_other_types(write: Callable[..., Path], points_of: Points) -> None:
    text = plain(**{"benchmark.type": "manual", "benchmark.num_shots": 5, "benchmark.req_rate": "inf"})
    found = problems_of(write, points_of, text)
    assert {(p.rule, p.key, p.severity) for p in found} == {
        ("ignored-key", "benchmark.num_shots", Severity.WARNING),
        ("ignored-key", "benchmark.req_rate", Severity.WARNING),
    }
    text = plain(**{"benchmark.type": "sa-bench", "benchmark.slow_down_wait_time": 3, "benchmark.isll": 3})
    found = problems_of(write, points_of, text)
    assert [(p.rule, p.key) for p in found] == [
        ("unsupported-key", "benchmark.slow_down_wait_time"),
        ("unknown-key", "benchmark.isll"),
    ]
    assert found[0].hint == "workers are measured as they are; leave it out"


def test_defaults_of_the_format(points_of: Points) -> None:
    mocker = points_of(plain(**{"backend.type": "mocker"}))[0].config["backend"]
    assert (mocker["engine_type"], mocker["speedup_ratio"], mocker["num_gpu_blocks_override"]) == ("vllm", 100.0, 16384)


@pytest.mark.parametrize(
    ("said", "cluster", "installed"),
    [
        ({"dynamo.version": "0.8.1"}, "h100x8", True),
        ({"dynamo.version": "0.8.1"}, "local", False),  # runs no containers: what is there is used
        ({"dynamo.wheel": "/wheels/x.whl"}, "h100x8", True),
        ({"dynamo.version": "0.8.1", "dynamo.install": False}, "h100x8", False),
        ({"dynamo.install": True}, "local", True),
        ({}, "h100x8", False),
    ],
)
def test_where_dynamo_is_installed(points_of: Points, said: dict[str, Any], cluster: str, installed: bool) -> None:
    point = points_of(plain(**said), f"cluster={cluster}")[0]
    assert point.config["dynamo"]["install"] is installed
    swept = points_of(plain(**said), f"cluster={cluster},local", "environment.A=1,2", "-m")
    assert [p.config["dynamo"]["install"] for p in swept[:2]] == [installed, installed]


def test_nsys_arguments_may_be_one_text(points_of: Points) -> None:
    text = plain(**{"profiling.type": "nsys", "profiling.extra_nsys_args": "--sample=none --env-var 'A=b c'"})
    assert points_of(text)[0].config["profiling"]["extra_nsys_args"] == ["--sample=none", "--env-var", "A=b c"]


def test_variables_in_mounts(write: Callable[..., Path], points_of: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATA", "/data/me")
    monkeypatch.delenv("NOT_THERE", raising=False)
    text = plain(container_mounts={"$MY_DATA/x": "/x"}, extra_mount=["${MY_DATA}/y:/y"])
    config = points_of(text)[0].config
    assert config["container_mounts"] == {"/data/me/x": "/x"}
    assert config["extra_mount"] == ["/data/me/y:/y"]
    found = problems_of(write, points_of, plain(extra_mount=["$NOT_THERE:/y"]))
    assert [(p.rule, p.key, p.hint) for p in found] == [("unset-variable", "extra_mount", "export NOT_THERE=…")]


@pytest.mark.parametrize("key", ["container_mounts", "extra_mount"])
def test_placeholders_in_mounts_are_refused(write: Callable[..., Path], points_of: Points, key: str) -> None:
    value: Any = ["{log_dir}/x:/x"] if key == "extra_mount" else {"{log_dir}/x": "/x"}
    found = problems_of(write, points_of, plain(**{key: value}))
    assert [(p.rule, p.key.partition(".")[0], p.message) for p in found] == [
        ("unsupported-placeholder", key, "{log_dir} is not filled in")
    ]


def test_setup_scripts_in_configs(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "configs/patches").mkdir(parents=True)
    (tmp_path / "recipes/h200").mkdir(parents=True)
    for place in ("configs/one.sh", "configs/patches/two.sh", "recipes/h200/three.sh", "configs/three.sh"):
        (tmp_path / place).write_text("true\n")
    found = {}
    for name in ("one.sh", "two.sh", "three.sh", "four.sh"):
        path = write(plain(setup_script=name), "recipes/h200/a.yaml")
        found[name] = next(iter(recipe.load(path).contents.values()))["setup_script"]
    assert found == {
        "one.sh": str(tmp_path / "configs/one.sh"),
        "two.sh": str(tmp_path / "configs/patches/two.sh"),
        "three.sh": "three.sh",  # beside the recipe
        "four.sh": "four.sh",  # nowhere: validation says so
    }


def test_a_resolved_config_is_not_read_again(write: Callable[..., Path]) -> None:
    mark = "srtctl: {format: resolved, id_version: 1, version: 0.1.0}\n"
    text = mark + plain(**{"backend.type": "mocker"})
    node = next(iter(recipe.load(write(text)).contents.values()))
    assert "engine_type" not in node["backend"]
