"""Which release of Slurm is here, and which of sbatch's and srun's options it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from srtctl.errors import Problem, suggestion
from srtctl.slurm.command import run

# Options that came later than the oldest release in use -> a release that has them.
NEWER = {"segment": "24.11"}

# What asks for an option, where that is not sbatch_directives.
KEYS = {
    "segment": "slurm.segment (or cluster.use_segment_directive)",
    "exclusive": "slurm.exclusive (or cluster.use_exclusive_directive)",
    "gpus-per-node": "cluster.use_gpus_per_node_directive",
    **{
        name: f"slurm.{name.replace('-', '_')}"
        for name in (
            *("account", "partition", "qos", "reservation", "constraint", "nodelist", "exclude", "dependency", "mem"),
            *("gres", "comment", "mail-user", "mail-type"),
        )
    },
    "time": "slurm.time_limit",
}

# Long options in the text of `sbatch --help`; `--gres` and the like stand behind spaces, commas or brackets.
_LONG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
# Listed in no release's help although all have it; srtctl uses it always.
_UNLISTED = frozenset({"open-mode"})


@cache
def version_text() -> str:
    """The release of the client programs, such as `22.05.8`; asks no controller.

    Raises:
        SrtctlError: There is no sbatch here.
    """
    words = run(["sbatch", "--version"]).stdout.split()
    return words[-1] if words else "unknown"


def version_number(text: str) -> tuple[int, ...]:
    """`22.05.8` as (22, 5, 8), to be compared; empty for a text without numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@cache
def options_of(program: str) -> frozenset[str]:
    """Every long option that the help of `sbatch` or `srun` lists here, those of the site's plug-ins too."""
    return frozenset(_LONG.findall(run([program, "--help"], check=False).stdout))


def option_problems(names: Iterable[str], program: str = "sbatch") -> list[Problem]:
    """One error for each option that this `sbatch` or `srun` doesn't have.

    Args:
        names: Long names without dashes, such as `segment`.
        program: Which of the two is to take them.

    Raises:
        SrtctlError: There is no such program here.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return []
    known = options_of(program) | _UNLISTED
    unknown = [name for name in wanted if name not in known and not _accepted(program, name)]
    return [_problem(name, known, program) for name in unknown]


def _accepted(program: str, name: str) -> bool:
    """Whether a program takes an option that its help is silent about; it is asked without starting anything."""
    answer = run([program, f"--{name}", "--usage"], check=False)
    return "unrecognized option" not in answer.stderr


def _problem(name: str, known: Iterable[str], program: str) -> Problem:
    if program == "srun":
        key, what = f"srun_options.{name}", "'s srun has no"
    else:
        key, what = KEYS.get(name, f"sbatch_directives.{name}"), " has no"
    here = version_text()
    later = f"; {NEWER[name]} has it" if name in NEWER else ""
    hint = ("" if later else suggestion(name, known)) or "leave it out on this cluster"
    return Problem("slurm-version", f"Slurm {here}{what} --{name}{later}", key, hint=hint)
