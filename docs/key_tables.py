"""Tables of configuration keys: a row for each field of a part of the schema."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator

TYPE_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", typing.Any: "anything"}


def table(kind: type, prefix: str, *, nested: bool = True, without: type | None = None) -> list[str]:
    """The lines of a table: keys of a part, below `prefix`; those of the type `without` are left out."""
    rows = list(_rows(kind, prefix, nested, without))
    if not rows:
        return ["No keys of its own."]
    return ["| key | type | default | meaning |", "|---|---|---|---|", *rows]


def _rows(kind: type, prefix: str, nested: bool, without: type | None = None) -> Iterator[str]:
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(without)} if without else set()
    for field in dataclasses.fields(kind):
        if field.name in known:
            continue
        hint = _without_none(hints[field.name])
        if dataclasses.is_dataclass(hint):
            if nested:
                yield from _rows(typing.cast(type, hint), f"{prefix}{field.name}.", nested)
            elif prefix == "":
                text = field.metadata["help"]
                yield f"| [`{field.name}`](#{field.name}) | section | | {cell(text)} |"
            continue
        yield f"| `{prefix}{field.name}` | {_type_text(hint)} | {_default_text(field)} | {_meaning(field)} |"


def _meaning(field: dataclasses.Field[typing.Any]) -> str:
    text = str(field.metadata.get("help", ""))
    allowed = field.metadata.get("allowed") or ()
    minimum = field.metadata.get("minimum")
    unit = field.metadata.get("unit")
    facts = [f"Unit: {unit}."] if unit else []
    facts += ["One of " + ", ".join(f"`{value}`" for value in allowed) + "."] if allowed else []
    facts += [f"At least {minimum:g}."] if minimum is not None else []
    facts += ["*transient*"] if field.metadata.get("transient") else []
    return cell(" ".join([text, *facts]))


def _default_text(field: dataclasses.Field[typing.Any]) -> str:
    factory = field.default_factory
    value = factory() if factory is not dataclasses.MISSING else field.default
    if value == "???":
        return "**required**"
    if value is None or value in ({}, []):
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{cell(shown)}`"


def _type_text(hint: typing.Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return f"list of {_type_text(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type_text(arguments[1])}"
    return TYPE_NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def _without_none(hint: typing.Any) -> typing.Any:
    """`Optional[X]` -> X."""
    arguments = typing.get_args(hint)
    rest = [a for a in arguments if a is not type(None)]
    return rest[0] if type(None) in arguments and len(rest) == 1 else hint


def cell(text: str) -> str:
    """A text as it may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")
