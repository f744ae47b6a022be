"""House rules that no linter has: the size of files and functions, and names that say nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40
EMPTY_NAMES = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}


def sources() -> Iterator[Path]:
    for top in ("srtctl", "launchers"):
        yield from sorted((REPOSITORY / top).rglob("*.py"))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its `def` to its end, without its docstring."""
    first = function.body[0]
    is_doc = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    doc = (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc


def test_there_are_sources() -> None:
    assert len(list(sources())) > 20


def test_files_are_short() -> None:
    lengths = {str(p.relative_to(REPOSITORY)): len(p.read_text().splitlines()) for p in sources()}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES_OF_A_FILE} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
                and body_lines(node) > MOST_LINES_OF_A_FUNCTION
            ):
                long[f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}"] = body_lines(node)
    assert long == {}


def test_names_of_files_say_something() -> None:
    assert [str(p) for p in sources() if p.name in EMPTY_NAMES] == []


def test_every_module_says_what_it_is_for() -> None:
    without = [str(p) for p in sources() if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert without == []


def test_tiny_model_stays_tiny() -> None:
    folder = REPOSITORY / "srtctl/assets/tiny-model"
    assert {f.name for f in folder.iterdir()} >= {"tokenizer.json", "tokenizer_config.json", "config.json"}
    assert sum(f.stat().st_size for f in folder.iterdir()) < 150_000
