"""What goes wrong while composing, as Problems.

Hydra stops at the first mistake. When it has refused something, everything that the user wrote is looked at again,
piece by piece, so that all mistakes are shown; its own words are used only where that finds nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srtctl.composition.ownership import GROUPS, named_groups
from srtctl.composition.yamlfile import distinct
from srtctl.errors import Problem, SrtctlError, errors_of

if TYPE_CHECKING:
    from srtctl.composition.recipes import Recipe
    from srtctl.composition.session import Session

_COMMAND_LINE = "command line"


def explain(error: BaseException, session: Session, overrides: Sequence[str]) -> SrtctlError:
    """The error to show for `error`: everything wrong with the command line and the recipe."""
    if isinstance(error, SrtctlError):
        return error
    problems = _of_words(overrides, session)
    if session.recipe is not None:
        problems += of_recipe(session.recipe)
    return SrtctlError(distinct(problems) or translate(error, session))


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
    missing = re.search(r"Could not (?:find|load) '([^']+)'", str(cause))
    if missing:
        return [_missing_config(missing[1], str(cause), session)]
    if "nterpolation" in type(cause).__name__ or "nterpolation" in text:
        return [Problem("interpolation", text, key=key, source=source, hint="write a literal ${...} as \\${...}")]
    return [Problem("composition", text, key=key, source=source)]


def of_recipe(recipe: Recipe) -> list[Problem]:
    """Unknown keys and values of a wrong type in a recipe, each with its line."""
    found = []
    for (name, content), lines in zip(recipe.contents.items(), _lines_of(recipe), strict=False):
        del name
        config = _without_references({k: v for k, v in content.items() if k not in ("defaults", "hydra")}, content)
        for problem in _check(config):
            if not (isinstance(problem.value, str) and "${" in problem.value):
                found.append(replace(problem, source=_nearest(lines, problem.key) or str(recipe.path)))
    return found


def _of_words(words: Sequence[str], session: Session) -> list[Problem]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    problems: list[Problem] = []
    for word in words:
        try:
            override = OverridesParser.create().parse_override(word)
        except HydraException as error:
            problems.append(_syntax(word, error))
            continue
        values = _values_of(override)
        key = str(override.key_or_group)
        if key in GROUPS and not any(isinstance(value, dict) for value in values):
            problems += _of_group(key, values, session)
        elif not key.startswith("hydra") and "/" not in key and override.package is None:
            is_addition = word.startswith(("+", "~"))
            problems += [] if is_addition else _of_key(key, values)
    return problems


def _values_of(override: Any) -> list[Any]:
    if not override.is_sweep_override():
        return [override.value()]
    try:
        return [_plain(value) for value in override.sweep_iterator()]
    except Exception:
        return []  # a glob needs the list of options; Hydra has checked those itself


def _plain(value: Any) -> Any:
    return value.text if type(value).__name__ == "QuotedString" else value


def _of_group(group: str, values: Sequence[Any], session: Session) -> list[Problem]:
    known = options(group, session)
    return [unknown_option(group, str(v), known, _COMMAND_LINE) for v in values if str(v) not in known]


def _of_key(key: str, values: Sequence[Any]) -> list[Problem]:
    problems: list[Problem] = []
    for value in values:
        config: Any = value
        for part in reversed(key.split(".")):
            config = {part: config}
        found = [p for p in _check(config) if p.key == key or p.key.startswith((f"{key}.", f"{key}["))]
        if not found:
            found = [p for p in _check(config) if key.startswith(f"{p.key}.") and p.rule == "unknown-key"]
        problems += [_with_groups(p) for p in found if not (isinstance(p.value, str) and "${" in p.value)]
    return [replace(problem, source=_COMMAND_LINE) for problem in problems]


def _check(config: Mapping[str, Any]) -> list[Problem]:
    """What the schema has against `config`; where its types leave a choice, only what all of them refuse."""
    from srtctl.validate.fieldplan import REGISTERED, registered_types
    from srtctl.validate.types import build_partial_job

    best: list[Problem] | None = None
    undecided = [n for n in REGISTERED if isinstance(config.get(n), Mapping) and "type" not in config[n]]
    candidates: list[Mapping[str, Any]] = [config]
    for node in undecided:
        candidates = [{**c, node: {**c[node], "type": name}} for c in candidates for name in registered_types(node)]
    for candidate in candidates:
        found = [p for p in errors_of(build_partial_job(candidate)[1]) if p.rule != "missing-key"]
        if best is None or len(found) < len(best):
            best = found
    return best or []


def _with_groups(problem: Problem) -> Problem:
    """An unknown key at the top may be a misspelt group."""
    if problem.rule != "unknown-key" or "." in problem.key:
        return problem
    from srtctl.validate.types import suggestion

    known = {*GROUPS, *problem.allowed.split(", ")}
    hint = suggestion(problem.key, sorted(known)) or problem.hint
    return replace(problem, hint=hint, allowed=f"{problem.allowed}; groups: {', '.join(GROUPS)}")


def unknown_option(group: str, option: str, known: Sequence[str], source: str) -> Problem:
    """A group has no such option."""
    close = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
    return Problem(
        "unknown-option",
        "there is no such option",
        key=group,
        value=option,
        allowed=", ".join(known),
        hint=f"did you mean {close[0]}?" if close else "",
        source=source,
    )


def options(group: str, session: Session) -> list[str]:
    """The options of a group, in all directories that are searched."""
    from srtctl.composition.registration import conf_directory

    directories = [conf_directory(), *session.option_directories()]
    found = {file.stem for directory in directories for file in (directory / group).glob("*.yaml")}
    return sorted(found)


def _syntax(word: str, error: BaseException) -> Problem:
    key, equals, value = word.partition("=")
    if not equals:
        close = difflib.get_close_matches(word, GROUPS, n=1)
        hint = f"{close[0]}=OPTION" if close else "overrides are written key=value, groups as group=option"
        return Problem("override-syntax", "this is no override", value=word, hint=hint, source=_COMMAND_LINE)
    reason = str(error).splitlines()[0].rstrip(".")
    return Problem(
        "override-syntax",
        f"the value can't be read: {reason}",
        key=key,
        value=value,
        hint=f"put it in quotes, for the shell and for Hydra: \"{key}='...'\"",
        source=_COMMAND_LINE,
    )


def _missing_config(path: str, text: str, session: Session) -> Problem:
    group, _, option = path.rpartition("/")
    listed = text.partition("Available options in")[2].partition(":")[2].partition("Config search path")[0]
    known = [name for name in listed.split() if name]
    lines = next(iter(session.recipe.lines.values()), {}) if session.recipe is not None else {}
    if not group:
        return Problem("unknown-config", f"there is no config {path}", "defaults", source=_nearest(lines, "defaults"))
    source = _COMMAND_LINE
    if group not in named_groups(session.constants):
        entries = [key for key in lines if key.startswith("defaults.") and key.split()[-1].endswith(group)]
        source = _nearest(lines, entries[0] if entries else group)
    return unknown_option(group, option, known, source or _COMMAND_LINE)


def _recursion(session: Session) -> Problem:
    lines = next(iter(session.recipe.lines.values()), {}) if session.recipe is not None else {}
    return Problem(
        "recursive-defaults",
        "a config includes itself, directly or through others",
        key="defaults",
        source=_nearest(lines, "defaults"),
        hint="look at the defaults lists of the files it names",
    )


def _lines_of(recipe: Recipe) -> Iterable[Mapping[str, str]]:
    return recipe.lines.values()


def _recipe_source(recipe: Recipe, key: str) -> str:
    for lines in recipe.lines.values():
        found = _nearest(lines, key)
        if found:
            return found
    return str(recipe.path)


def _nearest(lines: Mapping[str, str], key: str) -> str:
    key = re.sub(r"\[(\d+)\]", r".\1", key)
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return ""


def _without_references(value: Any, config: Mapping[str, Any]) -> Any:
    """`value` with every `${sweep.x}` replaced by the first value of the parameter."""
    if isinstance(value, Mapping):
        return {key: _without_references(inner, config) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_references(inner, config) for inner in value]
    if isinstance(value, str) and (match := re.fullmatch(r"\$\{sweep\.([^}]+)\}", value)):
        return config.get("sweep", {}).get(match[1], value)
    return value
