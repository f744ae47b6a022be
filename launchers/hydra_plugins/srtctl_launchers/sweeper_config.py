"""Registers our option of `hydra/sweeper`."""

# No `from __future__ import annotations` here: Hydra 1.3 runs this module before it is in sys.modules, where
# dataclasses look up annotations that are text.

from dataclasses import dataclass
from typing import Any, Dict, Optional

from hydra.core.config_store import ConfigStore


@dataclass
class SrtSweeperConfig:
    """Grid sweeper that composes once per choice of groups.

    Attributes:
        params: Override key -> the values to sweep over, as on the command line (`1,2` or `range(1,5)`).
    """

    _target_: str = "hydra_plugins.srtctl_launchers.sweeper.SrtSweeper"
    params: Optional[Dict[str, Any]] = None


ConfigStore.instance().store(group="hydra/sweeper", name="srtctl", node=SrtSweeperConfig, provider="srtctl")
