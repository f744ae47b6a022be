"""What can be composed of a job when everything that is wrong with it is left out, so that the rest is checked too."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srtctl.composition.ownership import named_groups
from srtctl.composition.translate import options
from srtctl.errors import Problem, near_words

if TYPE_CHECKING:
    from srtctl.composition.explain import Faults
    from srtctl.composition.recipes import Recipe
    from srtctl.composition.session import Session


def kept_words(words: Iterable[str], faulty: Iterable[str], session: Session) -> list[str]:
    """`words` without the faulty ones; a group gets an option that exists, because a job may need one."""
    bad = set(faulty)
    kept: list[str] = []
    for word in words:
        stand_in = _stand_in(word, session) if word in bad else word
        kept += [stand_in] if stand_in else []
    return kept


def kept_recipe(recipe: Recipe, faults: Faults, session: Session) -> Recipe:
    """The recipe without the keys that are at fault."""
    nodes = {name: copy.deepcopy(dict(node)) for name, node in recipe.nodes.items()}
    contents = {name: copy.deepcopy(dict(content)) for name, content in recipe.contents.items()}
    names = dict(zip(recipe.lines, contents, strict=False))
    for node, problems in faults.nodes.items():
        for problem in problems:
            if problem.rule == "unknown-option" and "." not in problem.key:
                _choose_another(nodes[node], problem, session)
            _remove(nodes[node], problem.key)
            if node in names:
                _remove(contents[names[node]], problem.key)
    return replace(recipe, nodes=nodes, contents=contents)


def said(problems: Sequence[Problem]) -> list[Problem]:
    """Problems without those that only follow from others of them."""
    from srtctl.validate.unknown import lies_in

    affected = [key for problem in problems for key in problem.affects]
    return [p for p in problems if p.rule != "unknown-key" or p.affects or not lies_in(p.key, affected)]


def _stand_in(word: str, session: Session) -> str:
    for group, option in named_groups([word]).items():
        known = options(group, session)
        return f"{group}={(near_words(option, known) or known)[0]}"
    return ""


def _choose_another(node: Mapping[str, Any], problem: Problem, session: Session) -> None:
    """Another option of a group in a defaults list."""
    known = options(problem.key, session)
    for entry in node.get("defaults", []) if known else []:
        for key in entry if isinstance(entry, dict) else ():
            if key.split()[-1].lstrip("/") == problem.key and entry[key] == problem.value:
                entry[key] = (near_words(str(problem.value), known) or known)[0]


def _remove(content: dict[str, Any], key: str) -> None:
    """Take out what is written at a dotted key; names may hold dots themselves, and a list goes as a whole."""
    path = key.partition("[")[0]
    for name in list(content):
        if path == name:
            del content[name]
        elif path.startswith(f"{name}.") and isinstance(content[name], dict):
            _remove(content[name], path[len(name) + 1 :])
