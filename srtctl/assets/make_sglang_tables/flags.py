"""The command-line flags of one release of SGLang, read from its `server_args.py` and what that imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from sources import Class, Foreign, Function, Member, Package, UnknownValueError, Values, items

HOME = "sglang.srt.server_args"
TYPES = {
    "json.loads": "json",
    "json_list_type": "json",
    "human_readable_int": "human-int",
    "str": "str",
    "int": "int",
    "float": "float",
}
SWITCHES = {
    "argparse.BooleanOptionalAction": "toggle",
    "DeprecatedAction": "ignored",
    "DeprecatedStoreTrueAction": "switch",
    "DeprecatedStoreConstAction": "switch",
    "DeprecatedAliasStoreAction": None,
    "LoRAPathAction": None,
}
_DEPRECATED = re.compile(r"^\W*deprecated|^note: --[\w-]+ is deprecated", re.IGNORECASE)
_INSTEAD = (
    re.compile(r"`?--(?P<flag>[\w-]+)`? to '(?P<value>\w+)'"),  # set `--flag` to 'value' instead
    re.compile(r"(?:alias for|use|set) `?--(?P<flag>[\w-]+)(?:=(?P<value>\w+))?", re.IGNORECASE),
)
Spec = dict[str, Any]


def flags_of(package: Package) -> dict[str, Spec]:
    """Flag -> what the release's parser takes for it.

    A spec has `kind` (switch, toggle, ignored, str, int, float, human-int, json, or the name of a function that only
    the release knows; ignored: taken without effect; refused: stops the server with a message), and where they apply
    `aliases`, `nargs`, `choices`, `default`, and `deprecated`: what the release names in its place, or an empty text.
    """
    server_args = package.lookup(HOME, "ServerArgs")
    assert isinstance(server_args, Class)
    fields = dict(_fields(package, server_args))
    found: dict[str, Spec] = {}
    for names, spec in _registered(package, server_args, fields):
        if spec["kind"] in ("switch", "ignored", "refused") and not spec["default"]:
            spec["default"] = None  # off, in either spelling
        spec = {key: spec[key] for key in sorted(spec) if spec[key] is not None}
        # the field's name where it is one of several, so that `tp-size` is the name in every release
        own = next((name for name in names if name.replace("-", "_") in fields), names[0])
        aliases = [name for name in names if name != own]
        found[own] = {**({"aliases": sorted(aliases)} if aliases else {}), **spec}
    return dict(sorted(found.items()))


def _instead(text: str) -> str:
    """`--flag=value` that a help text names in place of a deprecated flag, or an empty text."""
    for pattern in _INSTEAD:
        match = pattern.search(text)
        if match:
            return f"--{match['flag']}" + (f"={match['value']}" if match["value"] else "")
    return ""


def _registered(package: Package, server_args: Class, fields: dict[str, Field]) -> Iterator[tuple[list[str], Spec]]:
    """Every `add_argument` of the parser in its order: (names without dashes in front, spec)."""
    function = next(n for n in server_args.node.body if isinstance(n, ast.FunctionDef) and n.name == "add_cli_args")
    values = Values(package, HOME)
    for statement in function.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            values.local[statement.targets[0].id] = values.of(statement.value)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            call = statement.value
            name = ast.unparse(call.func)
            if name == "add_cli_args_from_dataclass":
                yield from _from_fields(fields)
            elif name == "parser.add_argument":
                yield _from_call(call, values, fields)
            else:
                raise UnknownValueError(name)


def _from_call(call: ast.Call, values: Values, fields: dict[str, Field]) -> tuple[list[str], Spec]:
    names = [str(values.of(argument)).lstrip("-") for argument in call.args]
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    text = _text(given.get("help"), values)
    action = _action(given.get("action"), values)
    spec: Spec = {"kind": action or _type_name(given.get("type"), values)}
    spec["nargs"] = values.of(given["nargs"]) if "nargs" in given else None
    spec["choices"] = _choices(values.of(given["choices"]), values) if "choices" in given else None
    if action == "switch" and spec["choices"]:
        spec["kind"] = "str"
    spec["default"] = _default(given.get("default"), values, fields)
    error = _text(given.get("error_message"), values)
    if error:
        spec["kind"] = "refused"
    if error or "Deprecated" in ast.unparse(given.get("action", ast.Constant(None))) or _DEPRECATED.search(text):
        spec["deprecated"] = _text(given.get("new_flag"), values) or _instead(error or text)
    return names, spec


class Field:
    """One field of ServerArgs that registers its own flag: its annotation, its default, where it is written."""

    def __init__(self, name: str, annotation: ast.expr, default: ast.expr | None, values: Values) -> None:
        self.name, self.annotation, self.default, self.values = name, annotation, default, values

    def plain_default(self) -> Any:
        node = self.default
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("field"):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            node = given.get("default")
            if ast.unparse(given.get("default_factory", ast.Constant(None))) in ("list", "dict"):
                node = ast.List([])
        try:
            return None if node is None else _plain(self.values.of(node))
        except UnknownValueError:
            return None


def _fields(package: Package, server_args: Class) -> Iterator[tuple[str, Field]]:
    """The fields of ServerArgs, which newer releases collect from classes of their own (`_NS_PATH`)."""
    classes = [server_args]
    for name in package.names(HOME):
        node = package.names(HOME)[name]
        if isinstance(node, tuple) and node[1] and node[0].startswith("sglang.srt.arg_groups.fields"):
            found = package.imported(*node)
            classes += [found] if isinstance(found, Class) else []
    for owner in classes:
        for statement in owner.node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                field = statement.target.id
                yield field, Field(field, statement.annotation, statement.value, Values(package, owner.module))


def _from_fields(fields: dict[str, Field]) -> Iterator[tuple[list[str], Spec]]:
    for field in fields.values():
        node = field.annotation
        if not (isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("A", "Annotated")):
            continue
        assert isinstance(node.slice, ast.Tuple)
        kind, metas = node.slice.elts[0], node.slice.elts[1:]
        meta = next((m for m in metas if isinstance(m, ast.Call) and ast.unparse(m.func) == "Arg"), None)
        given = {keyword.arg: keyword.value for keyword in meta.keywords} if meta else {}
        texts = [m for m in metas if not isinstance(m, ast.Call)]
        if meta is None and not texts:
            continue
        if "no_cli" in given and field.values.of(given["no_cli"]):
            continue
        yield _from_field(field, kind, given, _text(given.get("help", texts[0] if texts else None), field.values))


def _from_field(field: Field, kind: ast.expr, given: dict[str | None, ast.expr], text: str) -> tuple[list[str], Spec]:
    values = field.values
    name = values.of(given["cli_name"]) if "cli_name" in given else "--" + field.name.replace("_", "-")
    names = [name, *(values.of(given["aliases"]) if "aliases" in given else [])]
    spec: Spec = {"default": field.plain_default()}
    inner = _without_none(kind, values)
    base = ast.unparse(inner.value).rpartition(".")[2] if isinstance(inner, ast.Subscript) else ast.unparse(inner)
    action = _action(given.get("action"), values) if "action" in given else None
    parsed = "type_parser" in given
    if action or ("action" in given):
        extra = given.get("action_kwargs")
        more = values.of(extra) if extra is not None else {}
        spec["kind"] = action or _type_name(more.get("type"), values)
        spec["nargs"] = values.of(more["nargs"]) if "nargs" in more else None
        spec["choices"] = _choices(values.of(more["choices"]), values) if "choices" in more else None
    elif base == "Literal" and isinstance(inner, ast.Subscript):
        words = values._list(inner.slice) if isinstance(inner.slice, ast.Tuple) else [values.of(inner.slice)]
        spec["kind"] = _type_name(given["type_parser"], values) if parsed else _scalar(type(words[0]).__name__)
        spec["choices"] = _choices(values.of(given["choices"]), values) if "choices" in given else words
    elif base in ("List", "list") and not parsed:
        element = inner.slice if isinstance(inner, ast.Subscript) else ast.Name("str")
        spec["kind"] = _scalar(ast.unparse(element))
        spec["nargs"] = values.of(given["nargs"]) if "nargs" in given else "+"
        spec["choices"] = _choices(values.of(given["choices"]), values) if "choices" in given else None
    elif base == "bool":
        spec["kind"] = "switch"
    else:
        spec["kind"] = _type_name(given["type_parser"], values) if parsed else _scalar(base)
        spec["choices"] = _choices(values.of(given["choices"]), values) if "choices" in given else None
        spec["nargs"] = values.of(given["nargs"]) if "nargs" in given else None
    if _DEPRECATED.search(text):
        spec["deprecated"] = _instead(text)
    return [n.lstrip("-") for n in names], spec


def _without_none(node: ast.expr, values: Values) -> ast.expr:
    """`Optional[X]`, `Union[X, None]` and `X | None` as X; a name of another type as that type."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _without_none(ast.parse(node.value, mode="eval").body, values)
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Optional"):
        return _without_none(node.slice, values)
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Union"):
        parts = [p for p in getattr(node.slice, "elts", []) if ast.unparse(p) != "None"]
        return parts[0] if len(parts) == 1 else ast.Name("str")
    if isinstance(node, ast.BinOp):
        parts = [p for p in (node.left, node.right) if ast.unparse(p) != "None"]
        return _without_none(parts[0], values) if len(parts) == 1 else ast.Name("str")
    return node


def _scalar(name: str) -> str:
    return name if name in ("int", "float") else "str"


def _type_name(node: ast.expr | None, values: Values) -> str:
    if node is None:
        return "str"
    found = values.of(node)
    name = found.name if isinstance(found, Foreign) else found.node.name if isinstance(found, (Function, Class)) else ""
    return TYPES.get(name, name)


def _action(node: ast.expr | None, values: Values) -> str | None:
    if node is None:
        return None
    if isinstance(node, ast.Constant):
        return {"store_true": "switch", "store_false": "switch", "store": None}[str(node.value)]
    found = values.of(node)
    return SWITCHES[found.name if isinstance(found, Foreign) else found.node.name]


def _choices(found: Any, values: Values) -> list[Any]:
    return [item.value if isinstance(item, Member) else item for item in items(found, values)]


def _default(node: ast.expr | None, values: Values, fields: dict[str, Field]) -> Any:
    if node is None:
        return None
    owner = node.value if isinstance(node, ast.Attribute) else None
    if isinstance(owner, ast.Name) and owner.id == "ServerArgs" and isinstance(node, ast.Attribute):
        return fields[node.attr].plain_default() if node.attr in fields else None
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "_declared_default":
        return fields[str(values.of(node.args[0]))].plain_default()
    try:
        return _plain(values.of(node))
    except UnknownValueError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Member):
        return value.value
    if isinstance(value, (Class, Function, Foreign)):
        return None
    return value


def _text(node: ast.expr | None, values: Values) -> str:
    try:
        found = "" if node is None else values.of(node)
        return " ".join(found.split()) if isinstance(found, str) else ""
    except UnknownValueError:
        return ""
