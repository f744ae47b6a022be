"""From the arguments of a sweep to its points."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srtctl.composed import ComposedPoint, Sources
from srtctl.composition import explain, refusals, salvage
from srtctl.composition.axis import Axis
from srtctl.composition.fast import Base, cannot_be_fast
from srtctl.composition.ownership import named_groups
from srtctl.composition.session import NODES_GROUP, words_of
from srtctl.composition.sources import SourceTable
from srtctl.composition.srtslurm import OPTION
from srtctl.composition.translate import options
from srtctl.errors import UNSET, Problem, SrtctlError, merge_points

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

    from srtctl.composition.ownership import named_groups
from srtctl.composition.session import Session

# Faulty points that differ in what is left of them: more of them are told without a look at the rest
_SALVAGED = 20
_REFUSALS = 10


def compose(
    loader: ConfigLoader, master: DictConfig, arguments: Sequence[str], session: Session
) -> list[ComposedPoint]:
    """Every point of the grid, in order (the last sweep varies fastest).

    Args:
        loader: Hydra's.
        master: What Hydra composed for the sweep as a whole, sweeps left out.
        arguments: The sweep's parameters and the command line's overrides; for the same key, the last one counts.
        session: What is being composed.

    Raises:
        SrtctlError: Points that can't be composed, all of them.
    """
    axes = expand(loader, arguments, frozenset(words_of(master, "task")))
    maker = _Maker(loader, master, axes, session)
    points: list[ComposedPoint] = []
    lost: list[Problem] = []
    for index, texts in enumerate(itertools.product(*(axis.texts for axis in axes))):
        try:
            points.append(maker.point(index, texts))
        except Exception as error:
            try:
                points.append(maker.salvaged(index, texts, error))
            except SrtctlError as found:
                lost += [replace(problem, points=(index,)) for problem in found.problems]
    if not points and not lost:
        raise SrtctlError([_empty(axis, arguments, session) for axis in axes if not axis.texts])
    if lost:
        total = len(points) + len({index for problem in lost for index in problem.points})
        raise SrtctlError(merge_points([*lost, *_of_others(points)], total))
    return points


def _of_others(points: Sequence[ComposedPoint]) -> list[Problem]:
    """What is wrong with points beside which others can't be composed at all."""
    from srtctl.prepare import prepare

    try:
        prepare(points)
    except SrtctlError as error:
        everywhere = tuple(point.index for point in points)
        return [replace(problem, points=problem.points or everywhere) for problem in error.problems]
    return []


def _empty(axis: Axis, arguments: Sequence[str], session: Session) -> Problem:
    written = [text.partition("=")[2] for text in arguments if text.partition("=")[0] == axis.key]
    return Problem(
        "empty-sweep",
        "the sweep has no values",
        axis.key,
        written[-1] if written else UNSET,
        ", ".join(options(axis.key, session)) if axis.group else "",
        "a glob must match options of the group" if axis.group else "a range ends before its stop",
        "command line",
    )


def expand(loader: ConfigLoader, arguments: Sequence[str], applied: frozenset[str]) -> list[Axis]:
    """The axes of the grid; `applied` are the overrides that the sweep's own config was composed with."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    groups = set(loader.list_groups(""))
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    axes: dict[str, Axis] = {}
    for override in parsed:
        key = override.get_key_element()
        axes[key.removeprefix("++")] = _axis(override, key, groups, applied)
    return list(axes.values())


def _axis(override: Override, key: str, groups: set[str], applied: frozenset[str]) -> Axis:
    from hydra.core.override_parser.types import OverrideType

    swept = override.is_sweep_override()
    if swept:
        if not override.is_discrete_sweep():
            raise SrtctlError(
                Problem(
                    "sweep-kind",
                    "an interval has no list of values",
                    key=key,
                    value=override.input_line,
                    allowed="a comma list, range(start, stop, step), glob(pattern) or choice(a, b)",
                    source="command line",
                )
            )
        texts = tuple(f"{key}={value}" for value in override.sweep_string_iterator())
        group = override.key_or_group in groups or "/" in override.key_or_group
        group = group and not any(text.startswith(f"{key}={{") for text in texts)
    else:
        texts = (str(override.input_line),)
        group = (override.key_or_group in groups or "/" in override.key_or_group) and not isinstance(
            override.value(), dict
        )
    sets = override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD)
    plain = sets and override.package is None
    return Axis(key, texts, swept or override.input_line not in applied, group, plain)


class _Maker:
    """Makes points; keeps what it composed for each choice of groups."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, axes: list[Axis], session: Session):
        self.loader, self.master, self.axes, self.session = loader, master, axes, session
        self.stock = cannot_be_fast(axes)
        self.group_axes = [number for number, axis in enumerate(axes) if axis.swept and axis.group]
        self.value_axes = [number for number, axis in enumerate(axes) if axis.swept and not axis.group]
        self.bases: dict[tuple[str, ...], Base] = {}
        self.saved: dict[tuple[str, ...], Base] = {}

    def point(self, index: int, texts: Sequence[str]) -> ComposedPoint:
        """One point; `texts` has one override per axis."""
        base = None if self.stock else self._base(texts)
        config = None
        if base is not None:
            config = base.with_overrides([texts[number] for number in self.value_axes])
        if base is None or config is None:
            base = Base(self.loader.load_sweep_config(self.master, list(texts)))
            config = base.plain
        problems = refusals.mismatched_types(config, base.types)
        return make_point(index, texts, config, base.choices, self._sources(base, texts), self.session, problems)

    def salvaged(self, index: int, texts: Sequence[str], error: Exception) -> ComposedPoint:
        """A point that can't be composed, without what is at fault, and with what is wrong with it.

        Raises:
            SrtctlError: Nothing can be left out, or that has been done often enough.
            Exception: `error`, when the recipe itself is wrong: then all points begin anew without that.
        """
        problems: list[Problem] = []
        kept: Sequence[str] = texts
        for _ in range(_REFUSALS):
            faults = explain.faults(error, self.session, kept)
            if faults.nodes:
                raise error
            problems += faults.problems
            kept = salvage.kept_words(kept, faults.words, self.session)
            if faults.others or (tuple(kept) not in self.saved and len(self.saved) == _SALVAGED):
                break
            try:
                base = self.saved.get(tuple(kept)) or Base(self.loader.load_sweep_config(self.master, list(kept)))
            except Exception as next_error:
                error = next_error
                continue
            self.saved[tuple(kept)] = base
            problems += refusals.mismatched_types(base.plain, base.types)
            groups = [text for text in kept if named_groups([text])]
            sources = Sources(SourceTable(self.loader, self.master, groups, kept, self.session))
            return make_point(index, texts, base.plain, base.choices, sources, self.session, problems)
        raise SrtctlError(salvage.said(problems))

    def _base(self, texts: Sequence[str]) -> Base:
        chosen = tuple(texts[number] for number in self.group_axes)
        if chosen not in self.bases:
            self.bases[chosen] = Base(self._compose_base(texts))
        return self.bases[chosen]

    def _compose_base(self, texts: Sequence[str]) -> DictConfig:
        if not self.group_axes:
            return self.master
        kept = [text for number, text in enumerate(texts) if number not in self.value_axes]
        return self.loader.load_sweep_config(self.master, kept)

    def _sources(self, base: Base, texts: Sequence[str]) -> Sources:
        kept = [text for axis, text in zip(self.axes, texts, strict=True) if axis.group]
        return Sources(SourceTable(self.loader, self.master, kept, texts, self.session))


def make_point(
    index: int,
    texts: Sequence[str],
    config: Mapping[str, Any],
    choices: Mapping[str, str],
    sources: Sources,
    session: Session,
    wrong: Sequence[Problem] = (),
) -> ComposedPoint:
    """A point with what the recipe has to say about it, and what is wrong with it."""
    recipe = session.recipe
    problems = [*session.found, *wrong]
    problems = [*salvage.said(problems), *(recipe.warnings if recipe is not None else ())]
    if session.srtslurm is not None and choices.get("cluster") == OPTION:
        problems += session.srtslurm.warnings
    return ComposedPoint(
        index=index,
        overrides=tuple(text for text in texts if not text.startswith(f"+{NODES_GROUP}=")),
        config=config,
        sources=sources,
        choices=choices,
        dropped=tuple(recipe.dropped) if recipe is not None else (),
        problems=tuple(problems),
    )


def from_stock(
    loader: ConfigLoader, master: DictConfig, texts: list[str], index: int, session: Session
) -> ComposedPoint:
    """One point, composed by Hydra alone."""
    base = Base(loader.load_sweep_config(master, texts))
    problems = refusals.mismatched_types(base.plain, base.types)
    sources = Sources(SourceTable(loader, master, texts, texts, session))
    return make_point(index, texts, base.plain, base.choices, sources, session, problems)
