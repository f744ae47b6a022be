"""The argument parser of a release of SGLang, in a second and without what SGLang needs to run.

usage: python parser_of.py FOLDER <<< '[["--tp-size", "8"], "tp-size: 8\\n", …]'

FOLDER holds the package `sglang`; the interpreter must have msgspec, orjson and yaml.

Prints a line with the parser's options as JSON. Then it answers each line of input, a list of command lines and of
texts of files for `--config`, with a line: for each of them what was set, or the error that the parser ends with. Only
the modules that make the parser are SGLang's own; everything else that they import is an object that takes part in
anything. So these are the parser's names, types, choices and defaults, but nothing is said about what follows.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import inspect
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, NoReturn

OURS = (
    "sglang.srt.server_args",
    "sglang.srt.arg_groups",
    "sglang.srt.environ",
    "sglang.srt.server_args_config_parser",
    "sglang.srt.utils.server_args_config_parser",
    "sglang.srt.utils.common",
    "sglang.srt.function_call.function_call_parser",
    "sglang.srt.function_call.parser_names",
    "sglang.srt.parser.reasoning_parser",
    "sglang.srt.parser.reasoning_parser_names",
    "sglang.srt.model_executor.cuda_graph_config",
    "sglang.kernels.ops.kv_canary.consts",
    "sglang.jit_kernel.kv_canary.consts",
)
INSTALLED = ("msgspec", "orjson", "typing_extensions", "yaml", "_yaml")
KINDS = {"loads": "json", "json_list_type": "json", "human_readable_int": "human-int", None: "str"}
SWITCHES = {
    "_StoreTrueAction": "switch",
    "BooleanOptionalAction": "toggle",
    "DeprecatedAction": "ignored",
    "DeprecatedStoreTrueAction": "switch",
    "DeprecatedStoreConstAction": "switch",
}


class _Any(type):
    """What a missing module's names are: callable, a base class, a number, a decorator, and nothing in particular."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything

    def __call__(cls, *arguments: Any, **more: Any) -> Any:
        decorates = len(arguments) == 1 and not more and callable(arguments[0])
        return arguments[0] if decorates else Anything

    def __mro_entries__(cls, bases: Any) -> tuple[type, ...]:
        return (object,)

    def __iter__(cls) -> Any:
        return iter(())

    def __bool__(cls) -> bool:
        return False

    def __lt__(cls, other: Any) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __contains__ = __lt__

    def __or__(cls, other: Any) -> Any:
        return cls

    __ror__ = __add__ = __radd__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __getitem__ = __or__


class Anything(metaclass=_Any):
    pass


class _Module(types.ModuleType):
    __version__ = "99.0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        top = fullname.split(".")[0]
        if top in sys.stdlib_module_names or top in INSTALLED:
            return None
        if any(fullname == name or fullname.startswith(f"{name}.") for name in OURS):
            return None
        spec = importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        if top == "sglang":
            spec.submodule_search_locations = [str(self.folder / fullname.replace(".", "/"))]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _option(action: argparse.Action) -> list[Any]:
    kind = SWITCHES.get(type(action).__name__)
    name = getattr(action.type, "__name__", None)
    if kind == "switch" and action.choices:
        kind = None  # a flag that took one word, and still does
    choices = None if action.choices is None else sorted(str(getattr(c, "value", c)) for c in action.choices)
    refuses = getattr(action, "error_message", None)
    default = getattr(action.default, "value", action.default)
    return [
        [option[2:] for option in action.option_strings],
        "refused" if refuses else kind or KINDS.get(name, name),
        None if kind else action.nargs,
        choices,
        default if isinstance(default, (str, int, float, bool, list)) and default != argparse.SUPPRESS else None,
    ]


def _merger(parser: argparse.ArgumentParser) -> Any:
    """What the release makes arguments of a config file with."""
    try:
        from sglang.srt.utils.server_args_config_parser import ConfigArgumentMerger  # type: ignore[import-not-found]
    except ImportError:
        from sglang.srt.server_args_config_parser import ConfigArgumentMerger  # type: ignore[import-not-found]
    takes = inspect.signature(ConfigArgumentMerger).parameters
    return ConfigArgumentMerger(parser) if "parser" in takes else ConfigArgumentMerger(boolean_actions=[])


def _arguments(parser: argparse.ArgumentParser, request: list[str] | str) -> list[str]:
    if isinstance(request, list):
        return request
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(request)
        file.flush()
        argv: list[str] = _merger(parser).merge_config_with_args(["--config", file.name])
    return argv


def _answer(parser: argparse.ArgumentParser, request: list[str] | str) -> dict[str, Any]:
    try:
        said = vars(parser.parse_args(_arguments(parser, request)))
    except Exception as error:  # an action's own check ends the server just so
        return {"error": str(error) or type(error).__name__}
    return {"error": None, "set": {name: value for name, value in said.items() if value != parser.get_default(name)}}


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, _Finder(folder))
    from sglang.srt.server_args import ServerArgs  # type: ignore[import-not-found]

    parser = _Parser()
    ServerArgs.add_cli_args(parser)
    known = [action for action in parser._actions if "-h" not in action.option_strings]
    about = {
        "options": [_option(action) for action in known],
        "kept in": {option[2:]: action.dest for action in known for option in action.option_strings},
        "defaults": {action.dest: parser.get_default(action.dest) for action in known},
    }
    print(json.dumps(about, default=str), flush=True)
    for line in sys.stdin:
        print(json.dumps([_answer(parser, request) for request in json.loads(line)], default=str), flush=True)


if __name__ == "__main__":
    main()
