"""What a recipe extends, what groups replace, where values come from, and composing a result again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from srtctl import compose, recipe
from srtctl.composed import ComposedPoint
from srtctl.composition.launching import launcher_by_executor
from srtctl.errors import Severity, SrtctlError
from srtctl.prepare import prepare

Points = Callable[..., list[ComposedPoint]]

PLAIN = """\
name: two-sides
model: {path: /models/r1, container: image, precision: fp8}
resources:
  gpu_type: h100
  gpus_per_node: 8
  prefill_nodes: 1
  decode_nodes: 2
  prefill_workers: 1
  decode_workers: 2
backend:
  type: sglang
  decode_environment: {SGLANG_X: "1"}
  sglang_config:
    prefill: {tp-size: 8}
    decode: {tp-size: 8, mem-fraction-static: 0.8}
benchmark: {type: sa-bench, isl: 1024, osl: 1024, concurrencies: [4, 8]}
environment: {NCCL_DEBUG: INFO}
"""


def test_plain_recipe_gets_no_values_of_the_default_job(points_of: Points) -> None:
    config = points_of("name: bare\n")[0].config
    assert config["model"]["path"] == "???"  # validation says that it is missing
    assert config["backend"]["type"] == "sglang"
    assert config["backend"]["version"] is None
    assert config["benchmark"]["type"] == "manual"
    assert all(v is None for k, v in config["resources"].items() if k not in ("spread_workers", "het_jobs"))
    bench = points_of("name: bare\nbenchmark: {type: sa-bench}\n")[0].config["benchmark"]
    assert (bench["isl"], bench["osl"], bench["concurrencies"], bench["num_prompts_mult"]) == (None, None, None, 10)


def test_plain_recipe_chooses_by_its_types(points_of: Points) -> None:
    point = points_of(PLAIN)[0]
    assert point.choices == {"backend": "sglang", "benchmark": "sa-bench", "cluster": "local"}
    assert point.config["cluster"]["simulated_gpus"] is True
    assert (
        points_of("name: x\nbackend: {type: mocker, speedup_ratio: 3}\n")[0].config["backend"]["speedup_ratio"] == 3.0
    )


def test_mode_on_the_command_line_gives_clean_points(points_of: Points) -> None:
    agg, disagg = points_of(PLAIN, "mode=agg,disagg", "-m")
    for point in (agg, disagg):
        assert point.config["resources"]["gpus_per_node"] == 8
        assert point.config["backend"]["decode_environment"] == {}
        assert point.config["backend"]["sglang_config"]["prefill"] == {}
        assert point.config["environment"] == {"NCCL_DEBUG": "INFO"}
        assert set(point.dropped) == {
            "resources.prefill_nodes",
            "resources.decode_nodes",
            "resources.prefill_workers",
            "resources.decode_workers",
            "backend.decode_environment.SGLANG_X",
            "backend.sglang_config.prefill.tp-size",
            "backend.sglang_config.decode.tp-size",
            "backend.sglang_config.decode.mem-fraction-static",
        }
    assert (agg.config["resources"]["agg_workers"], agg.config["resources"]["prefill_workers"]) == (1, None)
    assert (disagg.config["resources"]["agg_workers"], disagg.config["resources"]["prefill_workers"]) == (None, 1)


@pytest.mark.parametrize(
    ("override", "key", "expected", "untouched"),
    [
        ("model=tiny", "model", {"path": "builtin:tiny", "precision": None}, "benchmark"),
        ("cluster=h200x8", "cluster", {"name": "h200x8", "executor": "slurm"}, "model"),
        ("backend=mocker", "backend", {"type": "mocker", "decode_environment": {}}, "resources"),
        ("frontend=sglang-router", "frontend", {"type": "sglang-router"}, "backend"),
        ("benchmark=sa-8k1k", "benchmark", {"isl": 8192, "osl": 1024}, "resources"),
        ("benchmark=manual", "benchmark", {"type": "manual", "isl": None}, "resources"),
        ("profiling=torch", "profiling", {"type": "torch"}, "benchmark"),
    ],
)
def test_each_group_replaces_its_node_only(
    points_of: Points, override: str, key: str, expected: dict[str, Any], untouched: str
) -> None:
    plain, changed = points_of(PLAIN)[0], points_of(PLAIN, override)[0]
    assert {name: changed.config[key][name] for name in expected} == expected
    assert changed.config[untouched] == plain.config[untouched]
    assert all(dropped.startswith(f"{key}.") for dropped in changed.dropped)


def test_values_on_the_command_line_win(points_of: Points) -> None:
    point = points_of(
        PLAIN, "resources.decode_workers=4", "backend.sglang_config.decode.tp-size=4", "model.precision=fp4"
    )[0]
    assert point.config["resources"]["decode_workers"] == 4
    assert point.config["backend"]["sglang_config"]["decode"] == {"tp-size": 4, "mem-fraction-static": 0.8}
    assert point.config["model"]["precision"] == "fp4"
    assert point.dropped == ()


def test_clusters_of_a_plain_recipe(points_of: Points, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert points_of(PLAIN + "cluster: h100x8\n")[0].config["cluster"]["name"] == "h100x8"
    home = tmp_path / "home"
    (home / "srtctl/conf/cluster").mkdir(parents=True)
    (home / "srtctl/conf/cluster/default.yaml").write_text("name: site\nexecutor: slurm\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    assert points_of(PLAIN)[0].config["cluster"]["name"] == "site"
    assert points_of(PLAIN, "cluster=glob(d*)", "-m")[0].config["cluster"]["name"] == "site"
    own = tmp_path / "own"
    (own / "cluster").mkdir(parents=True)
    (own / "cluster/lab.yaml").write_text("name: lab\nexecutor: local\n")
    monkeypatch.setenv("SRTCTL_CONF", str(own))
    monkeypatch.setenv("SRTCTL_CLUSTER", "lab")
    assert points_of(PLAIN)[0].config["cluster"]["name"] == "lab"
    assert points_of(PLAIN, "cluster=local")[0].config["cluster"]["name"] == "local"
    assert compose.points([])[0].config["cluster"]["name"] == "local"  # the default job runs anywhere


def test_config_dir_flag(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("path: /m\n")
    assert compose.points(["model=mine", "--config-dir", str(tmp_path)])[0].config["model"]["path"] == "/m"


def test_recipe_with_defaults_extends_the_default_job(points_of: Points) -> None:
    point = points_of("""\
        defaults:
          - mode: disagg
          - override benchmark: sa-1k1k
          - _self_
        name: mine
        benchmark: {osl: 3}
        resources: {decode_workers: 2}
        """)[0]
    assert (point.config["benchmark"]["isl"], point.config["benchmark"]["osl"]) == (1024, 3)
    assert (point.config["resources"]["decode_workers"], point.config["backend"]["type"]) == (2, "mocker")
    assert point.choices["mode"] == "disagg"


def test_groups_replace_in_recipes_with_defaults_too(points_of: Points) -> None:
    text = "defaults: [mode: disagg]\nname: mine\nresources: {decode_workers: 2, gpus_per_node: 4}\n"
    point = points_of(text, "mode=agg")[0]
    assert point.dropped == ("resources.decode_workers",)
    assert point.config["resources"]["decode_workers"] is None
    assert point.config["resources"]["gpus_per_node"] == 4


def test_hydras_own_sweep_in_a_recipe(points_of: Points) -> None:
    text = "defaults: [config]\nname: mine\nhydra: {sweeper: {params: {benchmark.isl: '1,2'}}}\n"
    assert [p.config["benchmark"]["isl"] for p in points_of(text)] == [1, 2]


def test_keys_of_older_files(points_of: Points) -> None:
    point = points_of("""\
        name: old
        model: {path: /m}
        backend: {type: sglang, gpu_type: gb200, num_additional_frontends: 3}
        frontend: {type: sglang}
        output: {log_dir: /logs}
        enable_config_dump: false
        lock: {version: 1}
        """)[0]
    assert point.config["frontend"]["num_additional_frontends"] == 3
    assert point.config["frontend"]["type"] == "sglang-router"
    assert {(p.key, p.severity) for p in point.problems} == {
        ("output.log_dir", Severity.WARNING),
        ("enable_config_dump", Severity.WARNING),
        ("backend.gpu_type", Severity.WARNING),
    }
    assert all(p.source for p in point.problems)


def test_time_limits_are_not_numbers(points_of: Points) -> None:
    assert points_of("name: x\nslurm: {time_limit: 4:00:00}\n")[0].config["slurm"]["time_limit"] == "4:00:00"


def test_sources(points_of: Points, tmp_path: Path) -> None:
    text = PLAIN + "sweep: {benchmark.isl: [1, 2]}\n"
    point = points_of(text, "mode=disagg", "resources.gpu_type=h200", "environment.X=1")[1]
    file = tmp_path / "recipe.yaml"
    assert point.sources.of("name") == f"{file}:1"
    assert point.sources.of("environment.NCCL_DEBUG") == f"{file}:17"
    assert point.sources.of("benchmark.concurrencies") == f"{file}:16"
    assert point.sources.of("benchmark.isl") == f"{file}:18: benchmark.isl=2"
    assert point.sources.of("resources.gpu_type") == "command line: resources.gpu_type=h200"
    assert point.sources.of("environment.X") == "command line: ++environment.X=1"
    source = point.sources.of("resources.prefill_workers")
    assert source.startswith("mode=disagg (")
    assert source.endswith("conf/mode/disagg.yaml:6)")
    assert point.sources.of("cluster.executor").startswith("cluster=local (")
    assert point.sources.of("infra.nats_max_payload_mb") == ""


def test_sources_of_a_nested_group_and_a_variant(points_of: Points, tmp_path: Path) -> None:
    text = "base:\n  name: x\n  slurm: {account: a}\noverride_q:\n  slurm:\n    qos: q\n"
    point = points_of(text, "benchmark=sa-1k8k")[0]
    assert point.sources.of("benchmark.osl").endswith("conf/benchmark/sa-1k8k.yaml:6)")
    assert point.sources.of("slurm.qos") == f"{tmp_path / 'recipe.yaml'}:6"
    assert point.sources.of("slurm.account") == f"{tmp_path / 'recipe.yaml'}:3"


def test_sources_of_a_zip(points_of: Points, tmp_path: Path) -> None:
    text = "name: x\nbenchmark: {type: sa-bench}\nsweep:\n  mode: zip\n  parameters:\n    benchmark.isl: [1, 2]\n"
    assert points_of(text)[1].sources.of("benchmark.isl") == f"{tmp_path / 'recipe.yaml'}:6"


HOSTILE = {
    "environment.SHELL": "${HOME}/$x/{node}",
    "environment.SLASH": "a\\${b}\\\\${c}\\",
    "name": "it's: [odd], ${name}",
    "benchmark.concurrencies": [1, 2],
    "model.served_name": "???x",
}


@pytest.mark.parametrize(
    "argv", [["mode=h100-wideep-4p9d", "backend=sglang"], ["benchmark=custom", "cluster=gb200-nvl72"], []]
)
def test_a_resolved_config_is_the_same_job(write: Callable[..., Path], argv: list[str]) -> None:
    first: dict[str, Any] = dict(compose.points(argv)[0].config)
    for key, value in HOSTILE.items():
        node, _, last = key.rpartition(".")
        if node == "benchmark" and "benchmark=custom" in argv:
            continue
        if node:
            first[node] = {**first[node], last: value}
        else:
            first[key] = value
    mark = {"srtctl": {"format": "resolved", "id_version": 1, "version": "0.1.0"}}
    first["sweep"] = {"isl": 5, "names": ["{isl}"]}
    path = write(yaml.safe_dump({**mark, **first}))
    again = compose.points([], recipe.load(path))
    assert len(again) == 1
    assert dict(again[0].config) == first
    assert again[0].dropped == ()


def test_executors_decide_the_launcher() -> None:
    assert launcher_by_executor(compose.points([])) == "srtctl_local"
    assert launcher_by_executor(compose.points(["cluster=h100x8"])) == "srtctl_slurm"
    with pytest.raises(SrtctlError) as caught:
        prepare(compose.points(["cluster=h100x8,local", "-m", "model.container=x.sqsh"]))
    (mixed,) = [problem for problem in caught.value.problems if problem.rule == "mixed-executors"]
    assert mixed.value == "slurm (point 0), local (point 1)"


def test_modes_fit_their_gpus() -> None:
    """Each worker's tensor parallel size is its GPU count, and its role's nodes hold its workers."""
    for point in compose.points(["backend=sglang", "mode=glob(*)", "-m"]):
        resources, flags = point.config["resources"], point.config["backend"]["sglang_config"]
        gpus_per_node = 4 if point.choices["mode"].startswith(("gb", "dsv4-gb")) else 8
        for role, short in (("prefill", "prefill"), ("decode", "decode"), ("aggregated", "agg")):
            workers, gpus = resources[f"{short}_workers"], resources[f"gpus_per_{short}"]
            if workers:
                nodes = resources[f"{short}_nodes"] or resources["prefill_nodes"]
                assert flags[role].get("tp-size", 1) == gpus
                assert workers * gpus <= nodes * gpus_per_node
                assert gpus <= gpus_per_node or gpus % gpus_per_node == 0
                assert flags[role].get("attn-dp-size", 1) in (1, gpus)
                assert flags[role].get("ep-size", 1) in (1, gpus)


def test_every_file_of_conf_says_what_it_is() -> None:
    from srtctl.composition.registration import conf_directory

    for file in conf_directory().rglob("*.yaml"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("# @package")]
        assert lines[0].startswith("# "), f"{file} has no comment at its top"
        data = yaml.safe_load(file.read_text())
        if "defaults" in data:
            assert "_self_" in data["defaults"], f"{file} leaves the place of _self_ open"
