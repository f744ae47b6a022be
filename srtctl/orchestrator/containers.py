"""How a step enters its container: the options that the pyxis plug-in adds to srun. Nothing else knows of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from srtctl.plan.surroundings import Container


def pyxis_options(
    container: Container,
    *,
    job_id: str,
    workdir: str,
    mounts: Sequence[tuple[str, str]],
    environment: Iterable[str],
    image: str = "",
) -> list[str]:
    """Options of srun for a step in a container.

    Args:
        container: The cluster's way; its mounts are not looked at.
        job_id: Makes the shared container's name unique on the node.
        workdir: Directory that the process starts in, as it is called inside.
        mounts: (host path, container path) with every token replaced.
        environment: Names of variables that win over the image's own; their values are in srun's environment.
        image: Another image than the servers': it has a container of its own, shared by the steps that run in it.
    """
    options = [f"--container-image={image or container.image}"]
    # By its name all steps of the job find the container that the first one has made on this node.
    options.append(f"--container-name={shared_name(container, job_id, image)}")
    options.append(f"--container-workdir={workdir}")
    if mounts:
        options.append("--container-mounts=" + ",".join(f"{source}:{target}" for source, target in mounts))
    names = sorted({*environment, *container.env})
    if names:
        options.append("--container-env=" + ",".join(names))
    # Both of each pair are said: which of them is the default is the site's choice.
    options.append("--container-writable" if container.writable else "--container-readonly")
    options.append("--container-remap-root" if container.remap_root else "--no-container-remap-root")
    options.append("--container-mount-home" if container.mount_home else "--no-container-mount-home")
    options.append("--container-entrypoint" if container.entrypoint else "--no-container-entrypoint")
    return options


def shared_name(container: Container, job_id: str, image: str = "") -> str:
    """Of the container that all steps of a job with the same image share on a node; no image for the servers'."""
    other = f"-{zlib.crc32(image.encode()):08x}" if image and image != container.image else ""
    return f"{container.name}-{job_id}{other}"


def all_mounts(sweep: Path, attempt: Path, planned: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Every mount of a step: the run's own, and over them, where they name the same place inside, those of the plan.

    Args:
        sweep: The sweep's directory, which has the same name inside.
        attempt: Where rendered files and logs are: `/configs` and `/logs`, as recipes and setup scripts call them.
        planned: (host path, container path) of all others.
    """
    own = [(str(sweep), str(sweep)), (str(attempt), "/configs"), (str(attempt / "logs"), "/logs")]
    return list({target.partition(":")[0]: (source, target) for source, target in [*own, *planned]}.values())
