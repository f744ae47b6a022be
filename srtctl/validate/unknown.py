"""Jobs of which a part is not known because it was written wrongly: what follows from that part must not be judged.

A rule that asks such a job for a key that isn't known ends there. So everything else is still checked, and nothing is
said that would only follow from the value put in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from srtctl.errors import Problem, errors_of

Node = TypeVar("Node")

_INDEX = re.compile(r"\[.*")


class Unknown(Exception):  # noqa: N818 - it says something about the job, and no error is ever shown from it
    """Somebody asked for a key whose value is not known."""


def unknown_keys(problems: Iterable[Problem]) -> list[str]:
    """The dotted keys that can't be judged while these errors are there."""
    keys = (key for p in errors_of(problems) for key in (p.key, *p.affects))
    return list(dict.fromkeys(_INDEX.sub("", key) for key in keys if key))


def lies_in(key: str, keys: Iterable[str]) -> bool:
    """Whether a dotted key is one of `keys` or below one of them."""
    path = _INDEX.sub("", key)
    return any(path == other or path.startswith(f"{other}.") for other in keys)


def with_unknown(node: Node, keys: Iterable[str]) -> Node:
    """The same job (or part of one), raising `Unknown` where one of `keys` is read; keys it does not have are ignored.

    What is below a mapping of the user's own keys makes the whole mapping unknown.
    """
    below: dict[str, list[str]] = {}
    for key in keys:
        name, _, rest = key.partition(".")
        below.setdefault(name, []).append(rest)
    values = dict(vars(node))
    hidden: dict[str, Any] = {}
    for name, rests in below.items():
        if name not in values:
            continue
        if all(rests) and hasattr(values[name], "__dataclass_fields__"):
            values[name] = with_unknown(values[name], rests)
        else:
            hidden[name] = property(_refuse)
    # a class of its own, because what its property hides may still be in the instance
    cls: Any = type(type(node).__name__, (type(node),), hidden) if hidden else type(node)
    made: Node = object.__new__(cls)
    vars(made).update(values)
    return made


def _refuse(node: Any) -> NoReturn:
    raise Unknown
