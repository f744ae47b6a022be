"""Models of the Hugging Face hub: where their files are kept."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from srtctl.errors import Problem, Severity
from srtctl.schema import JobConfig
from srtctl.validate.context import Context, Rule
from srtctl.validate.model import is_hub_id, resolved_model_path

# Where the hub's library looks for the place of its cache, in this order.
_VARIABLES = ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
_IN_A_HOME = re.compile(r"(/root|/home/[^/]+|.*/\.cache(/huggingface(/hub)?)?)/?")


def cache(context: Context) -> Iterator[Problem]:
    """Where processes run in containers, the cache must come from outside: else each node fills one of its own."""
    from srtctl.backends import BACKENDS

    job = context.job
    entry = BACKENDS.get(job.backend.type)
    kind, _, name = resolved_model_path(job).partition(":")
    if job.cluster.container_runtime == "none" or kind != "hf" or not is_hub_id(name):
        return
    if entry is None or not entry.engines_use_gpus or any(name in job.pass_environment for name in _VARIABLES):
        return  # a simulated engine reads small files only; what a passed variable holds is not known here
    named = next((found for name in _VARIABLES if (found := _variable(job, name))), None)
    if not _comes_from_outside(job, named[1] if named else None):
        yield _lost(job, named)


def _comes_from_outside(job: JobConfig, directory: str | None) -> bool:
    """Whether the cache's directory (None: the library's own choice, in the home) is one of the node's."""
    mounted = [*job.cluster.default_mounts.values(), *job.container_mounts.values()]
    mounted += [text.split(":")[1] for text in job.extra_mount if ":" in text]
    mounted += [job.model.stage_dir] if job.model.stage_dir else []
    targets = [target.partition(":")[0] for target in mounted]
    if directory is None:
        return job.cluster.container_mount_home or any(_IN_A_HOME.fullmatch(target) for target in targets)
    if job.cluster.container_mount_home and directory.startswith(("/home/", "/root/", "~", "$")):
        return True
    return any(_is_below(directory, target) for target in targets)


def _lost(job: JobConfig, named: tuple[str, str] | None) -> Problem:
    size = f" ({job.model.weights_gib:g} GiB)" if job.model.weights_gib else ""
    lost = f"every node of every job downloads the model{size} into its own container, and loses it there"
    if named is None:
        hint = "set environment.HF_HOME to a shared directory that is mounted (cluster.default_mounts), "
        hint += "or model.path (an alias of cluster.model_paths) to a copy"
        return Problem("hub-cache", lost, "model.path", job.model.path, hint=hint, severity=Severity.WARNING)
    key, path = named
    message = f"this directory is not mounted into the containers: {lost}"
    hint = f"cluster.default_mounts={{{path}: {path}}}"
    return Problem("hub-cache", message, key, path, hint=hint, severity=Severity.WARNING)


def _variable(job: JobConfig, name: str) -> tuple[str, str] | None:
    """(key, value) of a variable of every process."""
    for key, table in (("environment", job.environment), ("cluster.environment", job.cluster.environment)):
        if table.get(name):
            return f"{key}.{name}", table[name]
    return None


def _is_below(path: str, directory: str) -> bool:
    path, directory = posixpath.normpath(path), posixpath.normpath(directory)
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


RULES: tuple[Rule, ...] = (cache,)
