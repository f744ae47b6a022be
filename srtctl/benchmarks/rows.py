"""Result rows: a measurement with its identity, denominators, verdicts and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from srtctl.benchmarks.fields import MEASURED, ROW_FIELDS, RowField
from srtctl.benchmarks.validity import is_valid, verdicts
from srtctl.plan.model import Plan, PointSteps, Step

__all__ = ["ROW_FIELDS", "RowField", "complete_rows", "denominators", "mode_text"]

IDENTITY = ("sweep", "point", "point_name", "config_id", "deployment_id", "overrides", "attempt")


def complete_rows(
    measurements: Sequence[Mapping[str, Any]],
    *,
    plan: Plan,
    point: PointSteps,
    step: Step,
    identity: Mapping[str, Any],
    census: Mapping[str, bool] | None = None,
) -> list[dict[str, Any]]:
    """The rows of a step's measurements: every key of `ROW_FIELDS`, then a custom benchmark's own numbers.

    Args:
        measurements: What the benchmark's parser found.
        plan: The servers that were measured.
        point: The workload of the point.
        step: The step that measured.
        identity: `sweep`, `point` (index), and whatever else of `IDENTITY` is known.
        census: Moment (`start`, `end`) -> whether all workers were registered then; None when nobody looked.
    """
    return [_row(dict(m), plan, point, step, identity, census) for m in measurements]


def _row(
    measurement: dict[str, Any],
    plan: Plan,
    point: PointSteps,
    step: Step,
    identity: Mapping[str, Any],
    census: Mapping[str, bool] | None,
) -> dict[str, Any]:
    settings = {**step.settings, **measurement.get("settings", {})}
    row: dict[str, Any] = dict.fromkeys(field.name for field in ROW_FIELDS)
    row |= {name: identity.get(name) for name in IDENTITY}
    row["config_id"] = row["config_id"] or point.config_id
    row["deployment_id"] = row["deployment_id"] or plan.deployment_id
    row |= {"benchmark": point.benchmark, "measurement": step.name}
    row |= {name: settings.get(name) for name in ("concurrency", "req_rate", "isl", "osl", "prefix_ratio")}
    row |= {name: measurement[name] for name in MEASURED if name in measurement}
    gpus = _gpu_counts(plan)
    row |= gpus | denominators(row, **gpus)
    row |= {"settings": settings, "errors": measurement.get("errors", [])}
    row |= {name: value for name, value in measurement.get("custom", {}).items() if name not in row}
    row["client"] = dict(measurement.get("client", {}))
    row["mode"] = mode_text(plan)
    row["provenance"] = _provenance(plan)
    row["validity"] = verdicts(row, census)
    row["valid"] = is_valid(row)
    return row


def _gpu_counts(plan: Plan) -> dict[str, int]:
    counts = {f"{role}_gpus": int(plan.denominators.get(role, 0)) for role in ("prefill", "decode", "aggregated")}
    return {**counts, "gpus": int(plan.denominators.get("all", sum(counts.values())))}


def denominators(
    measures: Mapping[str, Any], *, prefill_gpus: int, decode_gpus: int, aggregated_gpus: int, gpus: int
) -> dict[str, float | None]:
    """Throughput per GPU under every denominator, and interactivity.

    A role without GPUs of its own (an aggregated deployment, or workers that hold none) is divided by all GPUs; without
    any GPU the figure is None. `aggregated_gpus` are part of `gpus` and need no rule of their own.
    """

    def per_gpu(name: str, count: int) -> float | None:
        value = measures.get(name)
        return value / count if value is not None and count > 0 else None

    def inverse(name: str) -> float | None:
        value = measures.get(name)
        return 1000 / value if value else None

    return {
        "total_tok_s_per_gpu": per_gpu("total_tok_s", gpus),
        "output_tok_s_per_gpu_all": per_gpu("output_tok_s", gpus),
        "output_tok_s_per_decode_gpu": per_gpu("output_tok_s", decode_gpus or gpus),
        "input_tok_s_per_prefill_gpu": per_gpu("input_tok_s", prefill_gpus or gpus),
        "interactivity_p50": inverse("tpot_p50_ms"),
        "interactivity_p99": inverse("tpot_p99_ms"),
    }


def mode_text(plan: Plan) -> str:
    """`2P1D`, or `4A` for aggregated workers."""
    letters = {"prefill": "P", "decode": "D", "aggregated": "A"}
    counts = {role: sum(worker.role == role for worker in plan.workers) for role in letters}
    return "".join(f"{count}{letters[role]}" for role, count in counts.items() if count)


def _provenance(plan: Plan) -> dict[str, Any]:
    known = {"model": plan.model, "backend": plan.backend, "frontend": plan.frontend, **plan.provenance}
    return known if plan.profiler.type == "none" else {**known, "profiler": plan.profiler.type}
