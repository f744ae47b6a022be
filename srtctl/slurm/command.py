"""The one place that runs Slurm's client programs and turns their failures into problems."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from srtctl.errors import ExitCode, Problem, SrtctlError
from srtctl.slurm.messages import last_message, problem_of

TIMEOUT_S = 30.0  # a client gives a silent controller up after 10 s or so by itself

# Variables by which Slurm's programs change their ways, beside those that a job leaves to what runs in it.
_STEERING = ("SLURM_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SINFO_", "SACCT_", "SCONTROL_", "SCANCEL_")
_LEFTOVERS = (*_STEERING, "PMIX_", "PMI_", "OMPI_")
# Which cluster is meant, and who asks: without these the programs may not find the controller at all.
_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"})


@dataclass(frozen=True)
class Answer:
    """What a client program said."""

    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str], *, timeout_s: float = TIMEOUT_S, input_text: str | None = None, check: bool = True
) -> Answer:
    """Run one of Slurm's client programs, untouched by the user's settings of its output.

    Args:
        argv: The program and its arguments.
        timeout_s: When it is given up.
        input_text: For its standard input, which is empty otherwise.
        check: Whether a failure is an error; else the caller looks at the return code.

    Raises:
        SrtctlError: There is no such program, it gave no answer in time, or (with `check`) it failed.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=input_text or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env=client_environment(os.environ),
        )
    except FileNotFoundError as error:
        raise SrtctlError(_missing(argv[0]), ExitCode.UNAVAILABLE) from error
    except OSError as error:
        problem = Problem("slurm-program", f"`{argv[0]}` can't be started: {error.strerror or error}")
        raise SrtctlError(problem, ExitCode.UNAVAILABLE) from error
    except subprocess.TimeoutExpired as error:
        raise SrtctlError(_silent(argv, timeout_s), ExitCode.UNAVAILABLE) from error
    if check and done.returncode != 0:
        text = done.stderr or done.stdout
        said = problem_of(text, f"`{argv[0]}` failed: {last_message(text) or f'exit code {done.returncode}'}")
        raise SrtctlError(said, ExitCode.UNAVAILABLE)
    return Answer(done.returncode, done.stdout, done.stderr)


def client_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment for questions to Slurm: its own formats, in English, for the cluster that is meant."""
    kept = {name: value for name, value in inherited.items() if name in _KEPT or not name.startswith(_STEERING)}
    return kept | {"LC_ALL": "C"}


def leftovers(inherited: Iterable[str], wanted: Iterable[str] = ()) -> list[str]:
    """Variables that a submitted job must not inherit: of the job that we are in, and of sbatch's own settings.

    Args:
        inherited: Names that there are.
        wanted: Names that reach the job nevertheless (`pass_environment`).
    """
    kept = _KEPT.union(wanted)
    return sorted(name for name in inherited if name.startswith(_LEFTOVERS) and name not in kept)


def _missing(program: str) -> Problem:
    return Problem(
        "slurm-missing",
        f"`{program}` was not found",
        hint="start srtctl where Slurm's programs are in PATH, such as a login node of the cluster; "
        "cluster=local needs no Slurm",
    )


def _silent(argv: Sequence[str], timeout_s: float) -> Problem:
    return Problem(
        "slurm-silent",
        f"`{argv[0]}` gave no answer within {timeout_s:g} s",
        hint="`scontrol ping` tells whether the controller is up; what runs goes on without it",
    )
