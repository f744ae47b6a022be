"""Every ready-made option with every other one: it composes, has no error, and can be planned."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from srtctl import compose
from srtctl.composed import Sources
from srtctl.errors import Severity
from srtctl.plan.build import build_plan, build_steps
from srtctl.validate import SiteFacts, check
from tests.groups.modes import (
    CONF,
    NEEDED,
    PROGRAMS,
    command_of,
    config_of,
    job_of,
    made_for,
    options,
    plan_of,
    published,
    words,
)

# Warnings that say something about the pair, not about either of the two.
ABOUT_THE_PAIR = {"queueing", "simulated-gpus", "open-files", "context-length"}


def composed_modes() -> dict[str, dict[str, Any]]:
    """Mode -> its config, as Hydra composes it; one sweep for each pair of model and cluster."""
    found: dict[str, dict[str, Any]] = {}
    for (model, cluster), modes in groupby(sorted(options("mode"), key=made_for), key=made_for):
        sweep = [*words(model, cluster), f"mode={','.join(modes)}", "benchmark=manual", "-m"]
        found |= {point.choices["mode"]: dict(point.config) for point in compose.points(sweep)}
    return found


def composed_benchmarks() -> dict[str, Any]:
    """Benchmark -> its node of the config."""
    found = {}
    for point in compose.points([f"benchmark={','.join(options('benchmark'))}", "-m"]):
        name = point.choices["benchmark"]
        found[name] = {**point.config["benchmark"], **NEEDED.get(name, {})}
    return found


def test_every_mode_with_every_benchmark() -> None:
    modes, benchmarks = composed_modes(), composed_benchmarks()
    assert sorted(modes) == options("mode")
    assert sorted(benchmarks) == options("benchmark")
    for mode, config in modes.items():
        assert config_of(mode) == config, "the quick composition that the other tests use differs from Hydra's"
        plan = None
        for name, benchmark in benchmarks.items():
            job = job_of({**config, "benchmark": benchmark})
            problems = check(job, facts=SiteFacts(), sources=Sources())
            bad = [p for p in problems if p.severity is Severity.ERROR or p.rule not in ABOUT_THE_PAIR]
            assert not [p for p in bad if p.severity is not Severity.NOTE], (mode, name, bad)
            plan = plan or plan_of({**config, "benchmark": benchmark})
            build_steps(job, plan, PROGRAMS, "c0", tokenizer_path="/models/m")


def test_every_mode_behind_every_frontend() -> None:
    frontends = compose.points([f"frontend={','.join(options('frontend'))}", "-m"])
    for mode in options("mode"):
        for point in frontends:
            job = job_of({**config_of(mode), "frontend": point.config["frontend"]})
            if point.choices["frontend"] == "dynamo-kv":
                job.backend.kv_events_config = True  # type: ignore[attr-defined]
            problems = check(job, facts=SiteFacts(), sources=Sources())
            assert {p.rule for p in problems if p.severity is not Severity.NOTE} <= {"simulated-gpus"}, (mode, problems)
            build_plan(job, PROGRAMS, "d0", model_path="/models/m", tokenizer_path="/models/m")


def test_every_published_mode_says_what_it_is() -> None:
    ours = {"agg", "disagg"}
    assert set(options("mode")) - set(published()) == ours
    for mode in published():
        text = (CONF / "mode" / f"{mode}.yaml").read_text()
        for label in ("Source", "Figure", "Run"):
            assert text.count(f"\n# {label}: ") == 1, (mode, label)


def test_the_command_of_a_mode_is_whole() -> None:
    """It names everything that has to be chosen, of what there is, and the job that it makes has no error."""
    tried = set()
    for mode in published():
        words = command_of(mode)
        said = dict(word.split("=", 1) for word in words)
        assert words[:2] == [f"mode={mode}", "backend=sglang"], mode
        groups = {name: option for name, option in said.items() if "." not in name}
        assert {"model", "cluster", "benchmark"} <= set(groups)
        assert all(option in options(name) for name, option in groups.items()), (mode, groups)
        others = tuple(word for word in words[2:] if not word.startswith(("model=", "cluster=")))
        if others not in tried:  # of those that differ in mode, model and cluster alone one is enough
            tried.add(others)
            (point,) = compose.points(words)
            found = check(job_of(dict(point.config)), facts=SiteFacts(), sources=Sources())
            rules = {p.rule for p in found if p.severity is not Severity.NOTE}
            assert rules <= ABOUT_THE_PAIR | {"hub-cache"}, mode
            assert "queueing" not in rules or "benchmark.concurrencies" not in said, mode


def test_no_mode_waits_for_days() -> None:
    """Timeouts of a mode end within the hour: srtctl watches by itself."""
    for mode in options("mode"):
        backend = config_of(mode)["backend"]
        for role in ("prefill", "decode", "aggregated"):
            flags, variables = backend["sglang_config"][role], backend[f"{role}_environment"]
            waits = [value for name, value in {**flags, **variables}.items() if "timeout" in name.lower()]
            assert all(0 < float(value) <= 3600 for value in waits), (mode, waits)
            assert "SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE" not in variables
