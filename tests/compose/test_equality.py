"""What the fast path makes is what stock Hydra makes: every option of every group, every kind of override."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from srtctl import compose, recipe
from srtctl.composition import fast, points
from srtctl.composition.ownership import GROUPS
from srtctl.composition.registration import conf_directory, register, version_base

OPTIONS = [(group, file.stem) for group in GROUPS for file in sorted((conf_directory() / group).glob("*.yaml"))]


@contextmanager
def hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(config_dir=str(conf_directory()), **version_base()):
        yield


def stock(*overrides: str, config_name: str = "config") -> dict[str, Any]:
    """Composed by Hydra's own API, from the same files."""
    with hydra():
        config = hydra_compose(config_name=config_name, overrides=list(overrides))
        found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def same(left: Any, right: Any) -> None:
    assert left == right
    assert repr(left) == repr(right)  # 1 and 1.0 and True are equal, but not the same


def test_there_are_options_in_every_group() -> None:
    assert {group for group, _ in OPTIONS} == set(GROUPS)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option(group: str, option: str) -> None:
    (point,) = compose.points([f"{group}={option}"])
    same(dict(point.config), stock(f"{group}={option}"))
    assert point.choices[group] == option


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_in_a_sweep_with_values(group: str) -> None:
    found = compose.points([f"{group}=glob(*)", "name=a,b", "-m"])
    names = sorted(option for g, option in OPTIONS if g == group)
    assert [p.choices[group] for p in found] == [n for n in names for _ in "ab"]
    for point in found[1::2]:
        same(dict(point.config), stock(f"{group}={point.choices[group]}", "name=b"))


SWEPT = [
    "benchmark.isl=1,2",
    "benchmark.isl='3',4",
    "benchmark.isl=null,4",
    "name=1,2.5,true,x-y,'quo ted',a_b",
    "name=1e3,-1,+2,0x10,01,1_000,inf,nan,None,on",
    "backend.speedup_ratio=1,2.5,1e2,-0.0,inf",
    "launcher.wait=true,no,1,'false',ON",
    "benchmark.concurrencies=[1,2],[3],5,1x2,[]",
    "benchmark.concurrencies=[a,1.0,null,true,[1]],x",
    "tags=[a,b],[]",
    "benchmark.extra_args=[--a,'b c'],[1]",
    "cluster.nodes=range(1,4)",
    "benchmark.timeout_s=1,2.5,3e1",
    "benchmark.req_rate=inf,4,'inf',2.50",
    'model.path=\'a=b,c\',"d\\"e"',
    "++environment.A=1,b",
    "++backend.sglang_config.prefill.tp-size=1,2",
    "++backend.sglang_config.prefill.on=true,'true'",
    "cluster.model_paths={a:b},{c:d}",
    "health_check.interval_seconds=1,0.5",
]


@pytest.mark.parametrize("override", SWEPT)
def test_every_kind_of_value(override: str) -> None:
    found = compose.points([override, "-m"])
    assert len(found) > 1
    for point in found:
        if any("nan" in text for text in point.overrides):
            assert repr(point.config) == repr(stock(*point.overrides))
        else:
            same(dict(point.config), stock(*point.overrides))


@pytest.mark.parametrize(
    "argv",
    [
        ["benchmark.isl=1,2", "benchmark.osl=3,4", "mode=agg,disagg"],
        ["benchmark.isl=1,2", "benchmark={osl:9}"],  # overlap: stock
        ["benchmark={isl:5},{osl:9}"],  # mapping: stock
        ["resources={agg_workers:2},{agg_workers:3}", "resources.agg_workers=7"],
        ["+extra=1,2"],
        ["~tags", "name=a,b"],
        ["name='${model.name}','x'"],
        ["name='${model.name}-${benchmark.isl}'", "benchmark.isl=1,2"],
        ["model.served_name='${name}'", "name='${benchmark.isl}'", "benchmark.isl=1,2"],
        ["environment={A:'${benchmark.isl}'}", "benchmark.isl=1,2"],
        ["tags=['${name}',b]", "name=a,b"],
        ["model.name='${.path}-x'", "model.path=a,b"],
        ["slurm.comment='${oc.select:name,none}'", "name=a,b"],
    ],
)
def test_combinations(argv: list[str]) -> None:
    for point in compose.points([*argv, "-m"]):
        same(dict(point.config), stock(*point.overrides))


def test_recipe_with_placeholders_equals_stock(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("""\
        name: "job-{isl}-{mem}"
        model: {path: builtin:tiny}
        backend:
          type: sglang
          sglang_config: {prefill: {mem-fraction-static: { mem }, tp-size: "{tp}"}}
        benchmark: {type: sa-bench, isl: "{isl}", osl: "${benchmark.isl}", concurrencies: [{ conc }, 7]}
        environment: {A: "${name}/{tp}"}
        sweep: {isl: [1, 2], mem: [0.5, 0.25], tp: [4], conc: [1, 9]}
        """)
    quick = compose.points([], recipe.load(path))
    monkeypatch.setattr(points, "cannot_be_fast", lambda axes: True)
    slow = compose.points([], recipe.load(path))
    assert len(quick) == 8
    for left, right in zip(quick, slow, strict=True):
        same(dict(left.config), dict(right.config))
        assert left.overrides == right.overrides
    assert quick[-1].config["environment"]["A"] == "job-2-0.25/4"
    assert quick[-1].config["benchmark"]["osl"] == 2


def test_a_thousand_points_are_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    calls: list[Any] = []
    original = ConfigLoaderImpl.load_sweep_config

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    assert len(compose.points(["benchmark.isl=range(1,101)", "benchmark.osl=range(1,11)", "-m"])) == 1000
    assert len(calls) == 0
    assert len(compose.points(["mode=agg,disagg", "benchmark.isl=range(1,101)", "-m"])) == 200
    assert len(calls) == 2


def test_points_do_not_leak_into_each_other() -> None:
    first, second = compose.points(["++environment.A=1,2", "-m"])
    assert (first.config["environment"], second.config["environment"]) == ({"A": "1"}, {"A": "2"})
    assert compose.points([])[0].config["environment"] == {}


@pytest.mark.parametrize(
    "text", ["a=1", "a=-1", "a=1.5", "a=x", "a=x-y_2", "a=true", "a=Null", "a=NaN", "a=-0.0", "a=1.50", "a=inf"]
)
def test_short_cut_of_the_grammar(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    expected = OverridesParser.create().parse_override(text).value()
    assert repr(fast.parse_value(text)) == repr(expected)
