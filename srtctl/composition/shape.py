"""What the schema says about a dotted key, for messages and for keys that the schema leaves open."""

from __future__ import annotations

from srtctl.validate.fieldplan import REGISTERED, Kind, plan_of, registered_types

_OPEN = Kind("any", optional=True)


def kinds_of(key: str) -> list[tuple[Kind, bool]]:
    """The kinds that `key` can have, and whether it lies inside an open mapping; empty for an unknown key.

    The keys of `backend` and `benchmark` depend on their type, so there can be several.
    """
    from srtctl.schema import JobConfig

    found = [(Kind("node", node=JobConfig), False)]
    parts = key.split(".")
    for depth, part in enumerate(parts):
        below: list[tuple[Kind, bool]] = []
        for kind, opened in found:
            below += _step(kind, opened, part)
        if depth == 0 and part in REGISTERED:
            below = [(Kind("node", node=cls), False) for cls in registered_types(part).values()]
        found = list(dict.fromkeys(below))
    return found


def _step(kind: Kind, opened: bool, part: str) -> list[tuple[Kind, bool]]:
    if kind.node is not None:
        plan = plan_of(kind.node).get(part)
        return [(plan.kind, opened)] if plan is not None else []
    if kind.name == "map":
        return [(kind.element or _OPEN, True)]
    return [(_OPEN, True)] if kind.name == "any" else []


def adds_keys(key: str, text: str) -> bool:
    """Whether `key=text` puts keys into a mapping of the user's own keys: `environment.A=1`, `environment={A: 1}`."""
    kinds = kinds_of(key)
    if not kinds:
        return False
    return all(opened for _, opened in kinds) or ("{" in text and all(kind.name == "map" for kind, _ in kinds))


def takes_list(key: str) -> bool:
    """Whether a list can be meant for `key`."""
    return any(kind.name == "list" or (kind.name == "any" and not opened) for kind, opened in kinds_of(key))


def nullable_node(key: str) -> str | None:
    """The part of `key` that is a node which may be null, such as `profiling.prefill`."""
    parts = key.split(".")
    for depth in range(1, len(parts) + 1):
        parent = ".".join(parts[:depth])
        if any(kind.node is not None and kind.optional for kind, _ in kinds_of(parent)):
            return parent
    return None


def top_keys() -> list[str]:
    """The keys that a job has at its top."""
    import dataclasses

    from srtctl.schema import JobConfig

    return [f.name for f in dataclasses.fields(JobConfig)]
