"""Slurm's own messages, with the key that each is about and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from srtctl.errors import UNSET, Problem
from srtctl.schema import SlurmConfig


@dataclass(frozen=True)
class _Meaning:
    """A message, by a part of it.

    Attributes:
        pattern: What it contains, in any case.
        key: The config key that it is about; empty for none. Several, with spaces between them: whichever was used.
        hint: What to do.
    """

    pattern: str
    key: str
    hint: str


_MEANINGS = (
    _Meaning("unable to contact slurm controller|controller not responding|socket timed out|connection refused", "",
             "`scontrol ping` tells whether the controller is up; try again when it is"),
    _Meaning("invalid partition", "slurm.partition", "`sinfo -s` lists the partitions"),
    _Meaning("no default partition|no partition specified", "slurm.partition",
             "this cluster has no default partition; `sinfo -s` lists the partitions"),
    _Meaning("invalid account|account/partition combination", "slurm.account",
             "`sacctmgr show assoc user=$USER format=account,partition,qos` lists what you may use"),
    _Meaning("invalid qos|qos specification", "slurm.qos",
             "`sacctmgr show assoc user=$USER format=account,qos` lists what you may use"),
    _Meaning("time limit is invalid|time limit specification|exceeds.*time limit|partitiontimelimit",
             "slurm.time_limit", "slurm.time_limit is per point: an allocation asks for bring-up and all of its "
             "points; launcher.max_points_per_allocation makes allocations shorter, and `sinfo -s` shows the limits"),
    _Meaning("reservation", "slurm.reservation", "`scontrol show reservation` lists the reservations"),
    _Meaning("invalid feature", "slurm.constraint", "`sinfo -o '%P %f'` lists the features of nodes"),
    _Meaning("gres|generic resource", "cluster.gpus_per_node slurm.gres",
             "`sinfo -o '%P %G'` shows what nodes have; slurm.gres asks for it by name, and "
             "cluster.use_gpus_per_node_directive=false asks for no GPUs at all"),
    _Meaning("invalid node name|node name specified", "slurm.nodelist slurm.exclude", "`sinfo -N` lists the nodes"),
    _Meaning("node count specification", "resources", "`sinfo -s` shows how many nodes each partition has"),
    _Meaning("requested node configuration is not available",
             "resources slurm.gres slurm.mem slurm.constraint sbatch_directives.cpus-per-task",
             "no node has all that a node of this job asks for: GPUs, memory, features; "
             "`sinfo -o '%P %D %G %m %f'` shows what they have"),
    _Meaning("memory specification|memory required", "slurm.mem", "slurm.mem=0 asks for all memory of each node"),
    _Meaning("more processors requested", "resources sbatch_directives.cpus-per-task",
             "`sinfo -o '%P %c'` shows the CPUs of nodes"),
    _Meaning("license", "sbatch_directives.licenses", "`scontrol show licenses` lists them"),
    _Meaning("invalid --(?:begin|deadline) specification", "sbatch_directives.begin sbatch_directives.deadline",
             "a time such as now+2hours, 16:00 or 2027-01-31T16:00"),
    _Meaning("dependency", "slurm.dependency", "the jobs it names must be known to Slurm still"),
    _Meaning("violates accounting|submit limit|policy|association", "slurm.qos",
             "a limit of your account or QOS: `sacctmgr show assoc user=$USER` and `sacctmgr show qos` show them; "
             "fewer, longer allocations need fewer jobs (launcher.share_deployment)"),
    _Meaning("unrecognized option", "sbatch_directives", "`sbatch --help` lists what this release has"),
    _Meaning("mail", "slurm.mail_type", "such as END or FAIL"),
    _Meaning("access/permission denied|permission denied", "", "ask who runs the cluster whether you may use it"),
)  # fmt: skip

_SPECIFICATION = re.compile(r"[Ii]nvalid --([a-z-]+) specification")
_KEYS = frozenset(f"slurm.{name.replace('_', '-')}" for name in SlurmConfig.__dataclass_fields__)
_ASK_NOTHING = (("mem", "0"),)  # all memory of a node: every job has it

_NOISE = re.compile(r"^\s*(?:\w+: )?(?:error: |fatal: )?")
_NO_MESSAGE = re.compile(r'^\s*(?:Try "|srun: |$)')


def problem_of(text: str, message: str, rule: str = "slurm", asked: Mapping[str, str | None] | None = None) -> Problem:
    """A problem with what Slurm's message `text` is about and what to do.

    Args:
        text: What the program wrote.
        message: What to say.
        rule: The problem's id.
        asked: Options that the job had, such as `gres`, with their values.
    """
    there = {name: value for name, value in (asked or {}).items() if (name, value) not in _ASK_NOTHING}
    for meaning in _MEANINGS:
        if re.search(meaning.pattern, text, re.IGNORECASE):
            keys = meaning.key.split(" ")
            used = {key: name for key in keys if (name := key.rpartition(".")[2].replace("_", "-")) in there}
            value = ", ".join(_option(name, there[name]) for name in used.values()) or UNSET
            return Problem(rule, message, next(iter(used), keys[0]), value, hint=meaning.hint)
    option = _SPECIFICATION.search(text)
    if option is not None:
        key = f"slurm.{option[1]}" if f"slurm.{option[1]}" in _KEYS else f"sbatch_directives.{option[1]}"
        shown = _option(option[1], there[option[1]]) if option[1] in there else UNSET
        return Problem(rule, message, key, shown, hint=f"`man sbatch` says what --{option[1]} takes")
    return Problem(rule, message)


def _option(name: str, value: str | None) -> str:
    return f"--{name}" if value is None else f"--{name}={value}"


def last_message(text: str) -> str:
    """What matters of a program's output: the last message, which names the reason, without the program's name."""
    lines = [_NOISE.sub("", line).strip() for line in text.splitlines() if not _NO_MESSAGE.match(line)]
    return lines[-1].removeprefix("Batch job submission failed: ") if lines else ""


def one_line(text: str) -> str:
    """All messages of a program's output in one line."""
    lines = [_NOISE.sub("", line).strip() for line in text.splitlines() if not _NO_MESSAGE.match(line)]
    return "; ".join(dict.fromkeys(line for line in lines if line))
