"""Reading YAML with the line of every key, refusing what can't be a recipe, and telling all that is wrong at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from srtctl.errors import Problem, SrtctlError, near_words

MAX_BYTES = 1 << 20
# A file of aliases to aliases can stand for more values than memory holds
MAX_VALUES = 100_000

_CONTAINERS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """Reads scalars as OmegaConf does (`1e3` is a number, dates stay text), save for one: `4:00:00` stays text.

    To YAML 1.1 that is the number 14400, which Slurm would take for minutes.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(("timestamp", "float", "int"))]
    for first, resolvers in _BASE.yaml_implicit_resolvers.items()
}
_INTEGER = r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$"
_FLOAT = r"""^(?:
     [-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |\.[0-9_]+(?:[eE][-+][0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$"""
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(_INTEGER), list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT, re.VERBOSE), list("-+0123456789."))


@dataclass
class Document:
    """One YAML file.

    Attributes:
        path: Where it is.
        data: Its content.
        lines: Dotted key -> line number, for every key at every depth.
    """

    path: Path
    data: Any
    lines: dict[str, int] = field(default_factory=dict)

    def source(self, key: str) -> str:
        """`recipe.yaml:7` for a dotted key, else its nearest parent's line, else the file."""
        while key:
            if key in self.lines:
                return f"{self.path}:{self.lines[key]}"
            key = key.rpartition(".")[0]
        return str(self.path)


def distinct(problems: Iterable[Problem]) -> list[Problem]:
    """Without repetitions; their values need not be hashable."""
    found: list[Problem] = []
    for problem in problems:
        if problem not in found:
            found.append(problem)
    return found


def read(path: Path) -> Document:
    """The content of a YAML file.

    Raises:
        SrtctlError: It can't be read, is too large, is no text, is broken YAML, or has duplicate keys (all of them).
    """
    return parse(path, _text(path))


def parse(path: Path, text: str) -> Document:
    """The content of YAML text; `path` names it in messages."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            reader = _Reader(path, loader)
            data = None if node is None else reader.value(node, "")
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SrtctlError(_broken(path, error)) from error
    except RecursionError as error:
        raise SrtctlError(Problem("yaml-depth", "the file is nested too deeply", source=str(path))) from error
    if reader.problems:
        raise SrtctlError(reader.problems)
    return Document(path, data, reader.lines)


def require_mapping(document: Document) -> None:
    """A recipe holds keys and values.

    Raises:
        SrtctlError: The file is empty, or a list, or a single value.
    """
    where, data = str(document.path), document.data
    if data is None:
        raise SrtctlError(Problem("recipe-file", "the file is empty", source=where, hint="a job needs at least a name"))
    if not isinstance(data, dict):
        kind = "list" if isinstance(data, list) else "single text" if isinstance(data, str) else "single value"
        message = f"a recipe is a mapping of keys to values; this is a {kind}"
        raise SrtctlError(Problem("recipe-file", message, source=where, allowed="key: value lines"))


class _Reader:
    """Turns YAML nodes into values and remembers lines."""

    def __init__(self, path: Path, loader: Any):
        self.path, self.loader = path, loader
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: Any, key: str) -> Any:
        self._count += 1
        if self._count > MAX_VALUES or id(node) in self._open:
            what = "an alias inside what it stands for" if id(node) in self._open else "more values than a recipe holds"
            raise SrtctlError(Problem("yaml-aliases", f"the file has {what}", source=self._at(node), key=key))
        self._open.add(id(node))
        try:
            if not isinstance(node, yaml.ScalarNode) and node.tag not in _CONTAINERS:
                self.problems.append(
                    Problem("yaml-tag", f"the tag {node.tag} has no meaning here", key=key, source=self._at(node))
                )
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, key)
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, f"{key}.{number}") for number, item in enumerate(node.value)]
            return self._scalar(node, key)
        finally:
            self._open.discard(id(node))

    def _item(self, node: Any, key: str) -> Any:
        self.lines[key] = node.start_mark.line + 1
        return self.value(node, key)

    def _scalar(self, node: Any, key: str) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, OverflowError) as error:  # such as 2_._3
            self.problems.append(Problem("yaml-value", f"unreadable value: {error}", key=key, source=self._at(node)))
            return None

    def _mapping(self, node: Any, key: str) -> dict[str, Any]:
        self._refuse_duplicates(node, key)
        self.loader.flatten_mapping(node)  # `<<: *other`
        found: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = self._name(name_node, key)
            if name is None:
                continue
            path = f"{key}.{name}" if key else name
            self.lines[path] = name_node.start_mark.line + 1
            found[name] = self.value(value_node, path)
        return found

    def _name(self, node: Any, parent: str) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str":
            return str(node.value)
        scalar = isinstance(node, yaml.ScalarNode)
        written = str(node.value) if scalar else "a list or mapping"
        if isinstance(node, yaml.ScalarNode) and node.tag.endswith((":int", ":float")):
            return written
        self.problems.append(
            Problem(
                "yaml-key",
                f"the key `{written}` is not text to YAML",
                key=parent,
                source=self._at(node),
                hint=f'put it in quotes: "{written}"' if scalar else "write the keys as text",
            )
        )
        return None

    def _refuse_duplicates(self, node: Any, key: str) -> None:
        first: dict[str, int] = {}
        for name_node, _ in node.value:
            name = str(name_node.value) if isinstance(name_node, yaml.ScalarNode) else ""
            line = name_node.start_mark.line + 1
            if name and name != "<<" and name in first:
                self.problems.append(
                    Problem(
                        "duplicate-key",
                        f"written twice, on lines {first[name]} and {line}; only one would count",
                        key=f"{key}.{name}" if key else name,
                        source=f"{self.path}:{line}",
                        hint="keep one of them",
                    )
                )
            first.setdefault(name, line)

    def _at(self, node: Any) -> str:
        return f"{self.path}:{node.start_mark.line + 1}"


def _broken(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be parsed"
    context = getattr(error, "context", None)
    hint = "indent with spaces; a tab can't start a YAML token" if "\\t" in str(what) else ""
    message = f"broken YAML: {what}" + (f" ({context})" if context else "")
    column = f", column {mark.column + 1}" if mark is not None else ""
    return Problem("yaml-syntax", message + column, source=where, hint=hint)


def _text(path: Path) -> str:
    if path.is_dir():
        inside = ", ".join(sorted(entry.name for entry in path.glob("*.y*ml"))[:5])
        raise _unreadable(
            path, "this is a directory", f"name a file in it: {inside}" if inside else "name a recipe file"
        )
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _unreadable(path, "there is no such file", _similar(path)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unreadable(path, f"the file can't be read: {reason}", "look at its owner and mode with ls -l") from error
    if len(raw) > MAX_BYTES:
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        raise _unreadable(path, f"the file is too large for a recipe: {size}", "is it the right file?", "at most 1 MiB")
    return _decoded(path, raw)


def _decoded(path: Path, raw: bytes) -> str:
    if b"\0" in raw:
        raise _unreadable(path, "this is a binary file", "a recipe is a YAML text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SrtctlError(
            Problem(
                "recipe-file",
                f"the file is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}",
                source=f"{path}:{line}",
                hint=f"convert it: iconv -f latin1 -t utf-8 {path.name}",
            )
        ) from error


def _unreadable(path: Path, message: str, hint: str, allowed: str = "a YAML file") -> SrtctlError:
    return SrtctlError(
        Problem("recipe-file", message, value=str(path), allowed=allowed, hint=hint, source="command line")
    )


def _similar(path: Path) -> str:
    """What may have been meant by a path that doesn't exist."""
    if not path.parent.is_dir():
        return f"there is no directory {path.parent} either"
    beside = [entry.name for entry in path.parent.glob("*.y*ml")]
    close = near_words(path.name, beside)
    return f"did you mean {path.parent / close[0]}?" if close else f"paths are looked up from {Path.cwd()}"
