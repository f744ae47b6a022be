"""From a recipe file to what Hydra composes: nodes of the ConfigStore and multirun parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from srtctl.composition import reading, sweeping, switches, variants, yamlfile
from srtctl.composition.ownership import OWNED, drop_owned, named_groups
from srtctl.composition.plain import Prepared, prepare_plain, prepare_with_defaults
from srtctl.composition.registration import PROVIDER
from srtctl.composition.shape import top_keys
from srtctl.composition.sweeping import Section
from srtctl.composition.variants import Variant
from srtctl.composition.yamlfile import Document, distinct
from srtctl.errors import Problem, SrtctlError

PRIMARY = "srtctl_recipe"
VARIANT_GROUP = "recipe_variant"


@dataclass(frozen=True)
class Recipe:
    """A recipe file, ready for Hydra.

    Attributes:
        path: The file.
        nodes: Name in the ConfigStore (`group/option`, or the primary's) -> node with its defaults list.
        params: Hydra's multirun parameters that the recipe brings: override key -> values.
        lines: Name in the ConfigStore -> dotted key -> `recipe.yaml:7`.
        sweep_sources: Override key -> where the recipe sweeps it.
        dropped: Dotted keys that groups named on the command line replaced.
        warnings: What is odd about it.
        errors: What is wrong with it, and has been left out.
        contents: Variant -> its content after placeholders, for those who look for errors in it.
        sweeps: Comma lists are allowed on the command line without -m.
    """

    path: Path
    nodes: Mapping[str, Mapping[str, Any]]
    params: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sweep_sources: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()
    errors: tuple[Problem, ...] = ()
    contents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sweeps: bool = False

    def store(self) -> str:
        """Put the recipe into Hydra's ConfigStore, in place of the one before; returns the primary config's name."""
        from hydra.core.config_store import ConfigStore

        store = ConfigStore.instance()
        for stale in (VARIANT_GROUP, f"{PRIMARY}.yaml"):
            store.repo.pop(stale, None)
        for path, node in self.nodes.items():
            group, _, name = path.rpartition("/")
            package = "_global_" if group else None
            store.store(
                group=group or None, name=name, node=copy.deepcopy(dict(node)), package=package, provider=PROVIDER
            )
        return PRIMARY


def load(path: Path, selector: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: The file.
        selector: Which of its variants; empty for all of them.
        overrides: The command line: groups named there replace what the recipe says about them.

    Raises:
        SrtctlError: The file can't be read as a recipe; all that is wrong with it.
    """
    return _of_document(yamlfile.read(path), selector, overrides)


def load_text(path: Path, text: str, selector: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """Like `load` for a text that came from elsewhere; `path` names it in messages."""
    return _of_document(yamlfile.parse(path, text), selector, overrides)


def _of_document(document: Document, selector: str, overrides: Sequence[str]) -> Recipe:
    from srtctl.composition.registration import register

    yamlfile.require_mapping(document)
    register()
    return _assemble(document, variants.select(document, selector), named_groups(overrides))


@dataclass
class _Job:
    """One variant on its way to Hydra."""

    name: str
    prepared: Prepared
    section: Section | None
    lines: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)


def _assemble(document: Document, selected: list[Variant], named: Mapping[str, str]) -> Recipe:
    jobs = []
    problems: list[Problem] = []
    for variant in selected:
        try:
            jobs.append(_prepare(document, variant, named))
        except SrtctlError as error:
            problems += error.problems
    if problems:
        raise SrtctlError(distinct([*problems, *(error for job in jobs for error in job.prepared.errors)]))
    if len(jobs) == 1:
        return _single(document, jobs[0])
    return _several(document, _with_own_sweeps(jobs), named)


def _prepare(document: Document, variant: Variant, named: Mapping[str, str]) -> _Job:
    config = copy.deepcopy(variant.config)

    def source(key: str) -> str:
        while key:
            if key in variant.lines:
                return f"{document.path}:{variant.lines[key]}"
            key = key.rpartition(".")[0]
        return str(document.path)

    resolved = isinstance(config.get("srtctl"), dict) and config["srtctl"].get("format") == "resolved"
    section: Section | None = None
    broken: list[Problem] = []
    try:
        section = None if resolved else sweeping.read(config, source, top_keys())
    except SrtctlError as error:
        broken += error.problems
    groups = [*named, *(section.groups if section else [])]
    dropped = drop_owned(config, list(dict.fromkeys(groups)))
    make = prepare_with_defaults if "defaults" in config else prepare_plain
    if make is prepare_plain and not resolved:
        reading.find_script(config, document.path)
    prepared = make(config, source, set(groups))
    if broken:  # without its parameters nothing can be composed; what can be read without is looked at
        raise SrtctlError([*broken, *prepared.errors, *_content_problems(prepared, source)])
    prepared.dropped = dropped
    params: dict[str, str] = {}
    if not resolved:
        swept = {} if section is None else {**section.placeholders, **section.keys}
        prepared.errors += switches.in_texts(prepared.config, swept, source)
    if section is not None:
        prepared.warnings += section.warnings
        prepared.dropped += sweeping.forget_unused(section, prepared.config, groups)
        params = sweeping.apply(section, prepared.config)
        prepared.config = sweeping.use_texts(section, prepared.config)
    lines = _lines_left(document, variant, groups)
    if section is not None and "sweep" in params:  # a table: its config paths are written in the sweep
        lines.update({key: source(f"sweep.parameters.{key}") for key in section.keys})
    return _Job(variant.name, prepared, section, lines, params)


def _lines_left(document: Document, variant: Variant, groups: Sequence[str]) -> dict[str, str]:
    """Where each key is written that no group has taken the place of."""
    owned = tuple(f"{path}." for group in groups for path in OWNED[group])
    mine = {key: line for key, line in variant.lines.items() if not any(f"{key}.".startswith(path) for path in owned)}
    mappings = _above(variant.lines)
    left = _above(key for key in mine if key not in mappings)
    # A mapping of which nothing is left says nothing either: its line would hide those of the groups in it.
    return {key: f"{document.path}:{line}" for key, line in mine.items() if key not in mappings or key in left}


def _above(keys: Iterable[str]) -> set[str]:
    """Every key that has one of `keys` inside it."""
    return {key[:end] for key in keys for end, letter in enumerate(key) if letter == "."}


def _content_problems(prepared: Prepared, source: Callable[[str], str]) -> list[Problem]:
    from srtctl.composition.explain import of_content

    return [replace(p, source=source(p.key)) for p in of_content(prepared.config, {}, "")]


def _single(document: Document, job: _Job) -> Recipe:
    node = {"defaults": job.prepared.defaults(), **job.prepared.config}
    own = _hydra_params(node)
    _add_params(node, job.params)
    return Recipe(
        path=document.path,
        nodes={PRIMARY: node},
        params=job.params,
        lines={PRIMARY: job.lines},
        sweep_sources=_sweep_sources(document, job),
        dropped=tuple(job.prepared.dropped),
        warnings=tuple(job.prepared.warnings),
        errors=tuple(job.prepared.errors),
        contents={job.name: job.prepared.config},
        sweeps=job.section is not None or own,
    )


def _several(document: Document, jobs: list[_Job], named: Mapping[str, str]) -> Recipe:
    groups = list(dict.fromkeys([*named, *(g for job in jobs if job.section for g in job.section.groups)]))
    options = {job.name: f"{number:04d}_{_safe(job.name)}" for number, job in enumerate(jobs)}
    primary: dict[str, Any] = {
        "defaults": [
            "recipe_base",
            {VARIANT_GROUP: options[jobs[0].name]},
            *({group: "???"} for group in _ordered(groups)),
            "_self_",
        ]
    }
    params = {VARIANT_GROUP: ",".join(options.values()), **jobs[0].params}
    _add_params(primary, params)
    nodes: dict[str, Mapping[str, Any]] = {PRIMARY: primary}
    lines: dict[str, Mapping[str, str]] = {}
    for job in jobs:
        path = f"{VARIANT_GROUP}/{options[job.name]}"
        nodes[path] = {"defaults": job.prepared.nested_defaults(), **job.prepared.config}
        lines[path] = job.lines
    sources = {VARIANT_GROUP: str(document.path), **_sweep_sources(document, jobs[0])}
    return Recipe(
        path=document.path,
        nodes=nodes,
        params=params,
        lines=lines,
        sweep_sources=sources,
        dropped=tuple(dict.fromkeys(key for job in jobs for key in job.prepared.dropped)),
        warnings=tuple(distinct(warning for job in jobs for warning in job.prepared.warnings)),
        errors=tuple(distinct(error for job in jobs for error in job.prepared.errors)),
        contents={job.name: job.prepared.config for job in jobs},
        sweeps=True,
    )


def _with_own_sweeps(jobs: list[_Job]) -> list[_Job]:
    """The jobs themselves where all sweep alike, else one job for each of their points.

    A grid of Hydra's has the same parameters everywhere; variants with sweeps of their own are no such grid.
    """
    if all(job.params == jobs[0].params for job in jobs):
        return jobs
    found = []
    for job in jobs:
        if job.section is None:
            found.append(job)
            continue
        for number, row in enumerate(job.section.rows()):
            config = copy.deepcopy(job.prepared.config)
            config["sweep"] = sweeping.bake(job.section, row)
            for key in job.section.keys:
                sweeping.set_path(config, key, row[key])
            prepared = replace(job.prepared, config=config)
            found.append(_Job(f"{job.name}__{number}", prepared, None, job.lines))
    return found


def _sweep_sources(document: Document, job: _Job) -> dict[str, str]:
    if job.section is None:
        return {}
    sources = {}
    for key in job.params:
        name = key.removeprefix("sweep.")
        candidates = [f"sweep.parameters.{name}", f"sweep.{name}", "sweep"]
        sources[key] = next((job.lines[c] for c in candidates if c in job.lines), str(document.path))
    return sources


def _hydra_params(node: Mapping[str, Any]) -> bool:
    inner: Any = node
    for part in ("hydra", "sweeper", "params"):
        inner = inner.get(part) if isinstance(inner, Mapping) else None
    return bool(inner)


def _add_params(node: dict[str, Any], params: Mapping[str, str]) -> None:
    """Put multirun parameters where Hydra's sweepers look for them; the recipe's own stay."""
    if not params:
        return
    inner = node
    for part in ("hydra", "sweeper", "params"):
        inner = inner.setdefault(part, {})
    for key, values in params.items():
        inner.setdefault(key, values)


def _ordered(groups: Sequence[str]) -> list[str]:
    from srtctl.composition.plain import GROUP_ORDER

    return [group for group in GROUP_ORDER if group in groups]


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name).rstrip("_")
