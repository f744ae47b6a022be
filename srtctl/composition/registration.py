"""What Hydra finds besides the files of conf/: the schema, and the places where users keep options of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

PROVIDER = "srtctl"
IN_CONTAINERS = "in_containers"  # ${in_containers:${cluster.container_runtime}}


def conf_directory() -> Path:
    """The directory of the groups: `srtctl/conf` in an installed wheel, `conf` beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def own_directories() -> list[Path]:
    """Where options of the user's may be: SRTCTL_CONF (several, separated by `:`), then ~/.config/srtctl/conf."""
    named = [Path(part).expanduser() for part in os.environ.get("SRTCTL_CONF", "").split(":") if part]
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return [path.absolute() for path in (*named, config_home / "srtctl" / "conf")]


def user_directories() -> list[Path]:
    """Those of the user's directories that exist."""
    return [path for path in own_directories() if path.is_dir()]


def default_cluster() -> str:
    """The cluster of recipes that name none.

    SRTCTL_CLUSTER, else the file that SRTSLURM_CONFIG names, else the user's `cluster/default.yaml`, else an
    srtslurm.yaml here or above, else `local`.
    """
    from srtctl.composition import srtslurm

    named = os.environ.get("SRTCTL_CLUSTER")
    if named:
        return named
    if os.environ.get(srtslurm.ENVIRONMENT):
        return srtslurm.OPTION
    if any((directory / "cluster" / "default.yaml").is_file() for directory in user_directories()):
        return "default"
    return srtslurm.OPTION if srtslurm.find() is not None else "local"


@lru_cache(maxsize=1)
def register() -> None:
    """Put the schema into Hydra's ConfigStore, once.

    It lives in groups of its own (`schema/...`): a node stored beside the options of a group would be listed as one.
    """
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    from srtctl.backends import BACKENDS
    from srtctl.benchmarks import BENCHMARKS
    from srtctl.schema import JobConfig

    OmegaConf.register_new_resolver(IN_CONTAINERS, lambda runtime: runtime != "none", replace=True)

    store = ConfigStore.instance()
    store.store(group="schema", name="job", node=JobConfig, provider=PROVIDER)
    for name, backend in BACKENDS.items():
        store.store(group="schema/backend", name=name, node=backend.params, provider=PROVIDER)
    for name, benchmark in BENCHMARKS.items():
        store.store(group="schema/benchmark", name=name, node=benchmark.params, provider=PROVIDER)


@lru_cache(maxsize=1)
def register_search_path(directories: Callable[[], Sequence[Path]]) -> None:
    """Let Hydra look into further directories, before ours: an option of the user's takes the place of one of ours.

    `directories` says which, the first one first; none while nothing of srtctl is composed.

    Other programs in the same environment use Hydra's plugins too; their searches are none of our business.
    """
    from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    before = SearchPathQuery(provider="main")

    class UserOptions(SearchPathPlugin):
        def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
            for directory in directories():
                search_path.prepend("srtctl user", f"file://{directory}", before)

    Plugins.instance().register(UserOptions)


def version_base() -> dict[str, str]:
    """Arguments of `hydra.main` that say which behaviour is wanted: 1.3 warns without them, 1.4 with them."""
    import hydra

    major, minor = (int(part) for part in hydra.__version__.split(".")[:2])
    return {"version_base": "1.3"} if (major, minor) < (1, 4) else {}
