"""Every point of a sweep as rows, and rows as text: a table for people, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from srtctl.benchmarks.rows import ROW_FIELDS
from srtctl.errors import Problem, SrtctlError, suggestion
from srtctl.results.state import PointState, SweepState

UNITS = {field.name: field.unit for field in ROW_FIELDS}

# Column -> heading. The unit is in the heading, so that a copied table still says what it holds.
DEFAULT_COLUMNS = {
    "point": "point",
    "mode": "mode",
    "gpus": "GPUs",
    "isl": "ISL",
    "osl": "OSL",
    "concurrency": "conc",
    "req_rate": "rate",
    "prefix_ratio": "prefix",
    "requests_completed": "done",
    "requests_failed": "failed",
    "requests_missing": "missing",
    "score_name": "score of",
    "score": "score",
    "score_stderr": "±",
    "score_n": "questions",
    "answers_unreadable": "unreadable",
    "cache_hit_ratio": "cache hits",
    "ttft_p50_ms": "TTFT p50 ms",
    "ttft_p99_ms": "TTFT p99 ms",
    "tpot_p50_ms": "TPOT p50 ms",
    "tpot_p99_ms": "TPOT p99 ms",
    "output_tok_s": "out tok/s",
    "total_tok_s_per_gpu": "total tok/s/GPU",
    "output_tok_s_per_decode_gpu": "out tok/s/decode GPU",
    "interactivity_p50": "tok/s/user p50",
    "state": "state",
}
_ALWAYS = ("point", "state")
_SWEPT = "="
"""Ends the names of columns that hold an override, so that `mode=` is another column than `mode`."""


def all_rows(found: SweepState) -> list[dict[str, Any]]:
    """One row per measurement, and one for each point without any; all have `state` and `reason`."""
    return [row for point in found.points for row in _rows_of(point)]


def _rows_of(point: PointState) -> list[dict[str, Any]]:
    if not point.rows:
        return [_row_without_result(point)]
    rows = []
    for row in point.rows:
        invalid = row.get("valid") is False and point.state in ("ok", "invalid")
        state = "invalid" if invalid else "ok" if point.state == "invalid" else point.state
        rows.append({**row, "state": state, "reason": point.reason or None})
    return rows


def _row_without_result(point: PointState) -> dict[str, Any]:
    summary = point.record.get("summary") or {}
    known = {key: point.record.get(key) for key in ("config_id", "deployment_id", "overrides", "benchmark")}
    known |= {key: summary.get(key) for key in ("mode", "isl", "osl")}
    known |= {"point": point.index, "point_name": point.record.get("name")}
    return {**known, "state": point.state, "reason": point.reason or None}


def with_swept(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with a column `key=` for every override in which the points differ and that no other column shows."""
    given = [_overrides(row) for row in rows]
    keys = dict.fromkeys(key for overrides in given for key in overrides)
    swept = [key for key in keys if len({overrides.get(key) for overrides in given}) > 1]
    shown = {key for key in swept if all(_shows(row, key, o.get(key)) for row, o in zip(rows, given, strict=True))}
    added = [{key + _SWEPT: o.get(key) for key in swept if key not in shown} for o in given]
    return [{**row, **columns} for row, columns in zip(rows, added, strict=True)]


def _overrides(row: dict[str, Any]) -> dict[str, str]:
    """Key -> value of a row's overrides; the key of a recipe's parameter is its name."""
    words = [str(word).partition("=") for word in row.get("overrides") or ()]
    return {key.lstrip("+").removeprefix("sweep."): value for key, _, value in words}


def _shows(row: dict[str, Any], key: str, value: str | None) -> bool:
    field = key.rpartition(".")[2]
    return field in DEFAULT_COLUMNS and field in row and str(row[field]) == value


def choose_columns(wanted: str | None, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Column -> heading; by default those of `DEFAULT_COLUMNS` that hold anything, and a custom benchmark's own.

    Args:
        wanted: Names with commas between them; `+name` adds to the default.

    Raises:
        SrtctlError: A name is no field of these rows.
    """
    held = {name for row in rows for name, value in row.items() if value is not None}
    chosen = {"point": DEFAULT_COLUMNS["point"]} | {n: n for row in rows for n in row if n.endswith(_SWEPT)}
    chosen |= {name: heading for name, heading in DEFAULT_COLUMNS.items() if name in held or name in _ALWAYS}
    if all(row.get("req_rate") in (None, "inf") for row in rows):
        chosen.pop("req_rate", None)
    own = sorted(held - set(UNITS) - set(DEFAULT_COLUMNS) - {"reason"})
    chosen |= {name: name for name in own if any(_is_number(row.get(name)) for row in rows)}
    if not wanted:
        return {**{k: v for k, v in chosen.items() if k != "state"}, "state": "state"}
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    known = {*UNITS, *held, "state", "reason"}
    for name in names:
        if name.lstrip("+") not in known:
            raise SrtctlError(_unknown_column(name.lstrip("+"), known))
    base = chosen if any(name.startswith("+") for name in names) else {}
    return base | {name.lstrip("+"): heading(name.lstrip("+")) for name in names}


def heading(name: str) -> str:
    """A column's heading: its field's name, and its unit where the name doesn't end in it."""
    unit = UNITS.get(name, "")
    if name in DEFAULT_COLUMNS:
        return DEFAULT_COLUMNS[name]
    return name if not unit or name.endswith(f"_{unit}") else f"{name} ({unit})"


def cell(value: Any) -> str:
    """A value for people: four significant digits at most, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_csv(rows: Iterable[dict[str, Any]], columns: Sequence[str] | None) -> str:
    """CSV with field names as headings and full precision; structures as JSON. Default: every field."""
    rows = list(rows)
    extra = [name for row in rows for name in row if name not in UNITS and name not in ("state", "reason")]
    names = list(columns or [*UNITS, *dict.fromkeys(extra), "state", "reason"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_csv_cell(row.get(name)) for name in names])
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict, bool)) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _unknown_column(name: str, known: Iterable[str]) -> Problem:
    hint = f"{suggestion(name, known)} ".lstrip()
    return Problem(
        "column",
        f"there is no column {name!r}",
        key="--columns",
        allowed="field names of the rows; +name adds to the default columns",
        hint=f"{hint}`srtctl results --fields` lists them",
    )
