"""Models of the hub in containers, and tokenizers of benchmarks."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.validate import SiteFacts, build_job, paths_of
from tests.validate.jobs import AGGREGATED, ERROR, MOCKER, NOTE, SGLANG, changed, findings, rows

HUB = {"model.path": "hf:deepseek-ai/DeepSeek-R1-0528"}
HOME = {"environment.HF_HOME": "/shared/hf"}
TOKENIZER = "benchmark.custom_tokenizer"


def about_the_cache(changes: dict[str, Any], base: Any = SGLANG) -> list[str]:
    found = [p for p in findings(base, {**HUB, **changes}) if p.rule == "hub-cache"]
    assert all(p.severity.value == "warning" and p.hint for p in found)
    return [p.key for p in found]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "model.path"),
        ({"cluster.default_mounts": {"/data": "/data"}}, "model.path"),
        ({"cluster.model_paths": {"r1": "hf:deepseek-ai/DeepSeek-R1"}, "model.path": "r1"}, "model.path"),
        (HOME, "environment.HF_HOME"),
        ({"cluster.environment.HF_HUB_CACHE": "/hub"}, "cluster.environment.HF_HUB_CACHE"),
        ({**HOME, "cluster.default_mounts": {"/shared/hf2": "/shared/hf2"}}, "environment.HF_HOME"),
        # the cache comes from outside of the containers
        ({**HOME, "cluster.default_mounts": {"/shared": "/shared"}}, None),
        ({**HOME, "extra_mount": ["/lustre/hf:/shared/hf:rw"]}, None),
        ({**HOME, "container_mounts": {"/lustre": "/shared"}}, None),
        ({"cluster.default_mounts": {"/shared/hf": "/root/.cache/huggingface"}}, None),
        ({"cluster.container_mount_home": True}, None),
        ({"environment.HF_HOME": "/raid/hf", "model.stage_dir": "/raid"}, None),
        ({"pass_environment": ["HF_HOME"]}, None),
        # nothing large is fetched into a container
        ({"model.path": "dsr1"}, None),
        ({"cluster.container_runtime": "none", "model.container": None}, None),
        ({"backend": {"type": "mocker"}}, None),
    ],
)
def test_a_cache_inside_of_containers_is_said(changes: dict[str, Any], expected: str | None) -> None:
    assert about_the_cache(changes) == ([expected] if expected else [])


def test_the_warning_says_how_much_is_lost() -> None:
    (problem,) = [p for p in findings(SGLANG, {**HUB, "model.weights_gib": 642}) if p.rule == "hub-cache"]
    assert "every node of every job downloads the model (642 GiB) into its own container" in problem.message
    assert "environment.HF_HOME" in problem.hint and "cluster.default_mounts" in problem.hint


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("Qwen/Qwen3-32B", None),
        ("hf:Qwen/Qwen3-32B", None),
        ("builtin", None),
        ("/tokenizers/here", None),
        ("/tokenizers/gone", ("missing-path", NOTE)),
        ("./tokenizer", ("tokenizer", ERROR)),
        ("qwen3-32b", ("tokenizer", ERROR)),
        ("hf:Qwen3", ("tokenizer", ERROR)),
        ("a/b/c", ("tokenizer", ERROR)),
        ("sa_bench_tokenizers.sglang_v4.Tokenizer", ("tokenizer", ERROR)),
    ],
)
def test_the_benchmarks_tokenizer(named: str, expected: tuple[str, str] | None) -> None:
    facts = SiteFacts(paths={"/tokenizers/here": True, "/tokenizers/gone": False})
    found = rows(findings(AGGREGATED, {TOKENIZER: named}, facts))
    assert found == ({(*expected, TOKENIZER)} if expected else set())


def test_it_is_looked_for_here() -> None:
    for named, looked_for in (("/tokenizers/x", {"/tokenizers/x"}), ("hf:org/x", set()), ("org/x", set())):
        job, _ = build_job(changed(AGGREGATED, {TOKENIZER: named}))
        without, _ = build_job(AGGREGATED)
        assert set(paths_of(job)) - set(paths_of(without)) == looked_for


def test_a_tokenizer_that_is_not_here_is_an_error_where_the_client_is_here() -> None:
    facts = SiteFacts(paths={"/gone": False})
    assert rows(findings(MOCKER, {TOKENIZER: "/gone"}, facts)) == {("missing-path", ERROR, TOKENIZER)}


def test_only_aiperf_brings_a_tokenizer() -> None:
    found = findings(AGGREGATED, {TOKENIZER: "builtin", "benchmark.client": "sglang-bench"})
    assert [p.allowed for p in found] == ["an absolute path, or org/name"]


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("sa_bench_tokenizers.sglang_v4.Tokenizer", "without this key the model's own tokenizer is used"),
        ("deepseek_v4", "without this key the model's own tokenizer is used"),
        ("qwen3-32b", "/models/Qwen3-32B"),
    ],
)
def test_hints(named: str, hint: str) -> None:
    (problem,) = findings(AGGREGATED, {TOKENIZER: named})
    assert hint in problem.hint
