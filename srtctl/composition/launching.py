"""Which launcher a sweep is handed to: the cluster decides, unless one was named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from srtctl.composed import ComposedPoint
from srtctl.composition.refusals import foreign_launcher
from srtctl.composition.session import words_of

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from srtctl.composition.session import Session

BY_EXECUTOR = {"local": "srtctl_local", "slurm": "srtctl_slurm"}


def launcher_name(points: Sequence[ComposedPoint], config: DictConfig, session: Session) -> str:
    """The option of `hydra/launcher` for these points: the one that was named, else the cluster's."""
    if session.launcher is not None:
        return session.launcher
    chosen = named_launcher(config)
    return chosen if chosen is not None else launcher_by_executor(points)


def launcher_by_executor(points: Sequence[ComposedPoint]) -> str:
    """The launcher for the executor of the points; where they don't share one that exists, none of them is started."""
    executor = next((str(point.config["cluster"]["executor"]) for point in points), "local")
    return BY_EXECUTOR.get(executor, "srtctl_local")


def named_launcher(config: DictConfig) -> str | None:
    """The launcher that somebody asked for; None when it is Hydra's default."""
    asked = [word for word in words_of(config, "hydra") if word.startswith("hydra/launcher=")]
    if asked:
        return asked[-1].partition("=")[2]
    choice = config.hydra.runtime.choices.get("hydra/launcher")
    return None if choice in (None, "basic") else str(choice)


def launcher_for(
    points: Sequence[ComposedPoint],
    config: DictConfig,
    hydra_context: HydraContext,
    task_function: TaskFunction,
    session: Session,
) -> Any:
    """The launcher, set up; it has `launch_points`.

    Raises:
        SrtctlError: The launcher is not srtctl's.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins
    from omegaconf import open_dict, read_write

    named = named_launcher(config)
    if named is not None and session.launcher is not None and not named.startswith("srtctl_"):
        raise foreign_launcher(named)  # a dry run must not pass what apply refuses
    name = launcher_name(points, config, session)
    if name != named:
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.launcher = ConfigStore.instance().load(f"hydra/launcher/{name}.yaml").node
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=hydra_context, task_function=task_function, config=config
    )
    if not hasattr(launcher, "launch_points"):
        raise foreign_launcher(name)
    return launcher
