"""`-f DIRECTORY`: the points of all its recipes, as one sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtctl.composed import ComposedPoint
from srtctl.composition import arguments
from srtctl.composition.yamlfile import distinct
from srtctl.errors import Problem, SrtctlError

if TYPE_CHECKING:
    from srtctl.composition.recipes import Recipe

# What a recipe says relative to itself
_RELATIVE = ("setup_script",)
_MODEL_PATHS = ("path", "tokenizer_path")


def points_of_all(
    argv: Sequence[str],
    directory: Path,
    recipes: Sequence[Recipe],
    points: Callable[[Sequence[str], Recipe], list[ComposedPoint]],
) -> list[ComposedPoint]:
    """Every point of every recipe, numbered through; each names its file first.

    Args:
        argv: The command line.
        directory: The one that was named.
        recipes: Its files.
        points: Composes one of them.

    Raises:
        SrtctlError: All that is wrong with any of them.
    """
    _refuse_what_needs_one_file(argv)
    found: list[ComposedPoint] = []
    problems: list[Problem] = []
    for recipe in recipes:
        try:
            mine = points(argv, recipe)
        except SrtctlError as error:
            problems += [replace(problem, points=()) for problem in error.problems]
            continue
        label = f"recipe={recipe.path.relative_to(directory)}"
        found += [_moved(point, label, len(found) + n, recipe.path) for n, point in enumerate(mine)]
    if problems:
        raise SrtctlError(distinct([*problems, *_further(found)]))
    return found


def _further(found: Sequence[ComposedPoint]) -> list[Problem]:
    """What else is wrong with those that can be composed."""
    from srtctl.prepare import prepare

    try:
        prepare(found)
    except SrtctlError as error:
        return [replace(problem, points=()) for problem in error.problems]
    return []


def _moved(point: ComposedPoint, label: str, index: int, file: Path) -> ComposedPoint:
    config = {key: _beside(file, value) if key in _RELATIVE else value for key, value in point.config.items()}
    config["model"] = _with_paths(config["model"], file)
    return replace(point, index=index, overrides=(label, *point.overrides), config=config)


def _with_paths(model: Mapping[str, Any], file: Path) -> dict[str, Any]:
    named = {key: model.get(key) for key in _MODEL_PATHS}
    return {**model, **{k: _beside(file, v) for k, v in named.items() if str(v).startswith(("./", "../"))}}


def _beside(file: Path, path: Any) -> Any:
    return str(file.absolute().parent / path) if isinstance(path, str) and path else path


def _refuse_what_needs_one_file(argv: Sequence[str]) -> None:
    words = arguments.split(argv)
    shown = [flag for flag in words.flags if words.inspects]
    sweeper = [word for word in words.overrides if word.startswith(("hydra/sweeper=", "hydra/launcher="))]
    if shown or sweeper:
        raise SrtctlError(Problem("directory", "needs one recipe, not a directory of them", value=(shown + sweeper)[0],
                                  hint="name one file: -f DIRECTORY/FILE.yaml", source="command line"))  # fmt: skip
