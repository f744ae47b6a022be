"""What surrounds the processes of a plan: their container, their deadlines, and the profiler that watches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SLURM_EARLY_S = 60.0  # Slurm may send a warning so much earlier than it was asked to


@dataclass(frozen=True)
class Container:
    """How steps are wrapped on this cluster; `runtime` is `none` or `pyxis`.

    Attributes:
        image: Absolute path of a .sqsh file, or registry URI.
        mounts: (host path, container path), the latter with its flags if any (`/data:ro`); tokens are allowed.
        workdir: Working directory of workers and frontends inside; empty for the one that they have outside. All else,
            a setup command too, works where its files are.
        name: Of the container that all steps of a node share, so that the image is imported once; unique to the job.
        writable: The container's own files may be changed (installing something needs it).
        remap_root: Be root inside.
        mount_home: Bring the user's home directory in.
        entrypoint: Run the image's own entry point before the program.
        env: Names of variables that win over the image's own of the same name, beside those of the process.
    """

    runtime: str = "none"
    image: str = ""
    mounts: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    name: str = "srtctl"
    writable: bool = True
    remap_root: bool = False
    mount_home: bool = False
    entrypoint: bool = False
    env: tuple[str, ...] = ()


# SGLang looks for the signal every 5 s and then gives its schedulers 15 s to release GPUs; killed in the middle of that
# it leaves memory behind. With the servers that are stopped after it, that is less than the 30 s of Slurm's KillWait.
ENGINE_STOP_S = 20.0


@dataclass(frozen=True)
class Budgets:
    """Deadlines of the run, in seconds.

    Attributes:
        ready_s: Of all servers together, from the end of the preparation on.
        stop_s: Of the ordered stop.
        drain_s: Of the pause between two points.
        time_limit_s: Of the whole run where nobody else sets one; under Slurm its limit counts.
        early_warning_s: How long before the time limit the run begins to end.
        prepare_s: Importing images, installing what was asked for: outside `ready_s`.
        node_silent_s: A node that hasn't answered for so long has failed.
    """

    ready_s: float = 1800.0
    stop_s: float = 5.0
    drain_s: float = 30.0
    time_limit_s: float | None = None
    early_warning_s: float = 120.0
    prepare_s: float = 3600.0
    node_silent_s: float = 30.0

    def slurm_warning_s(self, limit_s: float | None) -> float | None:
        """How long before the time limit Slurm is asked to warn the job.

        Args:
            limit_s: Of the job; None where it is not known.

        Returns:
            So much that even an early warning comes in the second half of the time; None for a job too short for that,
            which then keeps to its own clock alone (it knows when it ends, and begins to end half-way).
        """
        if limit_s is None:
            return self.early_warning_s
        latest = min(self.early_warning_s, limit_s / 2 - SLURM_EARLY_S)
        return latest if latest >= 1 else None


@dataclass(frozen=True)
class ProfilerTarget:
    """A worker whose engine starts and stops a recording when it is asked to over HTTP.

    Attributes:
        worker: Its name; `process` is its leader's, which passes the word on to all ranks.
        address: `host:port` (tokens).
        start_paths: Where releases listen for the start, tried in this order until one is known there.
        stop_paths: Likewise for the stop.
    """

    worker: str
    role: str
    process: str
    address: str
    start_paths: tuple[str, ...]
    stop_paths: tuple[str, ...]


@dataclass(frozen=True)
class Profiler:
    """What records the workers of a plan. Which of their steps it records is said by each point's `Window`s.

    Attributes:
        type: `none`, `torch`, `nsys` (both by engine steps), or `nsys-time` (by the clock, from the worker's start).
        targets: The workers, for the former two.
        outputs: Worker -> directories of its ranks where nsys writes (tokens).
        activities: What the engine is asked to record.
        delay_s: For `nsys-time`, from the start of the process on.
        duration_s: Likewise, the length.
    """

    type: str = "none"
    targets: tuple[ProfilerTarget, ...] = ()
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    activities: tuple[str, ...] = ()
    delay_s: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True)
class Window:
    """Steps of an engine to record, counted from its start.

    Attributes:
        start_step: First one; 0 for the next that the engine makes.
        num_steps: How many; None for all until the end of the measurement.
    """

    start_step: int = 0
    num_steps: int | None = None

    def request(self) -> dict[str, Any]:
        """Its part of the request that starts a recording. An engine takes a start step of 0 for none at all."""
        asked = {"start_step": self.start_step or None, "num_steps": self.num_steps}
        return {name: value for name, value in asked.items() if value is not None}
