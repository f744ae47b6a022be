"""Registers the options of `hydra/launcher`. Options hold no resources: those come from each point's plan."""

# No `from __future__ import annotations` here: Hydra 1.3 runs this module before it is in sys.modules, where
# dataclasses look up annotations that are text.

from dataclasses import dataclass

from hydra.core.config_store import ConfigStore

_HERE = "hydra_plugins.srtctl_launchers.launcher"


@dataclass
class LocalLauncherConfig:
    """Start every deployment on this machine, detached."""

    _target_: str = f"{_HERE}.SrtLocalLauncher"


@dataclass
class SlurmLauncherConfig:
    """Hand every deployment to Slurm as one job."""

    _target_: str = f"{_HERE}.SrtSlurmLauncher"


@dataclass
class PreviewLauncherConfig:
    """Write and show everything; start nothing."""

    _target_: str = f"{_HERE}.SrtPreviewLauncher"


for _name, _node in {
    "srtctl_local": LocalLauncherConfig,
    "srtctl_slurm": SlurmLauncherConfig,
    "srtctl_preview": PreviewLauncherConfig,
}.items():
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_node, provider="srtctl")
