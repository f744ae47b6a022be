"""What a release of SGLang makes of a flag's value, as its argument parser would."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srtctl.backends.sglang_releases import Flag
from srtctl.errors import suggestion

_HUMAN = re.compile(r"\s*(\d+(\.\d+)?[kMGT]|\d+[KMGT]i|[+-]?\d+)\s*")
_READERS: dict[str, Callable[[str], object]] = {"int": int, "float": float, "json": json.loads}
_KINDS = {"int": "an integer", "float": "a number", "human-int": "an integer, or one such as 8k", "json": "JSON"}


@dataclass(frozen=True)
class Wrong:
    """Why a value is refused, and the part of it that is meant."""

    message: str
    value: Any
    hint: str = ""


def allowed_values(flag: Flag) -> str:
    """What the flag takes, in words; empty where that is any text."""
    if flag.kind in ("switch", "toggle"):
        return "true, false or null"
    return ", ".join(str(choice) for choice in flag.choices) or _KINDS.get(flag.kind, "")


def wrong_value(flag: Flag, value: Any) -> Wrong | None:
    """What is wrong with a value; null, false and no values leave a flag out, which is always right."""
    if value is None or value is False or value == []:
        return None
    if flag.kind in ("switch", "toggle"):
        return None if value is True else Wrong("a switch takes no value", value)
    if value is True:
        return None if flag.nargs in ("*", "?") else Wrong("needs a value", value)
    if flag.kind == "json" and flag.nargs is None and isinstance(value, (list, tuple)):
        return None
    if isinstance(value, (list, tuple)) and len(value) > 1 and flag.nargs not in ("+", "*"):
        return Wrong("takes one value, not a list", value)
    items = value if isinstance(value, (list, tuple)) else [value]
    return next((found for found in (_wrong_item(flag, item) for item in items) if found is not None), None)


def _wrong_item(flag: Flag, item: Any) -> Wrong | None:
    words = [str(choice) for choice in flag.choices]
    if words and str(item) not in words:
        return Wrong("not one of the values that SGLang takes", item, suggestion(str(item), words))
    return None if _fits(flag.kind, item) else Wrong(f"must be {_KINDS[flag.kind]}", item)


def _fits(kind: str, value: Any) -> bool:
    if kind == "json" and isinstance(value, (dict, list)):
        return True
    if kind not in _KINDS:
        return True
    if isinstance(value, (bool, dict, list)):
        return False
    if kind == "human-int":
        return _HUMAN.fullmatch(str(value)) is not None
    try:
        _READERS[kind](str(value))
    except ValueError:
        return False
    return True
