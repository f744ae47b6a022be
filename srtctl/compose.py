"""Composition as the command line uses it: argv and a recipe in, composed points to a launcher (or back)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from srtctl.composed import ComposedPoint
from srtctl.errors import SrtctlError, errors_of

if TYPE_CHECKING:
    from pathlib import Path

    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

    from srtctl.composition.session import Session
    from srtctl.recipe import Recipe


def run(argv: Sequence[str], recipe: Recipe | None = None, launcher: str | None = None) -> int:
    """Compose what `argv` says and hand the points to their launcher, or show what Hydra's flags ask for.

    Args:
        argv: Overrides and Hydra's flags, without srtctl's own.
        recipe: What to start from; None for conf/config.yaml.
        launcher: Option of `hydra/launcher` to use whatever the cluster says.

    Returns:
        What the launcher left as exit code.

    Raises:
        SrtctlError: Everything that is wrong with the input, or what the launcher raised.
    """
    from srtctl import invocation
    from srtctl.composition.session import Session

    _compose(argv, Session(recipe=recipe, launcher=launcher))
    return invocation.exit_code.get()


def run_directory(argv: Sequence[str], directory: Path, recipes: Sequence[Recipe], *, preview: bool) -> int:
    """Compose the recipes of a directory and hand all of their points over as one sweep: all of them or none.

    Args:
        argv: Overrides and Hydra's flags; they hold for every recipe.
        directory: Where the recipes are.
        recipes: One for each file.
        preview: Show everything and start nothing.

    Raises:
        SrtctlError: Everything that is wrong with any of them.
    """
    from hydra_plugins.srtctl_launchers.launcher import of_executor
    from srtctl import invocation
    from srtctl.composition.directory import points_of_all

    found = points_of_all(argv, directory, recipes, points)
    of_executor(str(found[0].config["cluster"]["executor"]), preview=preview).launch_points(found)
    return invocation.exit_code.get()


def points(argv: Sequence[str], recipe: Recipe | None = None) -> list[ComposedPoint]:
    """The points that `argv` stands for; the same path as `run`, without a launch."""
    from srtctl.composition.session import Session

    collected: list[ComposedPoint] = []
    _compose(argv, Session(recipe=recipe, collect=collected))
    if any(errors_of(point.problems) for point in collected):
        from srtctl.prepare import prepare

        prepare(collected)  # raises, with everything else that is wrong
    return collected


def point_from_stock(
    config_loader: ConfigLoader, sweep_config: DictConfig, overrides: Sequence[str], index: int
) -> ComposedPoint:
    """One point composed by Hydra alone, for launchers that a foreign sweeper calls.

    Raises:
        SrtctlError: It can't be composed.
    """
    from srtctl.composition import explain
    from srtctl.composition.points import from_stock
    from srtctl.composition.session import current_session

    session = current_session()
    try:
        return from_stock(config_loader, sweep_config, list(overrides), index, session)
    except Exception as error:
        raise explain.explain(error, session, overrides) from error


def _compose(argv: Sequence[str], session: Session) -> None:
    from srtctl.composition import arguments, refusals
    from srtctl.composition.salvage import kept_words
    from srtctl.composition.shape import adds_keys
    from srtctl.composition.switches import as_typed

    words = arguments.split(argv)
    overrides = list(words.overrides)
    if not words.completes:
        overrides = as_typed(arguments.opened(overrides, adds_keys))
    session.config_dirs = words.values_of("-cd", "--config-dir")
    if session.recipe is not None:
        session.found += session.recipe.errors
    if not words.inspects and not words.multirun and not (session.recipe is not None and session.recipe.sweeps):
        several = refusals.ambiguous(overrides)
        session.found += several.values()
        overrides = kept_words(overrides, several, session)
    if words.inspects:
        if session.found:
            raise SrtctlError(session.found)
        _show(overrides, words.flags, session)
    else:
        _sweep(overrides, words.flags, session)


def _show(overrides: list[str], flags: Sequence[str], session: Session) -> None:
    """Let Hydra show what its flags ask for."""
    from srtctl.composition import explain
    from srtctl.composition.session import run_hydra

    session.constants = tuple(overrides)
    try:
        run_hydra(session, overrides, flags, sweep=False)
    except SystemExit as exit_:
        if exit_.code not in (0, None):
            raise
    except Exception as error:
        raise explain.explain(error, session, overrides) from error


def _sweep(overrides: list[str], flags: Sequence[str], session: Session) -> None:
    """Let Hydra compose and launch; what it refuses is left out, so that everything else is looked at, too.

    Points of such a job have errors, which keep every launcher from going on.
    """
    from srtctl.composition import explain
    from srtctl.composition.refusals import is_sweep
    from srtctl.composition.salvage import kept_recipe, kept_words, said
    from srtctl.composition.session import run_hydra

    for _ in range(_REFUSALS):
        session.constants = tuple(overrides)
        try:
            run_hydra(session, [*overrides, *_launcher_of_foreign_sweeper(overrides, session)], flags, sweep=True)
        except SrtctlError:
            raise
        except Exception as error:
            if session.launching:
                raise
            faults = explain.faults(error, session, [word for word in overrides if not is_sweep(word)])
            session.found += faults.problems
            if faults.others:
                raise SrtctlError(said(session.found)) from error
            overrides = kept_words(overrides, faults.words, session)
            if session.recipe is not None:
                session.recipe = kept_recipe(session.recipe, faults, session)
        else:
            return
    raise SrtctlError(said(session.found))


# Each refusal is told by Hydra alone, when nothing was found in what the user wrote
_REFUSALS = 10


def _launcher_of_foreign_sweeper(overrides: Sequence[str], session: Session) -> list[str]:
    """Our sweeper picks the launcher when it has seen the points; others take the one that is configured."""
    named = [word for word in overrides if word.startswith("hydra/sweeper=")]
    foreign = bool(named) and named[-1] != "hydra/sweeper=srtctl"
    if not foreign or any(word.startswith("hydra/launcher=") for word in overrides):
        return []
    if session.launcher is not None:
        return [f"hydra/launcher={session.launcher}"]
    from srtctl.composition.launching import launcher_by_executor

    about_cluster = [word for word in overrides if word.startswith(("cluster=", "cluster.", "++cluster."))]
    return [f"hydra/launcher={launcher_by_executor(points([*about_cluster, '-m'], session.recipe))}"]
