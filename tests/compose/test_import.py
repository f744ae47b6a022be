"""`srtctl import`: groups and short recipes with the plans of the files that they were made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from srtctl import cli
from srtctl.composition.importing import Imported, Importer
from srtctl.composition.splitting import option_name, split
from srtctl.plan.codec import to_json
from tests.compose.files import FILES, RECIPES, on_cluster, prepared


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cluster(monkeypatch)


# One of each kind; the soak test takes all
CHOSEN = [
    f"{name}.yaml"
    for name in """b200-fp8-1p2d custom-benchmark dedicated-nodes early-gb200 gb200-fp8-max-tpt h200-1p1d-dep-mtp het
    locked mocker-every-key qwen3-6p2d-shared qwen3-router sweep-unquoted switched-off variants""".split()
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Imported]]]:
    """Files imported into one directory."""
    with pytest.MonkeyPatch.context() as patch:
        on_cluster(patch)
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("home")))
        importer = Importer(tmp_path_factory.mktemp("imported"))
        for name in CHOSEN:
            importer.add(RECIPES / name)
        importer.write()
        yield importer.out, importer.done
        importer.close()


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in FILES if name not in CHOSEN])
def test_equal_plans_of_all_others(tmp_path: Path, name: str) -> None:
    importer = Importer(tmp_path)
    importer.add(RECIPES / name)
    importer.write()
    importer.close()
    equal_plans(tmp_path, importer.done, name)


@pytest.mark.parametrize("name", CHOSEN)
def test_equal_plans(made: tuple[Path, list[Imported]], name: str) -> None:
    equal_plans(*made, name)


def equal_plans(out: Path, done: list[Imported], name: str) -> None:
    mine = [one for one in done if one.source.partition(":")[0] == str(RECIPES / name)]
    before = prepared(RECIPES / name)
    after = [point for one in mine for point in prepared(out / one.recipe)]
    assert [one.points for one in mine] == [len(prepared(out / one.recipe)) for one in mine]
    assert [p.config_id for p in after] == [p.config_id for p in before]
    assert [p.deployment_id for p in after] == [p.deployment_id for p in before]
    assert [to_json(p.plan) for p in after] == [to_json(p.plan) for p in before]
    assert [to_json(p.steps) for p in after] == [to_json(p.steps) for p in before]
    assert [p.job.name for p in after] == [p.job.name for p in before]


def test_what_is_made(made: tuple[Path, list[Imported]]) -> None:
    out, done = made
    one = next(one for one in done if one.recipe.name == "h200-1p1d-dep-mtp.yaml")
    assert one.options["mode"] == "1p1d-tp8-dep8"
    recipe = yaml.safe_load((out / one.recipe).read_text())
    assert recipe["defaults"] == [
        "recipe_base",
        *({g: one.options[g]} for g in ("model", "mode", "benchmark")),
        "_self_",
    ]
    assert set(recipe) == {"defaults", "name", "resources", "dynamo", "frontend", "backend"}
    # placement decides it: in a group it would be an error
    assert recipe["backend"] == {"sglang_config": {"prefill": {"disaggregation-bootstrap-port": 30001}}}
    assert recipe["resources"] == {"gpu_type": "h200", "gpus_per_node": 8}
    mode = (out / "conf/mode/1p1d-tp8-dep8.yaml").read_text()
    assert mode.startswith("# @package _global_\n# Imported from ")
    content = yaml.safe_load(mode)
    assert content["resources"] == {"prefill_nodes": 1, "prefill_workers": 1, "decode_nodes": 1, "decode_workers": 1}
    assert content["backend"]["sglang_config"]["decode"]["speculative-algorithm"] == "EAGLE"
    model = yaml.safe_load((out / f"conf/model/{one.options['model']}.yaml").read_text())
    assert model == {"path": "dsr1-fp8", "container": "sglang-0.5.8", "precision": "fp8"}


def test_options_are_shared(made: tuple[Path, list[Imported]]) -> None:
    _, done = made
    by_name = {one.recipe.name: one.options for one in done}
    assert by_name["locked.yaml"]["mode"] == by_name["switched-off.yaml"]["mode"]
    assert by_name["locked.yaml"]["model"] == by_name["het.yaml"]["model"]
    assert len({one.options["mode"] for one in done}) < len(done)


def test_groups_on_the_command_line_replace_those_of_a_made_recipe(made: tuple[Path, list[Imported]]) -> None:
    out, _ = made
    words = ("mode=agg", "benchmark=sa-8k1k", "frontend=sglang-router", "cluster=h100x8", "resources.gpu_type=null")
    point = prepared(out / "b200-fp8-1p2d.yaml", "", *words, "model.path=/models/r1", "resources.gpus_per_agg=8")[0]
    assert [worker.name for worker in point.plan.workers] == ["aggregated0"]
    assert (point.job.frontend.type, point.job.cluster.name) == ("sglang-router", "h100x8")
    assert point.steps.steps[0].settings["isl"] == 8192


def test_a_sweep_stays_one_recipe(made: tuple[Path, list[Imported]]) -> None:
    out, done = made
    recipe = yaml.safe_load((out / "sweep-unquoted.yaml").read_text())
    assert recipe["sweep"] == {"mode": "zip", "parameters": {"mem": [0.8, 0.85], "concurrency": [4, 8]}}
    assert recipe["backend"]["sglang_config"] == {"aggregated": {"mem-fraction-static": "{mem}"}}
    assert recipe["benchmark"]["concurrencies"] == ["{concurrency}"]
    variants = [one.recipe.name for one in done if "variants.yaml:" in one.source]
    assert variants == [
        "variants_override_small.yaml",
        "variants_zip_override_named-0.yaml",
        "variants_zip_override_named-1.yaml",
        "variants_zip_override_scale-0.yaml",
        "variants_zip_override_scale-1.yaml",
        "variants_zip_override_scale-2.yaml",
    ]


def imported(tmp_path: Path, *words: str) -> int:
    return cli.main(["import", *words, "-o", str(tmp_path / "out")])


def files_below(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    early = str(RECIPES / "early-gb200.yaml")
    assert imported(tmp_path, early, "--dry-run") == 0
    shown = capsys.readouterr()
    assert "nothing was written" in shown.out
    assert "- recipe_base" in shown.out
    assert not (tmp_path / "out").exists()
    assert imported(tmp_path, early) == 0
    said = capsys.readouterr()
    assert f"wrote     {tmp_path}/out/early-gb200.yaml" in said.out
    assert "1 point, the same as before" in said.out
    assert f"srtctl apply -f {tmp_path}/out/early-gb200.yaml" in said.out
    assert "output.log_dir: has no effect" in said.err
    before = files_below(tmp_path / "out")
    assert imported(tmp_path, early, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["written"] == []
    assert f"{tmp_path}/out/early-gb200.yaml" in document["unchanged"]
    assert document["recipes"][0]["points"] == 1
    assert {warning["key"] for warning in document["recipes"][0]["warnings"]} == {"backend.gpu_type", "output.log_dir"}
    assert files_below(tmp_path / "out") == before
    monkeypatch.chdir(tmp_path)
    here = f"cluster.architecture={os.uname().machine}"  # whatever stands beside the GPUs that the recipe asks for
    assert cli.main(["dry-run", "-f", str(tmp_path / "out"), "-o", str(tmp_path / "runs"), "--json", here]) == 0


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/het.yaml").write_text("mine: true\n")
    assert imported(tmp_path, str(RECIPES / "het.yaml"), str(RECIPES / "spread.yaml")) == 2
    assert "is there already, with another content" in capsys.readouterr().err
    assert files_below(tmp_path / "out") == {"het.yaml": "mine: true\n"}


def test_a_setup_script_comes_along(tmp_path: Path) -> None:
    assert imported(tmp_path, str(RECIPES / "custom-benchmark.yaml")) == 0
    assert (tmp_path / "out/install-tools.sh").read_text() == (RECIPES / "install-tools.sh").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("defaults: [config]\nname: x\n", "has a defaults list: it is srtctl's already"),
        ("srtctl: {format: resolved}\nname: x\n", "is a resolved job: it is srtctl's already"),
        ("name: x\ntelemetry: {enabled: true}\n", "telemetry.enabled: srtctl has nothing like it"),
        ("name: x\nresuorces: {}\n", "resuorces"),
        ("[]\n", "a recipe is a mapping"),
    ],
)
def test_what_cannot_be_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(text)
    assert imported(tmp_path, str(bad), str(RECIPES / "het.yaml")) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_job_that_would_be_another_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def losing(*args: Any) -> Any:
        parts = split(*args)
        parts.options["mode"][1]["resources"].pop("decode_nodes")
        return parts

    monkeypatch.setattr("srtctl.composition.importing.split", losing)
    assert imported(tmp_path, str(RECIPES / "het.yaml")) == 2
    assert "is another job (resources); nothing was written" in capsys.readouterr().err


def test_relative_models_keep_their_place(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "a.yaml").write_text("name: x\nmodel: {path: ./models}\nresources: {agg_workers: 1}\n")
    assert imported(tmp_path, str(tmp_path / "a.yaml")) == 0
    model = yaml.safe_load((tmp_path / "out/conf/model/models.yaml").read_text())
    assert model == {"path": str(tmp_path / "models")}


@pytest.mark.parametrize(
    ("text", "name"), [("Qwen3 0.6B/x", "Qwen3-0.6B-x"), ("zip_override_a[1]", "zip_override_a-1"), ("///", "imported")]
)
def test_names_of_options(text: str, name: str) -> None:
    assert option_name(text) == name


def test_texts_of_shells_stay_as_they_are(tmp_path: Path) -> None:
    text = """\
name: x
model: {path: "hf:a/b", container: image:1}
resources: {agg_workers: 1, gpus_per_agg: 8, gpus_per_node: 8}
backend: {type: sglang, aggregated_environment: {P: "${HOME}/x:$PATH", N: "1e3", M: "on"}}
environment: {Q: "${name}"}
"""
    (tmp_path / "a.yaml").write_text(text)
    assert imported(tmp_path, str(tmp_path / "a.yaml")) == 0
    point = prepared(tmp_path / "out/a.yaml")[0]
    assert point.job.backend.aggregated_environment == {"P": "${HOME}/x:$PATH", "N": "1e3", "M": "on"}
    assert point.job.environment == {"Q": "x"}
