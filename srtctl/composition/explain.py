"""What goes wrong while composing, as Problems.

Hydra stops at the first mistake. When it has refused something, everything that the user wrote is looked at again,
piece by piece, so that all mistakes are shown; its own words are used only where that finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from srtctl.composition.ownership import GROUPS
from srtctl.composition.translate import COMMAND_LINE, nearest, options, translate, unknown_option
from srtctl.composition.yamlfile import distinct
from srtctl.errors import UNSET, Problem, SrtctlError, errors_of, near_words, suggestion

if TYPE_CHECKING:
    from srtctl.composition.recipes import Recipe
    from srtctl.composition.session import Session


@dataclass
class Faults:
    """What a refusal of Hydra's stands for.

    Attributes:
        words: Override -> what is wrong with it.
        nodes: Node of the recipe -> what is wrong with its content.
        others: What can't be laid to one of these.
    """

    words: dict[str, list[Problem]] = field(default_factory=dict)
    nodes: dict[str, list[Problem]] = field(default_factory=dict)
    others: list[Problem] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        """All of them, each once."""
        found = [*self.words.values(), *self.nodes.values(), self.others]
        return distinct(problem for problems in found for problem in problems)


def explain(error: BaseException, session: Session, overrides: Sequence[str]) -> SrtctlError:
    """The error to show for `error`: everything wrong with the command line and the recipe."""
    return error if isinstance(error, SrtctlError) else SrtctlError(faults(error, session, overrides).problems)


def faults(error: BaseException, session: Session, overrides: Sequence[str]) -> Faults:
    """What is wrong with the command line and the recipe, and what the error says where nothing is found."""
    if isinstance(error, SrtctlError):
        return Faults(others=list(error.problems))
    found = Faults()
    for word in overrides:
        problems = of_word(word, session)
        if problems:
            found.words[word] = problems
    if session.recipe is not None:
        found.nodes = of_recipe(session.recipe)
    if not found.words and not found.nodes:
        for problem in translate(error, session):
            _lay_to(found, problem, session, overrides)
    return found


def _lay_to(found: Faults, problem: Problem, session: Session, overrides: Sequence[str]) -> None:
    """Put a problem to the override or the node that has its key; without its defaults list no recipe is left."""
    if problem.key.partition(".")[0] in ("defaults", "hydra"):
        found.others.append(problem)
        return
    words = [word for word in overrides if problem.key and _touches(word.partition("=")[0].lstrip("+~"), problem.key)]
    if words:
        found.words[words[-1]] = [replace(problem, source=COMMAND_LINE)]
        return
    for node, content in session.recipe.nodes.items() if session.recipe is not None else ():
        if problem.key in GROUPS or contains(content, problem.key):
            found.nodes.setdefault(node, []).append(problem)
    if not found.nodes:
        found.others.append(problem)


def _touches(key: str, other: str) -> bool:
    return key == other or other.startswith(f"{key}.") or key.startswith(f"{other}.")


def of_recipe(recipe: Recipe) -> dict[str, list[Problem]]:
    """Node -> unknown keys and values of a wrong type in it, each with its line."""
    found: dict[str, list[Problem]] = {}
    for (node, lines), content in zip(recipe.lines.items(), recipe.contents.values(), strict=False):
        problems = of_content(content, lines, str(recipe.path))
        if problems:
            found[node] = problems
    return found


def of_content(content: Mapping[str, Any], lines: Mapping[str, str], file: str) -> list[Problem]:
    """Unknown keys and values of a wrong type in a recipe's content; `lines` says where each key is written."""
    config = _without_references({k: v for k, v in content.items() if k not in ("defaults", "hydra")}, content)
    problems = [p for p in _check(config) if not (isinstance(p.value, str) and "${" in p.value)]
    return [replace(problem, source=nearest(lines, problem.key) or file) for problem in problems]


def of_word(word: str, session: Session) -> list[Problem]:
    """What is wrong with one override."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        return [_syntax(word, error)]
    values = _values_of(override)
    key = str(override.key_or_group)
    if key.split(".")[0] == "sweep" and not word.startswith(("+", "~")):
        return _of_parameter(key, override.value() if not override.is_sweep_override() else UNSET, session)
    if key in GROUPS and not any(isinstance(value, dict) for value in values):
        return _of_group(key, values, session)
    is_addition = word.startswith(("+", "~"))
    if is_addition or key.startswith("hydra") or "/" in key or override.package is not None:
        return []
    return _of_key(key, values)


def _of_parameter(key: str, value: Any, session: Session) -> list[Problem]:
    """`sweep.isl=1,2`: only parameters that the recipe sweeps have values to be replaced."""
    contents = session.recipe.contents.values() if session.recipe is not None else ()
    known = sorted({name for content in contents for name in content.get("sweep", {})})
    if key.partition(".")[2] in known:
        return []
    hint = "sweep over keys themselves: benchmark.isl=1024,2048 -m"
    if key in ("sweep", "sweep.mode"):
        hint = "only a recipe can walk lists side by side: sweep: {mode: zip, parameters: {isl: [1, 2]}}"
    allowed = ", ".join(f"sweep.{name}" for name in known)
    message = "the recipe has no such sweep parameter" if contents else "without a recipe there are no parameters"
    return [Problem("sweep", message, key, value, allowed, hint, COMMAND_LINE)]


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
    return [unknown_option(group, str(v), known, COMMAND_LINE) for v in values if str(v) not in known]


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
    return [replace(problem, source=COMMAND_LINE) for problem in problems]


def contains(content: Any, key: str) -> bool:
    """Whether a dotted key is written in a recipe's content; names may hold dots themselves."""
    if not key or not isinstance(content, Mapping):
        return not key
    return any(
        contains(value, key[len(name) + 1 :])
        for name, value in content.items()
        if key == name or key.startswith(f"{name}.")
    )


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
    known = {*GROUPS, *problem.allowed.split(", ")}
    hint = suggestion(problem.key, sorted(known)) or problem.hint
    return replace(problem, hint=hint, allowed=f"{problem.allowed}; groups: {', '.join(GROUPS)}")


def _syntax(word: str, error: BaseException) -> Problem:
    key, equals, value = word.partition("=")
    if not equals:
        close = near_words(word, GROUPS)
        hint = f"{close[0]}=OPTION" if close else "overrides are written key=value, groups as group=option"
        return Problem("override-syntax", "this is no override", value=word, hint=hint, source=COMMAND_LINE)
    reason = str(error).splitlines()[0].rstrip(".")
    return Problem(
        "override-syntax",
        f"the value can't be read: {reason}",
        key=key,
        value=value,
        hint=f"put it in quotes, for the shell and for Hydra: \"{key}='...'\"",
        source=COMMAND_LINE,
    )


def _without_references(value: Any, config: Mapping[str, Any]) -> Any:
    """`value` with every `${sweep.x}` replaced by the first value of the parameter."""
    if isinstance(value, Mapping):
        return {key: _without_references(inner, config) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_references(inner, config) for inner in value]
    if isinstance(value, str) and (match := re.fullmatch(r"\$\{sweep\.([^}]+)\}", value)):
        return config.get("sweep", {}).get(match[1], value)
    return value
