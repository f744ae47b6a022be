"""One call of `hydra.main`, and what the sweeper at its other end needs to know about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtctl.composed import ComposedPoint
from srtctl.composition.registration import (
    PROVIDER,
    conf_directory,
    register,
    register_search_path,
    user_directories,
    version_base,
)
from srtctl.errors import Problem, SrtctlError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from srtctl.composition.recipes import Recipe
    from srtctl.composition.srtslurm import Converted


NODES_GROUP = "srtctl_nodes"


@dataclass
class Session:
    """A composition that is going on.

    Attributes:
        recipe: The recipe that is composed, if any.
        launcher: Name of the launcher to use whatever the cluster says.
        collect: When a list: points are added to it and nothing is launched.
        constants: The overrides that the command line holds, as typed.
        config_dirs: Directories given with --config-dir.
        srtslurm: The cluster file of srt-slurm that the job uses, if it does.
        launching: Composition is over; what goes wrong from here on is not the user's input.
        group_sources: Overrides that choose groups -> dotted key -> where these groups say its value. Points that
            differ in values only have it in common; it takes Hydra as long as composing a point does.
        found: What was wrong with the words and the recipe, and has been left out; every point has it.
    """

    recipe: Recipe | None = None
    launcher: str | None = None
    collect: list[ComposedPoint] | None = None
    constants: tuple[str, ...] = ()
    config_dirs: tuple[str, ...] = ()
    srtslurm: Converted | None = None
    launching: bool = False
    group_sources: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)

    def option_directories(self) -> list[Path]:
        """Where options of the user's are: --config-dir, `conf` beside the recipe, SRTCTL_CONF, the user's own."""
        named = [Path(directory).expanduser().absolute() for directory in self.config_dirs]
        beside = [] if self.recipe is None else [self.recipe.path.absolute().parent / "conf"]
        # our own conf/, in a checkout, is searched anyway
        found = [path for path in (*named, *beside) if path.is_dir() and path != conf_directory()]
        return [*found, *user_directories()]


_current: ContextVar[Session | None] = ContextVar("srtctl_composition", default=None)


def current_session() -> Session:
    """The composition that is going on; an empty one where Hydra was started by something else."""
    return _current.get() or Session()


def words_of(master: DictConfig, kind: str) -> list[str]:
    """The overrides that `master` was composed with, as they were written; `kind` is `task` or `hydra`."""
    from omegaconf import OmegaConf

    words = OmegaConf.to_container(master.hydra.overrides[kind], resolve=False)
    return [str(word) for word in words or []]


def run_hydra(session: Session, overrides: Sequence[str], flags: Sequence[str], *, sweep: bool) -> None:
    """Call `hydra.main` once.

    Args:
        session: What the sweeper gets to see.
        overrides: Words for Hydra, in its grammar.
        flags: Hydra's flags.
        sweep: Run the sweeper; otherwise the flags make Hydra show something.

    Raises:
        Exception: Whatever Hydra raises, untranslated.
    """
    import hydra

    register()
    register_search_path(_searched_first)
    words = [*overrides, *_made_nodes(overrides)]
    config_name = "config"
    if session.recipe is not None:
        config_name = session.recipe.store()
    _offer_srtslurm(session, overrides)
    with _set_current(session):
        _refuse_primaries(_searched_first())
    if sweep:
        words.append("hydra.mode=MULTIRUN")
    main = hydra.main(config_path=str(conf_directory()), config_name=config_name, **version_base())(_foreign_task)
    with ExitStack() as stack:
        stack.enter_context(_set_current(session))
        stack.enter_context(_argv([*words, *flags]))
        stack.enter_context(_raised_not_printed())
        stack.enter_context(_store_is_shared())
        if sweep:
            stack.enter_context(_mode_is_known())
        main()


def _offer_srtslurm(session: Session, overrides: Sequence[str]) -> None:
    """Make `cluster=srtslurm` an option if the job asks for it: only then its file is looked for and must be right."""
    from hydra.core.config_store import ConfigStore

    from srtctl.composition import srtslurm
    from srtctl.composition.plain import escaped

    store = ConfigStore.instance()
    store.repo.get("cluster", {}).pop(f"{srtslurm.OPTION}.yaml", None)
    wanted = any(srtslurm.OPTION in word for word in overrides) or (
        session.recipe is not None and srtslurm.OPTION in str(session.recipe.nodes)
    )
    path = srtslurm.find() if wanted else None
    if path is None:
        if f"cluster={srtslurm.OPTION}" in overrides and srtslurm.OPTION not in _own_clusters(session):
            raise SrtctlError(srtslurm.not_found())
        return
    session.srtslurm = srtslurm.read(path)
    node = escaped(dict(session.srtslurm.cluster))
    store.store(group="cluster", name=srtslurm.OPTION, node=node, provider=PROVIDER)


def _own_clusters(session: Session) -> set[str]:
    return {file.stem for directory in session.option_directories() for file in (directory / "cluster").glob("*.yaml")}


def _searched_first() -> list[Path]:
    """Directories whose options go before ours."""
    session = _current.get()
    return [] if session is None else session.option_directories()


def _refuse_primaries(directories: Sequence[Path]) -> None:
    """A file of these names would take the place of what every job begins with."""
    names = {path.name for path in conf_directory().glob("*.yaml")}
    found = [file for directory in directories for file in directory.glob("*.yaml") if file.name in names]
    if found:
        hint = "options of yours belong into directories of their groups, such as cluster/ours.yaml; recipes go with -f"
        message = "has the name of a file that every job begins with"
        raise SrtctlError([Problem("config-directory", message, source=str(file), hint=hint) for file in found])


def _foreign_task(config: Any) -> None:
    """What Hydra would run for each point; a launcher that is not ours ends here."""
    from srtctl.composition.refusals import foreign_launcher

    raise foreign_launcher("")


def _made_nodes(overrides: Sequence[str]) -> list[str]:
    """Make the nodes that overrides go into and that are null, such as `profiling.prefill`: OmegaConf can't."""
    from hydra.core.config_store import ConfigStore

    from srtctl.composition.shape import nullable_node
    from srtctl.composition.sweeping import set_path

    made: dict[str, Any] = {}
    for word in overrides:
        key, _, value = word.partition("=")
        node = nullable_node(key.lstrip("+")) if "." in key else None
        if node is not None and (node != key or "{" in value):
            set_path(made, node, {})
    if not made:
        return []
    ConfigStore.instance().repo.pop(NODES_GROUP, None)
    ConfigStore.instance().store(group=NODES_GROUP, name="made", node=made, package="_global_", provider=PROVIDER)
    return [f"+{NODES_GROUP}=made"]


@contextmanager
def _set_current(session: Session) -> Iterator[None]:
    token = _current.set(session)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def _argv(words: list[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = ["srtctl", *words]
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _raised_not_printed() -> Iterator[None]:
    """Hydra prints errors by itself and exits; with this variable it lets them through to us."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def _store_is_shared() -> Iterator[None]:
    """Spare Hydra copying the whole ConfigStore twice for each composition.

    It copies its list of sources, and the store hangs on one of them; what it loads from there it copies once more
    anyway.
    """
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    vars(store)["__deepcopy__"] = lambda memo: store
    try:
        yield
    finally:
        vars(store).pop("__deepcopy__", None)


@contextmanager
def _mode_is_known() -> Iterator[None]:
    """Spare Hydra one whole composition: it composes once only to learn the mode that our own override has just set.

    `get_mode` is private; where a release has no such method, it composes twice and nothing else changes.
    """
    from hydra._internal import hydra as internal
    from hydra.types import RunMode

    original = getattr(internal.Hydra, "get_mode", None)
    if original is None:
        yield
        return
    internal.Hydra.get_mode = lambda self, *args, **kwargs: RunMode.MULTIRUN  # type: ignore[method-assign]
    try:
        yield
    finally:
        internal.Hydra.get_mode = original  # type: ignore[method-assign]


def relative_to_here(path: Path) -> str:
    """`path` as users know it: relative where it is below the current directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
