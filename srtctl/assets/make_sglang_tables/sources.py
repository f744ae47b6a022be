"""Values out of a Python package that is read, not imported: what a name stands for, as far as its source tells."""

from __future__ import annotations

import ast
import operator
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Mult: operator.mul,
    ast.LShift: operator.lshift,
}


class UnknownValueError(Exception):
    """The source doesn't tell without running it."""


@dataclass(frozen=True)
class Class:
    """A class of the package: where it is written."""

    module: str
    node: ast.ClassDef

    def attribute(self, name: str) -> ast.expr | None:
        """What is assigned to `name` in the class's body."""
        for statement in self.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                if statement.target.id == name and statement.value is not None:
                    return statement.value
            elif isinstance(statement, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == name for target in statement.targets
            ):
                return statement.value
        return None

    @property
    def is_enum(self) -> bool:
        return any("Enum" in ast.unparse(base) for base in self.node.bases)


@dataclass(frozen=True)
class Function:
    module: str
    node: ast.FunctionDef


@dataclass(frozen=True)
class Member:
    """A member of an Enum."""

    name: str
    value: Any


@dataclass(frozen=True)
class Foreign:
    """A name that another package defines, such as `json.loads`."""

    name: str


class Package:
    """The Python files of a wheel."""

    def __init__(self, wheel: Path) -> None:
        self._zip = zipfile.ZipFile(wheel)
        self._modules: dict[str, dict[str, Any]] = {}

    @cached_property
    def files(self) -> list[str]:
        return sorted(self._zip.namelist())

    @cached_property
    def _known(self) -> set[str]:
        return set(self.files)

    def read(self, name: str) -> bytes:
        return self._zip.read(name)

    def path(self, module: str) -> str | None:
        base = module.replace(".", "/")
        return next((path for path in (f"{base}.py", f"{base}/__init__.py") if path in self._known), None)

    def names(self, module: str) -> dict[str, Any]:
        """Name -> the syntax node that a module binds to it; of several, the last."""
        if module not in self._modules:
            path = self.path(module)
            if path is None:
                raise UnknownValueError(module)
            found: dict[str, Any] = {}
            _collect(ast.parse(self.read(path)).body, found)
            self._modules[module] = found
        return self._modules[module]

    def lookup(self, module: str, name: str) -> Any:
        """What `name` is in `module`: a Class, a Function, a Foreign, or a value."""
        node = self.names(module).get(name)
        if isinstance(node, ast.ClassDef):
            return Class(module, node)
        if isinstance(node, ast.FunctionDef):
            return Function(module, node)
        if isinstance(node, tuple):
            return self.imported(*node)
        if node is not None:
            return Values(self, module).of(node)
        for other in self.names(module).get("*", ()):
            if self.path(other) and name in self.names(other):
                return self.lookup(other, name)
        if self.path(f"{module}.{name}"):
            return Foreign(f"{module}.{name}")
        raise UnknownValueError(f"{module}.{name}")

    def imported(self, module: str, name: str | None) -> Any:
        if name is None or self.path(module) is None:
            return Foreign(module if name is None else f"{module}.{name}")
        return self.lookup(module, name)


def _collect(body: list[ast.stmt], found: dict[str, Any]) -> None:
    for statement in body:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign):
            names = [t.id for t in statement.targets if isinstance(t, ast.Name)]
            # a class that is made anew from itself is still what its own source says
            found.update({name: statement.value for name in names if not isinstance(found.get(name), ast.ClassDef)})
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            found[statement.target.id] = statement.value
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            if statement.names[0].name == "*":
                found.setdefault("*", []).append(statement.module)
            found.update(
                {
                    alias.asname or alias.name: (statement.module, alias.name)
                    for alias in statement.names
                    if alias.name != "*"
                }
            )
        elif isinstance(statement, ast.Import):
            found.update({alias.asname or alias.name: (alias.name, None) for alias in statement.names})
        elif isinstance(statement, ast.If):
            _collect(statement.body, found)
        elif isinstance(statement, ast.Try):
            _collect([*statement.body, *statement.orelse], found)


class Values:
    """The value of expressions of one module, with the local names that the caller knows."""

    def __init__(
        self, package: Package, module: str, local: dict[str, Any] | None = None, owner: Class | None = None
    ) -> None:
        self.package, self.module, self.local, self.owner = package, module, {} if local is None else local, owner

    def of(self, node: ast.expr) -> Any:
        """Raises `UnknownValueError` for what can't be known without running the code."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise UnknownValueError(ast.unparse(node))
        return method(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _list(self, node: ast.List | ast.Tuple) -> list[Any]:
        found: list[Any] = []
        for item in node.elts:
            if isinstance(item, ast.Starred):
                found += items(self.of(item.value), self)
            else:
                found.append(self.of(item))
        return found

    _tuple = _list

    def _set(self, node: ast.Set) -> list[Any]:
        return sorted(self.of(item) for item in node.elts)

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        return {self.of(name): value for name, value in zip(node.keys, node.values, strict=True) if name is not None}

    def _name(self, node: ast.Name) -> Any:
        if node.id in self.local:
            return self.local[node.id]
        beside = self.owner.attribute(node.id) if self.owner else None
        if beside is not None:
            return self.of(beside)
        if node.id in ("str", "int", "float", "bool", "list", "set", "sorted", "tuple", "frozenset"):
            return Foreign(node.id)
        return self.package.lookup(self.module, node.id)

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.of(node.value)
        if isinstance(owner, Foreign):
            return Foreign(f"{owner.name}.{node.attr}")
        if isinstance(owner, Member) and node.attr in ("name", "value"):
            return getattr(owner, node.attr)
        value = owner.attribute(node.attr) if isinstance(owner, Class) else None
        if value is None:
            raise UnknownValueError(ast.unparse(node))
        found = Values(self.package, owner.module, owner=owner).of(value)
        return Member(node.attr, found) if owner.is_enum else found

    def _binop(self, node: ast.BinOp) -> Any:
        if type(node.op) not in OPERATORS:
            raise UnknownValueError(ast.unparse(node))
        return OPERATORS[type(node.op)](self.of(node.left), self.of(node.right))

    def _subscript(self, node: ast.Subscript) -> Any:
        owner, index = self.of(node.value), self.of(node.slice)
        if not isinstance(owner, list) or not isinstance(index, int):
            raise UnknownValueError(ast.unparse(node))
        return owner[index]

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if not isinstance(node.op, ast.USub):
            raise UnknownValueError(ast.unparse(node))
        return -self.of(node.operand)

    def _joinedstr(self, node: ast.JoinedStr) -> str:
        parts = (part for part in node.values if isinstance(part, ast.Constant))
        return "".join(str(part.value) for part in parts)  # only help texts are made this way

    def _listcomp(self, node: ast.ListComp) -> list[Any]:
        loop = node.generators[0]
        if len(node.generators) > 1 or loop.ifs or not isinstance(loop.target, ast.Name):
            raise UnknownValueError(ast.unparse(node))
        name = loop.target.id
        inner = (
            Values(self.package, self.module, {**self.local, name: item}) for item in items(self.of(loop.iter), self)
        )
        return [values.of(node.elt) for values in inner]

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("keys", "copy", "lower"):
            owner = self.of(node.func.value)
            return owner.lower() if isinstance(owner, str) else items(owner, self)
        function = self.of(node.func)
        if isinstance(function, Foreign) and function.name in ("list", "set", "sorted", "tuple", "frozenset"):
            found = items(self.of(node.args[0]), self) if node.args else []
            return sorted(found) if function.name in ("set", "sorted", "frozenset") else found
        if isinstance(function, Function) and not node.args and not node.keywords:
            return self._returned(function)
        raise UnknownValueError(ast.unparse(node))

    def _returned(self, function: Function) -> Any:
        """What a function without arguments returns where its conditions don't hold."""
        local: dict[str, Any] = {}
        for statement in function.node.body:
            if isinstance(statement, ast.ImportFrom) and statement.module:
                for alias in statement.names:
                    local[alias.asname or alias.name] = self.package.imported(statement.module, alias.name)
            elif isinstance(statement, ast.Return) and statement.value is not None:
                return Values(self.package, function.module, local).of(statement.value)
        raise UnknownValueError(function.node.name)


def items(value: Any, values: Values) -> list[Any]:
    """What iterating over a value yields."""
    if isinstance(value, Class) and value.is_enum:
        names = [
            t.id for s in value.node.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)
        ]
        inner = Values(values.package, value.module)
        return [Member(name, inner.of(value.attribute(name))) for name in names]  # type: ignore[arg-type]
    if isinstance(value, (list, dict)):
        return list(value)
    raise UnknownValueError(str(value))
