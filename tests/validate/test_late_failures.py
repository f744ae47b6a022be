"""What other launchers let through, and users found out when the nodes were allocated: one row each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from srtctl.validate import check_config
from tests.validate.jobs import (
    AGGREGATED,
    DECODE,
    ERROR,
    FACTS,
    GONE,
    MOCKER,
    PREFILL,
    SGLANG,
    WARNING,
    Row,
    changed,
    findings,
    rows,
)


@pytest.mark.parametrize("base", [MOCKER, SGLANG, AGGREGATED], ids=["mocker", "sglang", "aggregated"])
def test_good_jobs_have_no_finding(base: Mapping[str, Any]) -> None:
    assert rows(check_config(base, facts=FACTS)) == set()


ROWS: dict[str, Row] = {
    "unknown benchmark type": (
        MOCKER, {"benchmark.type": "sa_bench"}, {("unknown-option", ERROR, "benchmark.type")}),
    "no isl": (MOCKER, {"benchmark.isl": GONE}, {("benchmark-key", ERROR, "benchmark.isl")}),
    "no osl": (MOCKER, {"benchmark.osl": GONE}, {("benchmark-key", ERROR, "benchmark.osl")}),
    "no concurrencies": (
        MOCKER, {"benchmark.concurrencies": GONE}, {("benchmark-key", ERROR, "benchmark.concurrencies")}),
    "concurrencies as text": (
        MOCKER, {"benchmark.concurrencies": "4,8"}, {("benchmark-list", ERROR, "benchmark.concurrencies")}),
    "req_rate fast": (MOCKER, {"benchmark.req_rate": "fast"}, {("benchmark-list", ERROR, "benchmark.req_rate")}),
    "more GPUs than there are": (
        MOCKER, {"resources.decode_workers": 20, "cluster.nodes": 2}, {("placement", ERROR, "resources")}),
    "more GPUs than nodes x GPUs": (
        SGLANG, {"resources.gpus_per_decode": 32, f"{DECODE}.tp-size": 32},
        {("placement", ERROR, "resources"), ("ep-size", WARNING, f"{DECODE}.ep-size"),
         ("dp-size", WARNING, f"{DECODE}.dp-size")}),
    "0 GPUs per worker": (
        SGLANG, {"resources.prefill_workers": 20}, {("gpus-per-worker", ERROR, "resources.gpus_per_prefill")}),
    "GPUs lost by division": (
        SGLANG, {"resources.prefill_nodes": 1, "resources.prefill_workers": 3, f"{PREFILL}.tp-size": 2},
        {("idle-gpus", WARNING, "resources.prefill_workers")}),
    "tp above the worker's GPUs": (
        SGLANG, {f"{PREFILL}.tp-size": 16},
        {("worker-gpus", ERROR, f"{PREFILL}.tp-size")}),
    "tp below the worker's GPUs": (
        SGLANG, {f"{PREFILL}.tp-size": 4},
        {("worker-gpus", WARNING, f"{PREFILL}.tp-size")}),
    "aggregated and disaggregated": (MOCKER, {"resources.agg_workers": 1}, {("mixed-mode", ERROR, "resources")}),
    "a name that would add a line": (
        MOCKER, {"name": "x\n#SBATCH --qos=high"}, {("text", ERROR, "name")}),
    "JSON in a variable, unquoted": (
        MOCKER, {"environment.CONFIG": {"a": 1}}, {("wrong-type", ERROR, "environment.CONFIG")}),
    "JSON in a variable, as text": (MOCKER, {"environment.CONFIG": '{"a": {"b": 1}}'}, set()),
    "precision fp3": (MOCKER, {"model.precision": "fp3"}, {("precision", WARNING, "model.precision")}),
    "time limit banana": (MOCKER, {"slurm.time_limit": "banana"}, {("time-limit", ERROR, "slurm.time_limit")}),
    "mount without colon": (SGLANG, {"extra_mount": ["/nocolon"]}, {("mount", ERROR, "extra_mount[0]")}),
    "frontend foo": (MOCKER, {"frontend.type": "foo"}, {("allowed-value", ERROR, "frontend.type")}),
    "negative workers": (
        MOCKER, {"resources.prefill_workers": -1}, {("minimum", ERROR, "resources.prefill_workers")}),
    "no model path": (MOCKER, {"model.path": GONE}, {("missing-key", ERROR, "model.path")}),
    "max_attempts 0": (
        MOCKER, {"health_check.max_attempts": 0}, {("minimum", ERROR, "health_check.max_attempts")}),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_what_other_launchers_let_through(name: str) -> None:
    base, changes, expected = ROWS[name]
    assert rows(findings(base, changes)) == expected


def test_all_at_once() -> None:
    """A wrong type in one part hides nothing in the others."""
    changes = {
        "benchmark.isl": "long",
        "resources.prefill_workers": -1,
        "name": "a/b",
        "slurm.time_limit": "banana",
        "colour": 1,
    }
    assert rows(check_config(changed(MOCKER, changes), facts=FACTS)) == {
        ("wrong-type", ERROR, "benchmark.isl"),
        ("minimum", ERROR, "resources.prefill_workers"),
        ("text", ERROR, "name"),
        ("time-limit", ERROR, "slurm.time_limit"),
        ("unknown-key", ERROR, "colour"),
    }  # fmt: skip
