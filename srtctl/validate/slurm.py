"""What goes to sbatch and srun."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from srtctl.errors import Problem, Severity
from srtctl.plan import optiontext
from srtctl.plan.duration import ALLOWED, format_time_limit, parse_time_limit
from srtctl.validate.context import Context, Rule

_OPTION = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")

_SBATCH_OWNED = {
    "nodes": "it follows from resources",
    "ntasks": "the batch script is one task",
    "ntasks-per-node": "the batch script is one task",
    "array": "a sweep is several jobs",
    "wrap": "the batch script is srtctl's",
    "chdir": "paths count from the run directory",
    "output": "logs are in the run directory",
    "error": "logs are in the run directory",
    "open-mode": "logs are in the run directory",
    "export": "say pass_environment: [NAME]",
    "signal": "srtctl needs the signal before the time limit",
    "job-name": "say name",
    "time": "say slurm.time_limit",
    "account": "say slurm.account",
    "partition": "say slurm.partition",
    "gpus-per-node": "say resources.gpus_per_node",
    "clusters": "say SLURM_CLUSTERS=NAME in your environment: then srtctl asks that cluster about the job, too",
    "hold": "a held job never tells what became of it",
}
_SRUN_OWNED = {
    "nodes": "it follows from the placement",
    "ntasks": "a step is one process",
    "nodelist": "it follows from the placement",
    "jobid": "steps run in their own allocation",
    "overlap": "srtctl sets it",
    "output": "logs are in the run directory",
    "error": "logs are in the run directory",
    "export": "say environment or pass_environment",
    "container-image": "say model.container",
    "container-mounts": "say container_mounts",
}


def time_limits(context: Context) -> Iterator[Problem]:
    """Slurm's own forms only."""
    for part in ("slurm", "cluster"):
        key, value = f"{part}.time_limit", getattr(context.job, part).time_limit
        if value is None:
            continue
        try:
            seconds = parse_time_limit(value)
        except ValueError:
            yield Problem("time-limit", "is no time limit", key, value, ALLOWED, "for example '04:00:00'")
            continue
        if value.isdigit() and int(value) >= 3600:
            text = f"a number alone is minutes, so this is {format_time_limit(seconds)}"
            yield Problem(
                "time-limit",
                text,
                key,
                value,
                severity=Severity.WARNING,
                hint="YAML reads an unquoted 4:00:00 as 14400; put it in quotes",
            )


def options(context: Context) -> Iterator[Problem]:
    """Names and values of further sbatch and srun options."""
    job = context.job
    for key, values, owned in (
        ("sbatch_directives", job.sbatch_directives, _SBATCH_OWNED),
        ("cluster.sbatch_directives", job.cluster.sbatch_directives, _SBATCH_OWNED),
        ("srun_options", job.srun_options, _SRUN_OWNED),
        ("cluster.srun_options", job.cluster.srun_options, _SRUN_OWNED),
    ):
        yield from _options(key, values, owned)


def _options(where: str, values: Mapping[str, Any], owned: Mapping[str, str]) -> Iterator[Problem]:
    for name, value in values.items():
        key = f"{where}.{name}"
        if _OPTION.fullmatch(name) is None:
            kebab = name.lstrip("-").lower().replace("_", "-")
            hint = f"write {kebab}" if _OPTION.fullmatch(kebab) else ""
            yield Problem(
                "slurm-option", "no name of an option", key, name, "the long name without dashes in front", hint
            )
        elif name in owned:
            yield Problem("slurm-option", "this option is not free", key, value, hint=owned[name])
        elif isinstance(value, (Mapping, list, tuple)):
            yield Problem("slurm-option", "an option has one value", key, value, "text, a number, true, false or null")
        elif isinstance(value, str) and value and optiontext.quoted(value) is None:
            text = "has a character that would end the option"
            yield Problem("slurm-option", text, key, value, optiontext.ALLOWED)


def decode_nodes(context: Context) -> Iterator[Problem]:
    """Only a heterogeneous job can ask for decode nodes of another kind."""
    for name, value in vars(context.job.slurm.decode).items():
        if value is not None and not context.job.resources.het_jobs:
            hint = "resources.het_jobs=true asks for prefill and decode nodes as two components of one job"
            yield Problem("het-jobs", "decode nodes are not asked for by themselves", f"slurm.decode.{name}", value,
                          hint=hint)  # fmt: skip


RULES: tuple[Rule, ...] = (time_limits, options, decode_nodes)
