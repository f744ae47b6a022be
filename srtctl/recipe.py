"""Recipe files: `srtctl apply -f recipe.yaml`, `-f DIRECTORY`, `-f -`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srtctl.composition.recipes import Recipe
from srtctl.composition.recipes import load as _load
from srtctl.composition.recipes import load_text as _load_text
from srtctl.composition.yamlfile import distinct
from srtctl.errors import Problem, SrtctlError

__all__ = ["Named", "Recipe", "load", "named", "recipes_in"]

STDIN = "-"
# Options of groups, and the cluster file of srt-slurm: they lie beside recipes and are none
_OPTIONS = "conf"
_NO_RECIPES = ("srtslurm.yaml",)


@dataclass(frozen=True)
class Named:
    """What -f names.

    Attributes:
        path: The file or directory; `-` for standard input.
        selector: Which variants of it.
        recipes: One, or one for each file of a directory.
        text: What came from standard input.
    """

    path: Path
    selector: str
    recipes: tuple[Recipe, ...]
    text: str | None = None

    @property
    def is_directory(self) -> bool:
        return self.text is None and self.path.is_dir()


def load(path: Path | str, selector: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: The file.
        selector: `base`, `override_NAME`, `zip_override_NAME`, `zip_override_NAME[N]` or a glob, in a file with
            variants; empty for all of them.
        overrides: The command line: groups named there replace what the recipe says about them.

    Raises:
        SrtctlError: Everything that is wrong with the file.
    """
    return _load(Path(path), selector, overrides)


def named(text: str, overrides: Sequence[str] = ()) -> Named:
    """Read what is given with -f: `FILE`, `FILE:SELECTOR`, a directory, or `-` for standard input.

    Raises:
        SrtctlError: Everything that is wrong with any of the files.
    """
    path, selector = split_selector(text)
    if str(path) == STDIN:
        content = sys.stdin.read()
        return Named(path, selector, (_load_text(Path("stdin"), content, selector, overrides),), content)
    if not path.is_dir():
        return Named(path, selector, (load(path, selector, overrides),))
    if selector:
        hint = "name one file of it: DIRECTORY/FILE.yaml:SELECTOR"
        raise SrtctlError(Problem("selector", "a directory has no variants", "-f", text, hint=hint))
    found: list[Recipe] = []
    problems: list[Problem] = []
    for file in recipes_in(path):
        try:
            found.append(load(file, "", overrides))
        except SrtctlError as error:
            problems += error.problems
    if problems:
        raise SrtctlError(distinct(problems))
    return Named(path, "", tuple(found))


def recipes_in(directory: Path) -> list[Path]:
    """Every `*.yaml` below a directory, sorted; directories named `conf` hold options of groups, no recipes.

    Raises:
        SrtctlError: There is none.
    """
    found = [
        file
        for file in sorted(directory.rglob("*.yaml"))
        if file.name not in _NO_RECIPES
        and not any(part == _OPTIONS or part.startswith(".") for part in file.relative_to(directory).parts)
    ]
    if not found:
        other = [file.name for file in sorted(directory.rglob("*.yml"))]
        hint = f"recipes end in .yaml; rename {other[0]}" if other else "name a recipe file"
        raise SrtctlError(Problem("recipe-file", "the directory holds no recipe", "-f", str(directory),
                                  "a directory with *.yaml files", hint, "command line"))  # fmt: skip
    return found


def split_selector(text: str) -> tuple[Path, str]:
    """`recipe.yaml:override_*` as path and selector; a colon in an existing path stays part of it."""
    if Path(text).exists() or ":" not in text:
        return Path(text), ""
    path, _, selector = text.rpartition(":")
    return Path(path), selector
