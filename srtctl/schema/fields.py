"""How a key is declared: its default, its meaning, its unit and what is allowed, in one place."""

from __future__ import annotations

import dataclasses
from typing import Any

MISSING: Any = "???"  # omegaconf's own mark for a mandatory value, spelled out so that the schema needs no library


def key(
    default: Any = MISSING,
    help: str = "",
    *,
    unit: str = "",
    allowed: tuple[str, ...] = (),
    minimum: float | None = None,
    transient: bool = False,
) -> Any:
    """A dataclass field with its documentation.

    Args:
        default: The default value; lists, dicts and dataclass types become default factories.
        help: Meaning, one sentence.
        unit: Unit of a number, such as `s` or `GiB`.
        allowed: The values a string may have.
        minimum: Smallest number allowed.
        transient: Does not change what is measured, so it is no part of `config_id`.
    """
    metadata = {"help": help, "unit": unit, "allowed": allowed, "minimum": minimum, "transient": transient}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
