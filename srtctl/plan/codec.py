"""Plans and steps as JSON text, and back."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from srtctl.plan.model import SCHEMA_VERSION

T = TypeVar("T")


def to_json(value: Any) -> str:
    """Stable JSON text of a plan or of a point's steps: keys sorted, two spaces, a newline at the end."""
    return json.dumps(dataclasses.asdict(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def from_json(cls: type[T], text: str) -> T:
    """Read what `to_json` wrote.

    Raises:
        ValueError: The text was written by another version of the schema, or does not fit `cls`.
    """
    data = json.loads(text)
    found = data.get("schema_version") if isinstance(data, dict) else None
    if found != SCHEMA_VERSION:
        raise ValueError(f"schema_version {found!r} is not {SCHEMA_VERSION}: written by another release of srtctl")
    return typing.cast(T, _build(cls, data))


def _build(kind: Any, data: Any) -> Any:
    """`data` (plain JSON values) as an instance of the annotation `kind`."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        unknown = set(data) - set(hints)
        if unknown:
            raise ValueError(f"{kind} has no field {min(unknown)!r}")
        return typing.cast(Any, kind)(**{name: _build(hints[name], value) for name, value in data.items()})
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if data is None:
            return None
        return _build(next(a for a in args if a is not type(None)), data)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_build(args[0], item) for item in data)
        return tuple(_build(a, item) for a, item in zip(args, data, strict=True))
    if origin is not None and isinstance(data, dict):
        return {key: _build(args[1], value) for key, value in data.items()}
    return data
