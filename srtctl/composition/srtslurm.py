"""srtslurm.yaml, the cluster file of srt-slurm, read as an option of our group `cluster`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtctl.composition import yamlfile
from srtctl.errors import Problem, Severity, SrtctlError, suggestion

if TYPE_CHECKING:
    from srtctl.composition.yamlfile import Document

OPTION = "srtslurm"  # cluster=srtslurm
FILE = "srtslurm.yaml"
ENVIRONMENT = "SRTSLURM_CONFIG"

# Their key -> (ours, kind of value)
_KEPT = {
    "default_account": ("account", "text"),
    "default_partition": ("partition", "text"),
    "default_time_limit": ("time_limit", "text"),
    "gpus_per_node": ("gpus_per_node", "number"),
    "network_interface": ("network_interface", "text"),
    "output_dir": ("output_dir", "text"),
    "model_paths": ("model_paths", "texts"),
    "containers": ("containers", "texts"),
    "cluster": ("name", "text"),
    "use_gpus_per_node_directive": ("use_gpus_per_node_directive", "switch"),
    "use_segment_sbatch_directive": ("use_segment_directive", "switch"),
    "use_exclusive_sbatch_directive": ("use_exclusive_directive", "switch"),
    "default_sbatch_directives": ("sbatch_directives", "table"),
    "default_mounts": ("default_mounts", "texts"),
}

# What has no place in our description of a cluster -> what to do instead; empty where nothing is lost.
_LEFT = {
    "srtctl_root": "",
    "cloud": "",
    "use_het_jobs": "say resources.het_jobs=true in the recipe",
    "default_health_check": "say health_check.max_attempts and health_check.interval_seconds in the recipe",
    "default_bash_preamble": "nothing is run in front of every process: use cluster.environment, or setup_script",
    "nginx_raise_ulimit": "",
    "reporting": "results stay in the output directory; `srtctl results --json` reads them",
    "telemetry": "GPU telemetry is not recorded",
}

_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("a text", lambda value: isinstance(value, str)),
    "number": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "switch": ("true or false", lambda value: isinstance(value, bool)),
    "texts": (
        "a table of texts",
        lambda value: isinstance(value, dict) and all(isinstance(v, str) for v in value.values()),
    ),
    "table": ("a table", lambda value: isinstance(value, dict)),
}


@dataclass(frozen=True)
class Converted:
    """A file as our cluster.

    Attributes:
        path: The file.
        cluster: Keys and values of our group `cluster`.
        lines: Key, `cluster.account` -> where it was written.
        warnings: About keys that have no effect here.
    """

    path: Path
    cluster: Mapping[str, Any]
    lines: Mapping[str, str]
    warnings: tuple[Problem, ...] = ()


def find() -> Path | None:
    """Where srt-slurm looks: $SRTSLURM_CONFIG, then here, then in the two directories above.

    Raises:
        SrtctlError: The variable names a file that isn't there.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        path = Path(named).expanduser().absolute()
        if not path.is_file():
            raise SrtctlError(Problem("srtslurm", f"{ENVIRONMENT} names a file that is not there", value=named,
                                      hint=f"`unset {ENVIRONMENT}`, or let it name the file"))  # fmt: skip
        return path
    here = Path.cwd()
    places = (here, *list(here.parents)[:2])
    return next((place / FILE for place in places if (place / FILE).is_file()), None)


def not_found() -> Problem:
    """What to say to somebody who asks for the file where there is none."""
    return Problem("srtslurm", f"there is no {FILE}", "cluster", OPTION, source="command line",
                   hint=f"it is looked for here and in two directories above; {ENVIRONMENT}=FILE names it")  # fmt: skip


def read(path: Path) -> Converted:
    """Read such a file.

    Raises:
        SrtctlError: It can't be read, or has keys or values that srt-slurm doesn't know: all of them.
    """
    document = yamlfile.read(path)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise SrtctlError(Problem("srtslurm", "a cluster file is a mapping of keys to values", source=str(path)))
    errors = [problem for key, value in data.items() for problem in _wrong(str(key), value, document)]
    if errors:
        raise SrtctlError(errors)
    cluster: dict[str, Any] = {
        "name": path.stem,
        "executor": "slurm",
        "container_runtime": "pyxis",  # srt-slurm knows no other
        "use_segment_directive": True,  # its default, like the next one
        "use_exclusive_directive": False,
    }
    lines = {}
    for key, (ours, _) in _KEPT.items():
        if data.get(key) is not None:
            cluster[ours] = data[key]
            lines[f"cluster.{ours}"] = document.source(key)
    if data.get("srtctl_root") and "output_dir" not in cluster:
        cluster["output_dir"] = f"{data['srtctl_root'].rstrip('/')}/outputs"
        lines["cluster.output_dir"] = document.source("srtctl_root")
    configs = f"{data.get('srtctl_root') or ''}".rstrip("/") + "/configs"
    if Path(configs).is_dir() and "/configs" not in cluster.get("default_mounts", {}).values():
        cluster["default_mounts"] = {**cluster.get("default_mounts", {}), configs: "/configs"}
        lines["cluster.default_mounts"] = document.source("srtctl_root")
    warnings = [_without_effect(key, document) for key, hint in _LEFT.items() if hint and _is_set(data.get(key))]
    return Converted(path, cluster, lines, tuple(warnings))


def _is_set(value: Any) -> bool:
    return value not in (None, False, "", {}, [])


def _wrong(key: str, value: Any, document: Document) -> list[Problem]:
    known = [*_KEPT, *_LEFT]
    if key not in known:
        hint = suggestion(key, known) or f"srt-slurm's keys are {', '.join(sorted(known))}"
        return [Problem("unknown-key", "srt-slurm knows no such key", key, hint=hint, source=document.source(key))]
    kind = _KEPT[key][1] if key in _KEPT else "text" if key == "srtctl_root" else ""
    if value is None or not kind:
        return []
    allowed, fits = _KINDS[kind]
    return [] if fits(value) else [Problem("wrong-type", "has a value of another kind", key, value, allowed,
                                           source=document.source(key))]  # fmt: skip


def _without_effect(key: str, document: Document) -> Problem:
    return Problem("ignored-key", "has no effect in srtctl", key, hint=_LEFT[key], source=document.source(key),
                   severity=Severity.WARNING)  # fmt: skip
