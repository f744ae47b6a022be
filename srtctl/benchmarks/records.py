"""Data sets on disk: JSON, JSON lines and CSV, as lists of records."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_PARQUET = (
    "is a Parquet file, which needs more than the standard library to read; make JSON lines of it: "
    "python -c \"import pandas; pandas.read_parquet('IN').to_json('OUT.jsonl', orient='records', lines=True)\""
)


def records(path: Path, columns: tuple[str, ...] = ()) -> list[Record]:
    """The records of a file, in its order.

    Args:
        columns: Names of the columns of a CSV file that has no line of them.

    Raises:
        OSError: The file can't be read.
        ValueError: It is not what its name says; the text says what.
    """
    if path.suffix == ".csv":
        found = _csv(path, columns)
    elif path.suffix == ".parquet":
        raise ValueError(_PARQUET)
    else:
        found = _json(path)
    if not found:
        raise ValueError("holds no records")
    return found


def _csv(path: Path, columns: tuple[str, ...]) -> list[Record]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # contexts are longer than the module's default
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, fieldnames=columns or None))
    short = next((number for number, row in enumerate(rows, 1) if None in row.values()), None)
    if short is not None:
        raise ValueError(f"record {short} has fewer fields than there are columns")
    return rows


def _json(path: Path) -> list[Record]:
    """One array of objects, or one object with such an array in `data`, or one object a line."""
    found: list[Any]
    text = path.read_text(encoding="utf-8")
    try:
        whole = _whole(text)
        found = [json.loads(line) for line in text.split("\n") if line.strip()] if whole is None else whole
        if len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("data"), list):
            found = found[0]["data"]
    except ValueError as error:
        raise ValueError(f"is neither JSON lines nor one JSON array ({error})") from None
    if not all(isinstance(record, dict) for record in found):
        raise ValueError("holds something that is no object")
    return found


def _whole(text: str) -> list[Any] | None:
    """What one JSON document holds; None where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        if text.lstrip().startswith("["):
            raise
        return None
    return found if isinstance(found, list) else [found]


def need(record: Record, number: int, *names: str, empty: bool = False) -> list[Any]:
    """The values of a record under these names.

    Args:
        empty: An empty text is a value too.

    Raises:
        ValueError: One is missing.
    """
    missing = [name for name in names if record.get(name) in ((None,) if empty else (None, ""))]
    if missing:
        raise ValueError(f"record {number} has no {', '.join(missing)}")
    return [record[name] for name in names]
