"""One exception of Hydra or OmegaConf as Problems, in our words where they can be better than theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from srtctl.composition.ownership import OWNED, named_groups
from srtctl.errors import Problem, SrtctlError, suggestion

if TYPE_CHECKING:
    from srtctl.composition.recipes import Recipe
    from srtctl.composition.session import Session

COMMAND_LINE = "command line"


def translate(error: BaseException, session: Session) -> list[Problem]:
    """The problems that one exception of Hydra, OmegaConf or ours stands for."""
    if isinstance(error, SrtctlError):
        return list(error.problems)
    if isinstance(error, RecursionError):
        return [_recursion(session)]
    cause = error.__cause__ if error.__cause__ is not None else error
    lines = [line for line in str(cause).splitlines() if line.strip()] or [type(cause).__name__]
    key = str(getattr(cause, "full_key", "") or "")
    text = re.sub(r"^In '[^']*': |^\w+ raised while composing config:", "", lines[0]).strip().rstrip(".")
    recipe = session.recipe
    source = _recipe_source(recipe, key) if recipe is not None and key else ""
    unknown = re.search(r"Key '([^']+)' not in '(\w+)'", text)
    if unknown and key:
        return [_not_of_this_type(key, unknown[2], text, source)]
    missing = re.search(r"Could not (?:find|load) '([^']+)'", str(cause))
    if missing:
        return [_missing_config(missing[1], str(cause), session)]
    if "nterpolation" in type(cause).__name__ or "nterpolation" in text:
        return [Problem("interpolation", text, key=key, source=source, hint="write a literal ${...} as \\${...}")]
    return [Problem("composition", text, key=key, source=source)]


def _not_of_this_type(key: str, class_name: str, text: str, source: str) -> Problem:
    """A key that other types of the node have."""
    from srtctl.validate.fieldplan import REGISTERED, plan_of, registered_types

    node, _, name = key.partition(".")
    types = registered_types(node) if node in REGISTERED else {}
    own = next((kind for kind, cls in types.items() if cls.__name__ == class_name), None)
    if own is None:
        return Problem("composition", text, key=key, source=source)
    having = [kind for kind, cls in types.items() if name.partition(".")[0] in plan_of(cls)]
    hint = f"{node}s that have it: {', '.join(having)}" if having else ""
    allowed = ", ".join(sorted(plan_of(types[own])))
    return Problem("unknown-key", f"{node} {own} has no such key", key, allowed=allowed, hint=hint, source=source)


def unknown_option(group: str, option: str, known: Sequence[str], source: str) -> Problem:
    """A group has no such option."""
    return Problem(
        "unknown-option",
        "there is no such option",
        key=group,
        value=option,
        allowed=", ".join(known),
        hint=suggestion(option, known),
        source=source,
        affects=OWNED.get(group, ()),
    )


def options(group: str, session: Session) -> list[str]:
    """The options of a group, in all directories that are searched."""
    from srtctl.composition.registration import conf_directory

    directories = [conf_directory(), *session.option_directories()]
    found = {file.stem for directory in directories for file in (directory / group).glob("*.yaml")}
    return sorted(found)


def _missing_config(path: str, text: str, session: Session) -> Problem:
    group, _, option = path.rpartition("/")
    listed = text.partition("Available options in")[2].partition(":")[2].partition("Config search path")[0]
    known = [name for name in listed.split() if name]
    lines = next(iter(session.recipe.lines.values()), {}) if session.recipe is not None else {}
    if not group:
        return Problem("unknown-config", f"there is no config {path}", "defaults", source=nearest(lines, "defaults"))
    source = COMMAND_LINE
    if group not in named_groups(session.constants):
        entries = [key for key in lines if key.startswith("defaults.") and key.split()[-1].endswith(group)]
        source = nearest(lines, entries[0] if entries else group)
    return unknown_option(group, option, known, source or COMMAND_LINE)


def _recursion(session: Session) -> Problem:
    lines = next(iter(session.recipe.lines.values()), {}) if session.recipe is not None else {}
    return Problem(
        "recursive-defaults",
        "a config includes itself, directly or through others",
        key="defaults",
        source=nearest(lines, "defaults"),
        hint="look at the defaults lists of the files it names",
    )


def _recipe_source(recipe: Recipe, key: str) -> str:
    for lines in recipe.lines.values():
        found = nearest(lines, key)
        if found:
            return found
    return str(recipe.path)


def nearest(lines: Mapping[str, str], key: str) -> str:
    key = re.sub(r"\[(\d+)\]", r".\1", key)
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return ""
