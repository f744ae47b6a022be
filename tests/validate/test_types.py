"""From plain dicts to typed jobs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from srtctl.backends.mocker import MockerParams
from srtctl.benchmarks.params import SaBenchConfig
from srtctl.schema import JobConfig
from srtctl.validate import build_job
from srtctl.validate.fieldplan import walk
from tests.validate.jobs import MOCKER, SGLANG, changed, rows


def test_the_type_chooses_the_keys() -> None:
    job, problems = build_job(MOCKER)
    assert problems == []
    assert job is not None
    assert type(job.backend) is MockerParams
    assert type(job.benchmark) is SaBenchConfig
    assert job.benchmark.concurrencies == [4, 8]


@pytest.mark.parametrize("config", [MOCKER, SGLANG])
def test_a_whole_job_comes_back_as_it_went_in(config: dict[str, Any]) -> None:
    job, _ = build_job(config)
    assert job is not None
    again, problems = build_job(dataclasses.asdict(job))
    assert problems == []
    assert again == job


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("slurm.time_limit", 30, "30"),
        ("slurm.account", 1234, "1234"),
        ("environment.X", 1, "1"),
        ("environment.X", 0.5, "0.5"),
        ("health_check.interval_seconds", 5, 5.0),
        ("benchmark.isl", "512", 512),
        ("launcher.wait", "true", True),
        ("slurm.qos", None, None),
    ],
)
def test_values_are_converted_as_composition_does_it(key: str, value: object, expected: object) -> None:
    job, problems = build_job(changed(MOCKER, {key: value}))
    assert problems == []
    found: Any = job
    for part in key.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("benchmark.isl", 1.5, "expected an integer or null"),
        ("benchmark.isl", True, "expected an integer or null"),
        ("benchmark.seed", None, "expected an integer"),
        ("benchmark.ignore_eos", "maybe", "expected true or false"),
        ("health_check.interval_seconds", "soon", "expected a number"),
        ("resources", [1], "expected a mapping"),
        ("resources", None, "expected a mapping"),
        ("environment", ["A=1"], "expected a mapping of texts"),
        ("environment.A", None, "expected text"),
        ("extra_mount", "/a:/b", "expected a list of texts"),
        ("tags", [["a"]], "expected text"),
        ("slurm.account", {"a": 1}, "expected text or null"),
    ],
)
def test_wrong_types(key: str, value: object, words: str) -> None:
    job, problems = build_job(changed(MOCKER, {key: value}))
    assert job is None
    assert [(p.rule, p.message) for p in problems] == [("wrong-type", words)]
    assert problems[0].key.startswith(key)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("resources.prefil_workers", "did you mean prefill_workers"),
        ("resources.prefill-workers", "did you mean prefill_workers?"),
        ("isl", "did you mean benchmark.isl?"),
        ("decode_workers", "did you mean resources.decode_workers?"),
        ("benchmark.num_warmup_multi", "did you mean num_warmup_mult"),
        ("slurm.begin", "other options of sbatch: sbatch_directives.begin"),
        ("slurm.wckey_name", "other options of sbatch: sbatch_directives.wckey-name"),
        ("slurm.time", "did you mean time_limit"),
        ("xyzzy", ""),
        ("nam", "did you mean name?"),
        ("fpx", ""),
    ],
)
def test_unknown_keys_get_a_suggestion(key: str, hint: str) -> None:
    job, problems = build_job(changed(MOCKER, {key: 1}))
    assert job is None
    assert rows(problems) == {("unknown-key", "error", key)}
    assert problems[0].hint.startswith(hint) if hint else problems[0].hint == ""


def test_missing_values() -> None:
    config = changed(MOCKER, {"name": "???", "model": {}, "slurm.account": "???"})
    assert rows(build_job(config)[1]) == {
        ("missing-key", "error", "name"),
        ("missing-key", "error", "model.path"),
        ("missing-key", "error", "slurm.account"),
    }


def test_a_secret_is_not_shown() -> None:
    secret = "abcdefgh"
    problems = build_job(changed(MOCKER, {"HF_TOKEN": secret, "environment.API_KEY": [secret]}))[1]
    assert rows(problems) == {("unknown-key", "error", "HF_TOKEN"), ("wrong-type", "error", "environment.API_KEY")}
    assert secret not in repr(problems)


def test_every_key_of_the_schema_is_documented_and_typed() -> None:
    for key, plan in walk(JobConfig):
        assert plan.kind.name in {"str", "int", "float", "bool", "any", "map", "list", "node"}, key
