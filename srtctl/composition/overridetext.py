"""Values as text: in the grammar of Hydra's overrides, and inside other texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def to_text(value: Any) -> str:
    """`value` in the grammar of Hydra's overrides, its type kept."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{to_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(to_text, value)) + "]"
    return quote(str(value))


def quote(text: str) -> str:
    """`text` between single quotes; backslashes count only where they stand before a quote."""
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", text)
    escaped = re.sub(r"(\\+)$", lambda match: match[1] * 2, escaped)
    return f"'{escaped}'"


def joined_text(value: Any) -> str:
    """How a value reads inside a text: lists joined by commas, true and false as YAML writes them."""
    if isinstance(value, list):
        return ",".join(map(joined_text, value))
    if value is None or isinstance(value, bool):
        return to_text(value)
    return str(value)
