"""Where the values of a point came from, looked up only when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtctl.composition.ownership import named_groups
from srtctl.composition.session import relative_to_here, words_of
from srtctl.composition.srtslurm import OPTION

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

    from srtctl.composition.session import Session


class SourceTable(Mapping[str, str]):
    """Dotted key -> where it was written; filled on first use, because most commands never ask."""

    def __init__(
        self,
        loader: ConfigLoader,
        master: DictConfig,
        group_texts: Sequence[str],
        texts: Sequence[str],
        session: Session,
    ):
        self._inputs = (loader, master, tuple(group_texts), tuple(texts), session)
        self._table: dict[str, str] | None = None

    def __getitem__(self, key: str) -> str:
        return self._filled()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._filled())

    def __len__(self) -> int:
        return len(self._filled())

    def _filled(self) -> dict[str, str]:
        if self._table is None:
            loader, master, group_texts, texts, session = self._inputs
            if group_texts not in session.group_sources:
                session.group_sources[group_texts] = _group_values(loader, master, group_texts, session)
            self._table = dict(session.group_sources[group_texts])
            for text in texts:
                if not named_groups([text]) and "/" not in text.partition("=")[0]:
                    _overlay(self._table, _override_source(text, session))
        return self._table


def _group_values(
    loader: ConfigLoader, master: DictConfig, group_texts: Sequence[str], session: Session
) -> dict[str, str]:
    from hydra.types import RunMode

    table: dict[str, str] = {}
    overrides = [*words_of(master, "hydra"), *group_texts]
    defaults = loader.compute_defaults_list(master.hydra.job.config_name, overrides, RunMode.RUN).defaults
    directories = [Path(source.path) for source in loader.get_sources() if source.scheme() == "file"]
    for default in defaults:
        path = str(default.config_path)
        if path.startswith("hydra/"):
            continue
        if session.recipe is not None and path in session.recipe.lines:
            _overlay(table, session.recipe.lines[path])
            continue
        if session.srtslurm is not None and path == f"cluster/{OPTION}":
            _overlay(table, session.srtslurm.lines)
            continue
        file = _find(directories, path)
        if file is not None:
            label = path.replace("/", "=", 1) if "/" in path else path
            package = default.package or ""
            _overlay(table, {k: f"{label} ({relative_to_here(file)}:{n})" for k, n in _lines(file, package).items()})
    return table


def _find(directories: Sequence[Path], config_path: str) -> Path | None:
    return next((d / f"{config_path}.yaml" for d in directories if (d / f"{config_path}.yaml").is_file()), None)


@lru_cache(maxsize=256)
def _lines(file: Path, package: str) -> Mapping[str, int]:
    from srtctl.composition import yamlfile

    document = yamlfile.read(file)
    prefix = f"{package}." if package and package != "_global_" else ""
    found = {}
    for key, line in document.lines.items():
        if key != "defaults" and not key.startswith(("defaults.", "hydra")):
            found[prefix + key] = line
    return found


def _override_source(text: str, session: Session) -> dict[str, str]:
    key, _, value = text.partition("=")
    key = key.lstrip("+~").partition("@")[0]
    recipe = session.recipe
    source = f"command line: {text}"
    if recipe is not None and text not in session.constants and key in recipe.sweep_sources:
        source = f"{recipe.sweep_sources[key]}: {key}={value}"
    return dict.fromkeys((key, *_keys_inside(text, key)), source)


def _keys_inside(text: str, key: str) -> Iterator[str]:
    """The dotted keys that an override sets within `key`: `resources={agg_nodes: 1}` sets resources.agg_nodes."""
    if "{" not in text:
        return
    from hydra.core.override_parser.overrides_parser import OverridesParser

    levels = [(key, OverridesParser.create().parse_override(text).value())]
    while levels:
        prefix, value = levels.pop()
        if isinstance(value, dict):
            levels += [(f"{prefix}.{name}", inner) for name, inner in value.items()]
            yield from (f"{prefix}.{name}" for name in value)


def _overlay(table: dict[str, str], newer: Mapping[str, str]) -> None:
    """Put `newer` over `table`; what was known about the inside of a replaced value goes."""
    for key in newer:
        if key in table and not any(other.startswith(f"{key}.") for other in newer):
            for inner in [other for other in table if other.startswith(f"{key}.")]:
                del table[inner]
    table.update(newer)


def as_plain(table: Mapping[str, Any]) -> dict[str, str]:
    """The table as a dict, sorted by key."""
    return {key: str(table[key]) for key in sorted(table)}
