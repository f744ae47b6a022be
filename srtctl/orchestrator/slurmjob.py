"""The Slurm job that this process runs in: its nodes, its components, its end. Asked of Slurm once, at the start."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ASK_TIMEOUT_S = 30.0

Ask = Callable[[Sequence[str], float], str]


@dataclass(frozen=True)
class Component:
    """A part of a heterogeneous job; any other job is one.

    Attributes:
        job_id: Its own number: steps are listed and signalled under it.
        hosts: Its nodes, in Slurm's order.
    """

    job_id: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class SlurmJob:
    """A job.

    Attributes:
        job_id: Of the job as a whole, which `srun` wants.
        components: One or more.
        restarts: How often Slurm has started it again.
        ends_at: Unix seconds at which Slurm ends it; None for no limit, or where Slurm does not say.
    """

    job_id: str
    components: tuple[Component, ...]
    restarts: int = 0
    ends_at: float | None = None

    @property
    def heterogeneous(self) -> bool:
        return len(self.components) > 1

    def host(self, component: int, position: int) -> str:
        """The node at a position of a component.

        Raises:
            ValueError: The job has fewer nodes than the plan needs.
        """
        try:
            return self.components[component].hosts[position]
        except IndexError:
            count = sum(len(part.hosts) for part in self.components)
            raise ValueError(f"job {self.job_id} has {count} nodes, which is fewer than the plan needs") from None


def ask(argv: Sequence[str], timeout_s: float = ASK_TIMEOUT_S) -> str:
    """What a command of Slurm's prints.

    Raises:
        OSError: It could not be run, or failed; the text has its own words.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SCANCEL_"))}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False,
            stdin=subprocess.DEVNULL, env={**environment, "LC_ALL": "C", "SLURM_TIME_FORMAT": "%s"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OSError(f"`{argv[0]}` gave no answer within {timeout_s:g} s") from None
    if done.returncode:
        raise OSError(f"`{argv[0]}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


def slurm_job(environment: Mapping[str, str], asked: Ask = ask) -> SlurmJob:
    """The job that an environment belongs to.

    Raises:
        ValueError: It belongs to none, or Slurm's commands are not there; the text says which.
    """
    job_id = environment.get("SLURM_JOB_ID", "")
    if not job_id.isdigit():
        raise ValueError("this allocation was made for Slurm, and this is no Slurm job (SLURM_JOB_ID is not set)")
    missing = [name for name in ("srun", "scontrol", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        raise ValueError(f"Slurm's {missing[0]} is not in PATH on this node")
    try:
        components = tuple(
            Component(environment.get(f"SLURM_JOB_ID_HET_GROUP_{number}", job_id), _hosts(nodes, asked))
            for number, nodes in enumerate(_node_lists(environment))
        )
    except OSError as error:
        raise ValueError(f"the nodes of job {job_id} could not be found out: {error}") from error
    restarts = environment.get("SLURM_RESTART_COUNT", "0")
    return SlurmJob(job_id, components, int(restarts) if restarts.isdigit() else 0, _end(environment, job_id, asked))


def _node_lists(environment: Mapping[str, str]) -> list[str]:
    size = environment.get("SLURM_HET_SIZE", "")
    if size.isdigit():
        return [environment[f"SLURM_JOB_NODELIST_HET_GROUP_{number}"] for number in range(int(size))]
    return [environment.get("SLURM_JOB_NODELIST") or environment.get("SLURM_NODELIST") or ""]


def _hosts(nodes: str, asked: Ask) -> tuple[str, ...]:
    """`n[1-3,7]` as names."""
    return tuple(asked(["scontrol", "show", "hostnames", nodes], ASK_TIMEOUT_S).split())


def _end(environment: Mapping[str, str], job_id: str, asked: Ask) -> float | None:
    """When Slurm will end the job. Newer releases say it in the environment; not knowing it is no reason to fail."""
    said = environment.get("SLURM_JOB_END_TIME", "")
    if not said:
        try:
            said = (asked(["squeue", "-h", "-j", job_id, "-o", "%e"], ASK_TIMEOUT_S).split() or [""])[0]
        except OSError:
            return None
    return float(said) if said.isdigit() else None
