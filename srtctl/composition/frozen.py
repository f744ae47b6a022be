"""The points of a sweep as they were: from the resolved configs in its directory, without composing anything.

What is not part of a point's identity may be changed on the way: queue settings and the launcher's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from srtctl.composed import ComposedPoint, Sources
from srtctl.errors import Problem, SrtctlError
from srtctl.results.select import read_manifest
from srtctl.rundir import PointDir, SweepDir

_CHANGEABLE = ("slurm.", "launcher.", "sbatch_directives.", "srun_options.", "cluster.")


def only_settings(words: Iterable[str]) -> bool:
    """Whether all overrides are settings that can be changed about frozen points."""
    return all(word.lstrip("+~").startswith(_CHANGEABLE) or word.startswith("tags=") for word in words)


def frozen_points(sweep: SweepDir, words: Sequence[str]) -> list[ComposedPoint]:
    """The points of a sweep, those left out that were withdrawn.

    Args:
        sweep: The sweep.
        words: Settings to change, as overrides.

    Raises:
        SrtctlError: A config is missing or damaged, or an override is none, or changes what is measured.
    """
    changes = [_change(word) for word in words]
    records = [record for record in read_manifest(sweep)["points"] if not record.get("withdrawn")]
    points = []
    for record in records:
        config = _config(sweep.point(int(record["index"])))
        for keys, value in changes:
            _apply(config, keys, value)
        source = Sources({".".join(keys): "command line" for keys, _ in changes})
        points.append(ComposedPoint(int(record["index"]), tuple(record["overrides"]), config, source))
    return points


def _config(point: PointDir) -> dict[str, Any]:
    """The resolved config of a point, without the mark that says so."""
    import yaml

    try:
        # the reader that belongs to the writer: texts come back as texts
        text = point.config.read_text(encoding="utf-8")
        config = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - it is the safe one
        config.pop("srtctl")
    except (OSError, ValueError, KeyError, AttributeError, yaml.YAMLError) as error:
        message = f"{point.config} can't be read: {error}"
        raise SrtctlError(Problem("resume", message, hint="resume it with the command that began it")) from error
    if config.get("setup_script") is not None:
        config["setup_script"] = str(point.path / config["setup_script"])
    return dict(config)


def _change(word: str) -> tuple[list[str], Any]:
    """An override as key and value; None for one that is taken out."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException as error:
        hint = "overrides are written key=value"
        problem = Problem("override-syntax", "this is no override", value=word, hint=hint, source="command line")
        raise SrtctlError(problem) from error
    if override.is_sweep_override():
        message = "is a sweep; what is resumed has its points already"
        raise SrtctlError(Problem("resume", message, override.key_or_group, word, "one value", source="command line"))
    return override.key_or_group.split("."), None if override.is_delete() else _plain(override.value())


def _plain(value: Any) -> Any:
    """Without Hydra's marks of quotes."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(getattr(value, "text", value)) if hasattr(value, "quote") else value


def _apply(config: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    node = config
    for key in keys[:-1]:
        node = node.setdefault(key, {})
    node[keys[-1]] = value
