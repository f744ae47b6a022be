"""How a step enters its container: the options that the pyxis plug-in adds to srun. Nothing else knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
        image: Another image than the shared container's: the step gets a container of its own.
    """
    options = [f"--container-image={image or container.image}"]
    if not image:
        # By its name all steps of the job find the container that the first one has made on this node.
        options.append(f"--container-name={shared_name(container, job_id)}")
    options.append(f"--container-workdir={container.workdir or workdir}")
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


def shared_name(container: Container, job_id: str) -> str:
    """Of the container that all steps of a job share on a node."""
    return f"{container.name}-{job_id}"
