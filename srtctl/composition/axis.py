"""One override of a sweep, taken apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One override of a sweep.

    Attributes:
        key: Its left side, as `get_key_element` says it (with + or ~).
        texts: The whole overrides it stands for, one per value; a single one when it isn't swept.
        swept: It is a comma list, range or glob, or a single value that the sweep's own config has not been given.
        group: It chooses an option of a group.
        plain: It sets a value (no +, ~ or package).
    """

    key: str
    texts: tuple[str, ...]
    swept: bool
    group: bool
    plain: bool
