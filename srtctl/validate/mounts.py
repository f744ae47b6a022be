"""Mounts of containers."""

from __future__ import annotations

from collections.abc import Iterator

from srtctl.errors import Problem, Severity
from srtctl.validate.context import Context, Rule

_FORM = "/host/path:/container/path, or with a third part such as :ro"


def mounts(context: Context) -> Iterator[Problem]:
    """Both sides are absolute paths, and no container path is used twice."""
    targets: dict[str, tuple[str, str]] = {}
    for key, host, target in _all(context):
        if host is None:
            yield Problem("mount", "is no mount", key, target, _FORM)
            continue
        yield from _sides(key, host, target)
        earlier = targets.setdefault(target, (key, host))
        if earlier[1] != host:
            yield Problem(
                "mount",
                f"{target} is already the place of {earlier[1]} ({earlier[0]})",
                key,
                host,
                "one host path for each container path",
            )
        if context.facts.paths.get(host) is False:
            yield context.absent(key, host, "the nodes must have it")


def _all(context: Context) -> Iterator[tuple[str, str | None, str]]:
    """(key, host path, container path) of every mount; no host path where the text has no such form."""
    job = context.job
    for where, table in (
        ("cluster.default_mounts", job.cluster.default_mounts),
        ("container_mounts", job.container_mounts),
    ):
        for host, target in table.items():
            yield f"{where}.{host}", host, target
    for index, text in enumerate(job.extra_mount):
        parts = text.split(":")
        whole = len(parts) in (2, 3) and all(parts)
        yield f"extra_mount[{index}]", parts[0] if whole else None, parts[1] if whole else text


def _sides(key: str, host: str, target: str) -> Iterator[Problem]:
    for what, path in (("host", host), ("container", target)):
        if not path.startswith("/"):
            hint = "variables and ~ are not expanded here; say ${oc.env:NAME}" if path[:1] in "$~" else ""
            yield Problem("mount", f"the {what} path must be absolute", key, path, "a path that begins with /", hint)
        elif "," in path or ":" in path:
            yield Problem(
                "mount", f"the {what} path has a character that separates mounts", key, path, "a path without : and ,"
            )


def unused_mounts(context: Context) -> Iterator[Problem]:
    """Without containers nothing is mounted."""
    job = context.job
    if job.cluster.container_runtime != "none":
        return
    for key, value in (("container_mounts", job.container_mounts), ("extra_mount", job.extra_mount)):
        if value:
            yield Problem(
                "unused-container",
                f"cluster {job.cluster.name!r} runs no containers, so nothing is mounted",
                key,
                severity=Severity.WARNING,
                hint="cluster.container_runtime=pyxis where there is pyxis",
            )


RULES: tuple[Rule, ...] = (mounts, unused_mounts)
