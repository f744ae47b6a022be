"""Our sweeper: all points of a sweep are composed first, fast, and handed to the launcher as plain configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from hydra.plugins.sweeper import Sweeper

import hydra_plugins.srtctl_launchers.sweeper_config  # noqa: F401  registers the option

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig


class SrtSweeper(Sweeper):
    """Grid over comma lists, ranges and globs.

    Hydra's own sweeper composes every point to check it and its launcher composes it once more; this one composes
    once per choice of groups (`srtctl.composition.points`). It writes nothing.
    """

    def __init__(self, params: Optional[Mapping[str, Any]] = None):
        self.params = dict(params or {})
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's entrance; the launcher is made later, when the cluster is known."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Compose every point and launch all of them.

        Args:
            arguments: The overrides of the command line, sweeps unexpanded.
        """
        from srtctl.composition import launching, points
        from srtctl.composition.session import current_session

        assert self.config is not None and self.hydra_context is not None and self.task_function is not None
        params = [f"{key}={value}" for key, value in self.params.items()]
        session = current_session()
        composed = points.compose(self.hydra_context.config_loader, self.config, [*params, *arguments], session)
        if session.collect is not None:
            session.collect.extend(composed)
            return []
        launcher = launching.launcher_for(composed, self.config, self.hydra_context, self.task_function, session)
        session.launching = True
        return [launcher.launch_points(composed)]
