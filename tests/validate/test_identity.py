"""Ids: what changes them, what does not, and that they stay what they are from release to release."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from srtctl.errors import SrtctlError
from srtctl.identity import canonical_config, config_id, deployment_id
from srtctl.schema import JobConfig
from srtctl.validate import build_job
from srtctl.validate.fieldplan import FieldPlan, plan_of
from tests.validate.jobs import AGGREGATED, GONE, MOCKER, SGLANG, changed

# Results on users' disks are found by these. A change here needs a new id_version, and a reason.
GOLDEN = [
    (MOCKER, "07e4dcd51d6d2165", "c708ac7d1a602a2f"),
    (changed(SGLANG, {"backend.version": GONE}), "64d1fa0330e707bf", "2d5ac917cdbcd78d"),
    (changed(AGGREGATED, {"backend.version": GONE}), "9c381a0c809c1686", "8e7fb8269171b4c1"),
]


@pytest.mark.parametrize(("config", "point", "deployment"), GOLDEN, ids=["mocker", "sglang", "aggregated"])
def test_ids_of_known_jobs(config: Mapping[str, Any], point: str, deployment: str) -> None:
    assert (config_id(config, file_hashes={}), deployment_id(config, file_hashes={})) == (point, deployment)


def test_what_an_id_is_made_of() -> None:
    assert canonical_config(MOCKER, file_hashes={"setup_script": "ab" * 32}) == {
        "id_version": 1,
        "config": {
            "model": {"path": "builtin:tiny"},
            "backend": {"type": "mocker"},
            "resources": {"prefill_workers": 1, "decode_workers": 2, "gpus_per_prefill": 2, "gpus_per_decode": 1},
            "benchmark": {"type": "sa-bench", "isl": 1024, "osl": 128, "concurrencies": [4, 8]},
            "cluster": {"gpus_per_node": 8, "simulated_gpus": True},
        },
        "files": {"setup_script": "ab" * 32},
    }


def ids(config: Mapping[str, Any] | JobConfig, **hashes: str) -> tuple[str, str]:
    return config_id(config, file_hashes=hashes), deployment_id(config, file_hashes=hashes)


@pytest.mark.parametrize("config", [MOCKER, SGLANG, AGGREGATED])
def test_spelling_does_not_matter(config: dict[str, Any]) -> None:
    job, _ = build_job(config)
    assert job is not None
    whole = dataclasses.asdict(job)
    assert ids(config) == ids(job) == ids(whole) == ids(_shuffled(whole, random.Random(3)))


def _shuffled(value: Any, order: random.Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        order.shuffle(items)
        return {key: _shuffled(item, order) for key, item in items}
    return value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"health_check.interval_seconds": 5}, {"health_check.interval_seconds": 5.0}),
        ({"benchmark.isl": "64"}, {"benchmark.isl": 64}),
        ({"environment.A": 1}, {"environment.A": "1"}),
        ({"model.path": "a", "cluster.model_paths": {"a": "/m"}}, {"model.path": "/m"}),
        ({"cluster.model_paths": {"unused": "/m"}}, {}),
        ({"cluster.nodes": 100}, {}),
        ({"profiling.prefill": None}, {}),
    ],
)
def test_equal_in_meaning(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert ids(changed(MOCKER, one)) == ids(changed(MOCKER, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"backend.mocker_config": {"common": {"x": 1}}}, {"backend.mocker_config": {"common": {"x": 1.0}}}),
        ({"backend.mocker_config": {"common": {"x": 1}}}, {"backend.mocker_config": {"common": {"x": True}}}),
        ({"backend.mocker_config": {"common": {"x": 1}}}, {"backend.mocker_config": {"common": {"x": "1"}}}),
        ({"backend.mocker_config": {"common": {"x": None}}}, {"backend.mocker_config": {"common": {}}}),
        (
            {"model.path": "a", "cluster.model_paths": {"a": "/m"}},
            {"model.path": "a", "cluster.model_paths": {"a": "/n"}},
        ),
        ({"backend": {"type": "mocker"}}, {"backend": {"type": "sglang"}}),
    ],
)
def test_different_in_meaning(one: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = ids(changed(MOCKER, one)), ids(changed(MOCKER, other))
    assert a[0] != b[0]
    assert a[1] != b[1]


def _settable(cls: type, prefix: str = "", transient: bool = False) -> Iterator[tuple[str, FieldPlan, bool]]:
    for name, plan in plan_of(cls).items():
        hidden = transient or plan.transient
        if plan.kind.node is not None:
            yield from _settable(plan.kind.node, f"{prefix}{name}.", hidden)
        else:
            yield f"{prefix}{name}", plan, hidden


def _other_value(plan: FieldPlan) -> Any:
    default = plan.default()
    values: dict[str, Any] = {"str": "other", "any": "other", "map": {"k": "v"}, "list": ["v"]}
    if plan.kind.name == "bool":
        return not default if plan.name != "simulated_gpus" else default  # MOCKER says true, the default is false
    if plan.kind.name in ("int", "float"):
        return (default if isinstance(default, (int, float)) else 0) + 7
    return values[plan.kind.name]


JOB = build_job(MOCKER)[0]
assert JOB is not None
KEYS = [
    entry
    for prefix, cls in (("", JobConfig), ("backend.", type(JOB.backend)), ("benchmark.", type(JOB.benchmark)))
    for entry in _settable(cls, prefix)
    if entry[0] not in ("backend.type", "benchmark.type")
]
LIMITS = {"cluster.model_paths", "cluster.containers", "cluster.nodes"}
PLACEMENT = {"benchmark.client_placement", "benchmark.client_dedicated_node", "benchmark.colocate_with_frontend"}


@pytest.mark.parametrize(("key", "plan", "transient"), KEYS, ids=[key for key, _, _ in KEYS])
def test_every_key_counts_unless_it_changes_nothing(key: str, plan: FieldPlan, transient: bool) -> None:
    before = ids(MOCKER)
    after = ids(changed(MOCKER, {key: _other_value(plan)}))
    unseen = transient or key in LIMITS
    window = key.startswith("profiling.") and key.endswith("_step")
    workload = key.startswith("benchmark.") and key not in PLACEMENT
    assert (before[0] != after[0]) is not unseen
    if not window:  # that a role is profiled at all belongs to the deployment
        assert (before[1] != after[1]) is not (unseen or workload)


def test_the_window_of_a_profiler_is_workload() -> None:
    one, other = ({"profiling.decode": {"start_step": step, "stop_step": 9}} for step in (1, 2))
    a, b = ids(changed(MOCKER, one)), ids(changed(MOCKER, other))
    assert a[0] != b[0]
    assert a[1] == b[1]


def test_a_file_counts_by_what_is_in_it() -> None:
    here, there = changed(MOCKER, {"setup_script": "/a/s.sh"}), changed(MOCKER, {"setup_script": "s.sh"})
    assert ids(here, setup_script="11" * 32) == ids(there, setup_script="11" * 32)
    assert ids(here, setup_script="11" * 32)[0] != ids(here, setup_script="22" * 32)[0]
    assert ids(here, setup_script="11" * 32)[1] != ids(here, setup_script="22" * 32)[1]
    assert ids(here)[0] != ids(there)[0]


def test_a_file_of_the_workload_does_not_change_the_deployment() -> None:
    key = {"benchmark.dataset_path": "11" * 32}
    assert config_id(MOCKER, file_hashes=key) != config_id(MOCKER, file_hashes={})
    assert deployment_id(MOCKER, file_hashes=key) == deployment_id(MOCKER, file_hashes={})


def test_a_config_that_fits_no_schema_has_no_id() -> None:
    with pytest.raises(SrtctlError, match="colour"):
        config_id(changed(MOCKER, {"colour": 1}), file_hashes={})


def test_ids_look_like_ids() -> None:
    for text in ids(MOCKER):
        assert len(text) == 16
        assert int(text, 16) >= 0
