"""What the schema says, worked out once per dataclass, so that building and walking a job costs little per point.

A thousand-point sweep builds, checks and identifies a thousand jobs; reading annotations each time would cost more
than everything else together.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any

from srtctl.schema import MISSING, JobConfig

REGISTERED = ("backend", "benchmark")
"""Nodes of a job whose keys depend on their `type`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of one value.

    Attributes:
        name: `str`, `int`, `float`, `bool`, `any`, `map`, `list` or `node`.
        optional: Null is allowed.
        element: Kind of the values of a map or list.
        node: The dataclass of a node.
    """

    name: str
    optional: bool = False
    element: Kind | None = None
    node: type | None = None

    @property
    def exact(self) -> frozenset[type]:
        """Types whose values need no conversion and no look inside."""
        scalars: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
        types: list[type] = [scalars[self.name]] if self.name in scalars else []
        return frozenset([*types, NoneType] if self.optional else types)

    @property
    def expected(self) -> str:
        """The type in words."""
        words = {"str": "text", "int": "an integer", "float": "a number", "bool": "true or false", "any": "anything"}
        words |= {"map": "a mapping", "list": "a list", "node": "a mapping"}
        text = words[self.name]
        if self.element is not None and self.element.name != "any":
            plural = {"str": "texts", "int": "integers", "float": "numbers", "bool": "true/false values"}
            text += f" of {plural.get(self.element.name, self.element.name)}"
        return text + (" or null" if self.optional else "")


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One key of a node."""

    name: str
    kind: Kind
    exact: frozenset[type]
    default: Callable[[], Any]
    mandatory: bool
    transient: bool
    allowed: tuple[str, ...]
    minimum: float | None
    unit: str
    help: str

    @property
    def constrained(self) -> bool:
        """Whether a value of the right type can still be wrong."""
        return bool(self.allowed) or self.minimum is not None or self.kind.name == "float"


def kind_of(annotation: Any) -> Kind:
    """The kind that an annotation of the schema stands for."""
    if annotation is Any:
        return Kind("any", optional=True)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        inner = [a for a in args if a is not NoneType]
        if len(inner) != 1:
            return Kind("any", optional=True)
        return dataclasses.replace(kind_of(inner[0]), optional=True)
    if origin is dict:
        return Kind("map", element=kind_of(args[1]))
    if origin is list:
        return Kind("list", element=kind_of(args[0]))
    if dataclasses.is_dataclass(annotation):
        return Kind("node", node=typing.cast(type, annotation))
    return Kind(annotation.__name__)


@cache
def plan_of(cls: type) -> dict[str, FieldPlan]:
    """Every key of a schema dataclass, in the order of the schema."""
    hints = typing.get_type_hints(cls)
    return {f.name: _plan_field(f, hints[f.name]) for f in dataclasses.fields(cls)}


def _plan_field(field: dataclasses.Field[Any], annotation: Any) -> FieldPlan:
    kind = kind_of(annotation)
    default: Callable[[], Any]
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory
    elif field.default is not dataclasses.MISSING:
        constant = field.default
        default = lambda: constant  # noqa: E731
    else:
        default = lambda: MISSING  # noqa: E731
    return FieldPlan(
        name=field.name,
        kind=kind,
        exact=kind.exact,
        default=default,
        mandatory=field.default == MISSING,
        transient=bool(field.metadata.get("transient")),
        allowed=tuple(field.metadata.get("allowed", ())),
        minimum=field.metadata.get("minimum"),
        unit=field.metadata.get("unit", ""),
        help=field.metadata.get("help", ""),
    )


def registered_types(node: str) -> dict[str, type]:
    """Type -> dataclass of its keys, for `backend` or `benchmark`."""
    # imported here: these packages stand beside this one, and a job without them can still be built
    if node == "backend":
        from srtctl.backends import BACKENDS

        return {name: entry.params for name, entry in BACKENDS.items()}
    from srtctl.benchmarks import BENCHMARKS

    return {name: entry.params for name, entry in BENCHMARKS.items()}


def walk(cls: type = JobConfig, prefix: str = "") -> Iterator[tuple[str, FieldPlan]]:
    """Every key below `cls` as (dotted key, plan), nodes before what is in them."""
    for name, plan in plan_of(cls).items():
        yield prefix + name, plan
        if plan.kind.node is not None:
            yield from walk(plan.kind.node, f"{prefix}{name}.")
