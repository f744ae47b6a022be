"""The environment variables that one release of SGLang knows, from the text of its package."""

from __future__ import annotations

import ast
import re

from sources import Package

_NAME = re.compile(r"SGL(?:ANG)?_[A-Z0-9_]*[A-Z0-9]")
_TEXT = re.compile(rb"""["'$ {](SGL(?:ANG)?_[A-Z0-9_]*[A-Z0-9])["' }:]""")  # in quotes, or a shell's
_BINARY = re.compile(rb"SGLANG_[A-Z0-9_]*[A-Z0-9]")
SOURCES = (".cu", ".cuh", ".cpp", ".h", ".hip", ".rs", ".sh")


def variables_of(package: Package) -> set[str]:
    """Names of variables: words of the code and whole texts in it, so that no comment counts, and what is compiled.

    A release that only declares a variable counts as reading it: the aim is never to call one dead that is alive.
    """
    found: set[str] = set()
    for name in package.files:
        if name.endswith(".py"):
            data = package.read(name)
            if b"SGL" in data:
                found |= _words(ast.parse(data))
        elif name.endswith(SOURCES):
            found |= {match.decode() for match in _TEXT.findall(package.read(name)) if match.startswith(b"SGLANG")}
        elif name.endswith(".so"):
            found |= {match.decode() for match in _BINARY.findall(package.read(name))}
    return found


def _words(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        word = (
            node.value
            if isinstance(node, ast.Constant)
            else node.attr
            if isinstance(node, ast.Attribute)
            else node.id
            if isinstance(node, ast.Name)
            else None
        )
        if isinstance(word, str) and _NAME.fullmatch(word):
            found.add(word)
    return found


def renamed_variables(package: Package) -> dict[str, str]:
    """Old name -> new name, where the release itself says so."""
    tree = ast.parse(package.read("sglang/srt/environ.py"))
    found: dict[str, str] = {}
    order = ["old_name", "new_name"]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "_print_deprecated_env":
            order = [argument.arg for argument in node.args.args]  # some releases have the new name first
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_print_deprecated_env":
            names = [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            if len(names) == 2:
                found[names[order.index("old_name")]] = names[order.index("new_name")]
        elif (
            isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name)
        ):
            for keyword in node.value.keywords:
                if keyword.arg == "deprecated_name" and isinstance(keyword.value, ast.Constant):
                    found[str(keyword.value.value)] = node.targets[0].id
    return found
