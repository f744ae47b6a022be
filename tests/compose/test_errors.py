"""What users see when composition refuses something: argv or file -> the fields of each Problem."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from srtctl import compose, recipe
from srtctl.errors import Problem, SrtctlError


def refused(line: str, path: Path | None = None) -> list[Problem]:
    argv = shlex.split(line)
    with pytest.raises(SrtctlError) as caught:
        compose.points(argv, recipe.load(path, "", argv) if path is not None else None)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("line", "rule", "key", "hint"),
    [
        ("modle=tiny", "unknown-key", "modle", "model"),
        ("mode=disag", "unknown-option", "mode", "did you mean disagg?"),
        ("cluster=h100", "unknown-option", "cluster", "did you mean h100x8?"),
        ("mode=agg,disag -m", "unknown-option", "mode", "did you mean disagg?"),
        ("benchmark.islx=5", "unknown-key", "benchmark.islx", "did you mean isl?"),
        ("resources.prefil_workers=5", "unknown-key", "resources.prefil_workers", "did you mean prefill_workers"),
        ("prefill_workers=5", "unknown-key", "prefill_workers", "resources.prefill_workers"),
        ("benchmark.isl=abc", "wrong-type", "benchmark.isl", ""),
        ("launcher.wait=maybe", "wrong-type", "launcher.wait", ""),
        ("resources=5", "wrong-type", "resources", ""),
        ("tags=a", "wrong-type", "tags", "[a]"),
        ("nokey", "override-syntax", "", "key=value"),
        ("bench", "override-syntax", "", "benchmark=OPTION"),
        ("'benchmark.isl=[1'", "override-syntax", "benchmark.isl", "quotes"),
        ("'name=a{b'", "override-syntax", "name", "quotes"),
        ("benchmark.concurrencies=4,8", "ambiguous-value", "benchmark.concurrencies", "benchmark.concurrencies=[4,8]"),
        ("tags=a,b", "ambiguous-value", "tags", "tags=[a,b]"),
        ("benchmark.isl=4,8", "ambiguous-value", "benchmark.isl", "add -m"),
        ("'benchmark.isl=range(1,4)'", "ambiguous-value", "benchmark.isl", "add -m"),
        ("mode=agg,disagg", "ambiguous-value", "mode", "add -m"),
        ("'mode=glob(*)'", "ambiguous-value", "mode", "add -m"),
        ("'benchmark.isl=interval(1,3)' -m", "sweep-kind", "benchmark.isl", ""),
        ("'model=glob(zz*)' -m", "empty-sweep", "model", "glob"),
        ("'benchmark.isl=range(5,5)' -m", "empty-sweep", "benchmark.isl", "range"),
        ("backend.type=sglang", "type-of-group", "backend.type", "backend=sglang"),
        ("benchmark.type=manual,sa-bench -m", "type-of-group", "benchmark.type", "benchmark=manual"),
        ("hydra/launcher=nope", "unknown-option", "hydra/launcher", ""),
        ("'name=${nope}'", "interpolation", "name", "literal"),
        ("'cluster.nodes=${oc.env:SRTCTL_NOT_SET}'", "interpolation", "cluster.nodes", "literal"),
    ],
)
def test_command_lines(line: str, rule: str, key: str, hint: str) -> None:
    problem = refused(line)[0]
    assert (problem.rule, problem.key) == (rule, key)
    assert hint in problem.hint
    assert "command line" in problem.source or rule in ("type-of-group", "interpolation")


def test_a_glob_that_matches_nothing_lists_what_there_is() -> None:
    found = refused("'model=glob(zz*)' -m")[0]
    assert found.value == "glob(zz*)"
    assert "tiny" in found.allowed.split(", ")


def test_an_unknown_option_lists_only_real_ones() -> None:
    problem = refused("benchmark=sa")[0]
    options = Path(__file__).parents[2] / "conf" / "benchmark"
    assert problem.allowed == ", ".join(sorted(file.stem for file in options.glob("*.yaml")))


def test_all_mistakes_of_a_command_line_at_once() -> None:
    found = refused("mode=disag benchmark.islx=5 benchmark.osl=abc model.precission=fp8 modle=x")
    assert [(p.rule, p.key) for p in found] == [
        ("unknown-option", "mode"),
        ("unknown-key", "benchmark.islx"),
        ("wrong-type", "benchmark.osl"),
        ("unknown-key", "model.precission"),
        ("unknown-key", "modle"),
    ]


def test_all_bad_points_of_a_sweep() -> None:
    found = refused("benchmark.isl=1,abc,2,def name=a,b -m")
    assert [(p.value, p.points) for p in found] == [("abc", (2, 3)), ("def", (6, 7))]


def test_all_mistakes_of_a_recipe_with_their_lines(write: Callable[..., Path]) -> None:
    path = write("""\
        name: x
        model: {path: "builtin:tiny", precison: fp8}
        resources:
          prefill_nodes: many
          prefil_workers: 1
        benchmark:
          type: sa-bench
          isl: [1]
          concurency: 4
        enviroment: {A: "1"}
        """)
    found = {(p.rule, p.key): p for p in refused("slurm.time=1", path)}
    assert set(found) == {
        ("unknown-key", "slurm.time"),
        ("unknown-key", "model.precison"),
        ("wrong-type", "resources.prefill_nodes"),
        ("unknown-key", "resources.prefil_workers"),
        ("wrong-type", "benchmark.isl"),
        ("unknown-key", "benchmark.concurency"),
        ("unknown-key", "enviroment"),
    }
    assert found["wrong-type", "resources.prefill_nodes"].source == f"{path}:4"
    assert found["unknown-key", "benchmark.concurency"].source == f"{path}:9"
    assert "environment" in found["unknown-key", "enviroment"].hint


@pytest.mark.parametrize(
    ("text", "rule", "key", "words", "line"),
    [
        ("name: x\nbackend: {type: sglan}\n", "unknown-option", "backend.type", "no such backend", 2),
        ("name: x\nbenchmark:\n  type: sabench\n", "unknown-option", "benchmark.type", "no such benchmark", 3),
        ("name: x\ncluster: h100\n", "unknown-option", "cluster", "no such option", 2),
        ("defaults: 5\nname: x\n", "defaults", "defaults", "must be a list", 1),
        ("defaults:\n  - 5\nname: x\n", "defaults", "defaults.0", "a name or one", 2),
        ("defaults:\n  - recipe\nname: x\n", "recursive-defaults", "defaults", "includes itself", 2),
        ("defaults:\n  - mode: disag\nname: x\n", "unknown-option", "mode", "no such option", 2),
        ("defaults:\n  - nothing\nname: x\n", "unknown-config", "defaults", "no config nothing", 1),
        ("name: x\nmodel: 5\n", "wrong-type", "model", "expected a mapping", 2),
        (
            "name: x\nsetup_script: '${nope.a}'\nmodel: {path: '${model.nope}'}\n",
            "interpolation",
            "model.path",
            "nope",
            3,
        ),
    ],
)
def test_recipes(write: Callable[..., Path], text: str, rule: str, key: str, words: str, line: int) -> None:
    path = write(text)
    problem = refused("", path)[0]
    assert (problem.rule, problem.key) == (rule, key)
    assert words in problem.message
    assert problem.source == f"{path}:{line}"


def test_defaults_that_include_each_other(write: Callable[..., Path], tmp_path: Path) -> None:
    write("defaults: [two, _self_]\n", "one.yaml")
    write("defaults: [one, _self_]\n", "two.yaml")
    path = write("defaults:\n  - one\nname: x\n")
    problem = refused(f"--config-dir {tmp_path}", path)[0]
    assert problem.rule == "recursive-defaults"
    assert problem.source == f"{path}:1"


def test_errors_are_sentences_without_hydras_words() -> None:
    for line in ("modle=x", "mode=disag", "benchmark.isl=abc", "'name=${nope}'"):
        text = str(SrtctlError(refused(line)))
        for word in ("ConfigCompositionException", "full_key", "HYDRA_FULL_ERROR", "Traceback", "DictConfig"):
            assert word not in text


def test_foreign_launchers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for launcher in (None, "srtctl_preview"):
        for name in ("basic", "submitit_slurm", "submitit_local"):
            with pytest.raises(SrtctlError) as caught:
                compose.run([f"hydra/launcher={name}"], None, launcher)
            assert caught.value.problems[0].rule == "foreign-launcher"
    assert list(tmp_path.iterdir()) == []


def test_bugs_of_a_launcher_are_not_the_users_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    from srtctl.composition import launching

    class Broken:
        def launch_points(self, points: object) -> None:
            raise KeyError("a bug")

    monkeypatch.setattr(launching, "launcher_for", lambda *args: Broken())
    with pytest.raises(KeyError, match="a bug"):
        compose.run([])
