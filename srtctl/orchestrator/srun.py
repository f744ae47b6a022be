"""The command line of a step, and what srun's own words about its end mean. No value of a variable is ever in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Slurm gives every step all GPUs of the job and overwrites this; so it is set again, behind srun.
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"

_NODE_FAILURE = re.compile(r"srun: error: .*?[Nn]ode failure on (\S+)")
_SIGNALLED = re.compile(
    r"^srun: error: \S+: tasks? [\d,-]+: (?!Exited with exit code|Out Of Memory)(\S.*)$", re.MULTILINE
)
_OUT_OF_MEMORY = re.compile(r"(?i)\boom.?kill|: Out Of Memory$", re.MULTILINE)
_NOT_EXECUTED = re.compile(r"slurmstepd\S*: error: (?:execve\(\): |couldn't chdir to |Unable to )(.*)$", re.MULTILINE)
_REFUSED = re.compile(
    r"^srun: (?:error|fatal): ((?:Unable to (?:create step|confirm)|[Uu]nrecognized|[Ii]nvalid).*)$", re.MULTILINE
)
_NOISE = re.compile(r"^(srun|slurmstepd\S*): ")


@dataclass(frozen=True)
class Place:
    """Where a step runs.

    Attributes:
        host: Node name.
        job_id: Of the whole job.
        het_group: Component of a heterogeneous job; None for any other job.
        gpus: What CUDA calls the job's GPUs on that node, in order; empty where not known.
    """

    host: str
    job_id: str
    het_group: int | None = None
    gpus: tuple[str, ...] = ()


def step_command(
    srun: str,
    place: Place,
    name: str,
    argv: Sequence[str],
    *,
    workdir: str = "",
    options: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
    visible_gpus: str | None = None,
    interactive: bool = False,
) -> list[str]:
    """The argv that runs a program as a step of its own on one node.

    Args:
        srun: The program.
        place: Where.
        name: Of the step.
        argv: The program to run and its arguments.
        workdir: Its working directory outside of containers.
        options: Those of the container.
        extra: The user's own options: name -> value; None or True for one without a value, False for none at all.
        visible_gpus: Value for `CUDA_VISIBLE_DEVICES` as the plan counts GPUs, None to leave it to Slurm.
        interactive: Standard input is forwarded.
    """
    command = [srun, f"--jobid={place.job_id}"]
    if place.het_group is not None:
        command.append(f"--het-group={place.het_group}")
    # One task on one node, beside whatever runs there: --overlap and all of the memory, or it would wait for others.
    command += ["--overlap", "--nodes=1", "--ntasks=1", f"--nodelist={place.host}", "--mem=0"]
    # A CPU mask inherited from somewhere makes engines several times slower.
    command += ["--cpu-bind=none", "--mpi=none", "--export=ALL", "--quiet", f"--job-name={name}"]
    command += [] if interactive else ["--input=none"]
    command += [f"--chdir={workdir}"] if workdir else []
    command += [*options, *_rendered(extra or {}), "--"]
    if visible_gpus is not None:
        command += ["env", f"{VISIBLE_GPUS}={translated(visible_gpus, place.gpus)}"]
    return [*command, *argv]


def translated(visible: str, gpus: Sequence[str]) -> str:
    """`0,2` in the plan's count as CUDA names them on a node where the job has `gpus`, such as `4,5,6,7`: `4,6`."""
    indices = [part.strip() for part in visible.split(",")]
    if not all(part.isdigit() and int(part) < len(gpus) for part in indices):
        return visible
    return ",".join(gpus[int(part)] for part in indices)


@dataclass(frozen=True)
class End:
    """How a step really ended.

    Attributes:
        code: Exit code of the program, or minus the signal's number.
        what: What Slurm says about it, in words; empty where the code says all.
        node: Name of a node that has failed.
        refused: Slurm did not make the step at all, which may pass.
    """

    code: int
    what: str = ""
    node: str = ""
    refused: bool = False


def real_end(code: int, said: str) -> End:
    """Read srun's exit code together with what it wrote: it returns 0 also when the node was lost.

    Args:
        code: Of srun, or minus a signal's number.
        said: What is in the step's log since it was started.
    """
    lost = _NODE_FAILURE.search(said)
    if lost:
        return End(code, f"its node {lost[1]} has failed, says Slurm", lost[1])
    if code > 128 and _SIGNALLED.search(said):
        return End(128 - code, "killed for want of memory (out of memory)" if _OUT_OF_MEMORY.search(said) else "")
    if code > 0:
        if _OUT_OF_MEMORY.search(said):
            return End(code, "killed for want of memory (out of memory)")
        refused = _NOT_EXECUTED.search(said) or _REFUSED.search(said)
        if refused:
            return End(code, f"could not be started: {refused[1]}", refused="create step" in refused[1])
    return End(code)


def without_noise(text: str) -> str:
    """What the program wrote, without srun's and slurmstepd's own lines."""
    return "".join(line for line in text.splitlines(keepends=True) if not _NOISE.match(line))


def _rendered(options: Mapping[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value is not False}
    return [f"--{name}" if value is None or value is True else f"--{name}={value}" for name, value in given.items()]
