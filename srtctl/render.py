"""Texts that are made from a plan: nginx.conf and the batch script."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtctl.errors import Problem, SrtctlError
from srtctl.plan import optiontext
from srtctl.plan.duration import format_time_limit, parse_time_limit
from srtctl.plan.model import Plan
from srtctl.schema import JobConfig

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).parent / "templates"
_OPTION = re.compile(r"[a-z][a-z0-9-]*")

# Who says one of these knows what of a node the job needs.
_SHARES = frozenset({"exclusive", "oversubscribe", "share", "cpus-per-task", "cpus-per-gpu", "mincpus", "mem",
                     "mem-per-cpu", "mem-per-gpu"})  # fmt: skip


def render_template(name: str, **values: Any) -> str:
    """The text of a template of ours; a name it needs and doesn't get is an error, never an empty text."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> jinja2.Environment:
    import jinja2  # here, because most commands render nothing

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML; values are checked where they come in
    )


def allocation_time_s(job: JobConfig, points: int) -> float | None:
    """What the allocation needs: bring-up and each point's time limit; None when no limit is given."""
    limit = job.slurm.time_limit or job.cluster.time_limit
    if limit is None:
        return None
    health = job.health_check
    return health.max_attempts * health.interval_seconds + points * parse_time_limit(limit)


def points_within(job: JobConfig, limit_s: float) -> int | None:
    """How many points fit into an allocation of that length, at least one; None when points have no limit."""
    bring_up, one = allocation_time_s(job, 0), allocation_time_s(job, 1)
    return None if bring_up is None or one is None else max(1, int((limit_s - bring_up) // (one - bring_up)))


def render_batch(job: JobConfig, plan: Plan, *, points: int = 1) -> str:
    """The batch script of one allocation that runs `points` points.

    Raises:
        SrtctlError: A value can't be written into the script without changing its meaning.
    """
    python = shlex.quote(job.cluster.python or sys.executable)
    slurm = job.cluster.executor == "slurm"
    parts = _components(job, plan, points) if slurm else []
    components = [[_line(*item) for item in part.items()] for part in parts]
    return render_template("batch.sh.j2", components=components, slurm=slurm, python=python)


def _components(job: JobConfig, plan: Plan, points: int) -> list[dict[str, Any]]:
    """sbatch's options per component of the job; one component unless it is a heterogeneous job."""
    groups = sorted({slot.het_group for slot in plan.slots})
    parts = []
    for group in groups:
        nodes = sum(slot.het_group == group for slot in plan.slots)
        part = _of_decode_nodes(job) if group else job
        options = _queue(part, points) | _nodes(part, nodes)
        if group == 0:
            limit = {**job.cluster.sbatch_directives, **options, **job.sbatch_directives}.get("time")
            options = _once(plan, limit) | options
        options = {**job.cluster.sbatch_directives, **options, **job.sbatch_directives}
        parts.append({name: value for name, value in options.items() if value is not False})
    return parts


def _of_decode_nodes(job: JobConfig) -> JobConfig:
    """The job as its second component asks for it."""
    own = {name: value for name, value in vars(job.slurm.decode).items() if value is not None}
    return replace(job, slurm=replace(job.slurm, **own))


def _once(plan: Plan, limit: Any) -> dict[str, Any]:
    """Options of the job as a whole."""
    return {
        "job-name": plan.name,
        "output": "orchestrator.log",
        "open-mode": "append",
        "signal": _warning(plan, limit),
        "no-kill": None,
        "requeue": None,
    }


def _warning(plan: Plan, limit: Any) -> str | bool:
    """The signal before the time limit, whoever has set that; False for a job that is too short to be warned so."""
    try:
        limit_s = parse_time_limit(str(limit)) if limit else None
    except ValueError:  # sbatch has more ways to say that there is none
        limit_s = None
    seconds = plan.budgets.slurm_warning_s(limit_s)
    return False if seconds is None else f"B:TERM@{int(seconds)}"


def _queue(job: JobConfig, points: int) -> dict[str, Any]:
    slurm, cluster = job.slurm, job.cluster
    total = allocation_time_s(job, points)
    named = {
        "account": slurm.account or cluster.account,
        "partition": slurm.partition or cluster.partition,
        "qos": slurm.qos,
        "time": None if total is None else format_time_limit(total),
        "reservation": slurm.reservation,
        "constraint": slurm.constraint,
        "nodelist": slurm.nodelist,
        "exclude": slurm.exclude,
        "dependency": slurm.dependency,
        "comment": slurm.comment,
        "mail-user": slurm.mail_user,
        "mail-type": ",".join(slurm.mail_type) or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _nodes(job: JobConfig, nodes: int) -> dict[str, Any]:
    slurm, cluster = job.slurm, job.cluster
    gpus = job.resources.gpus_per_node or cluster.gpus_per_node
    options: dict[str, Any] = {"nodes": nodes, "ntasks-per-node": 1, "mem": slurm.mem or "0"}
    if slurm.gres:
        options["gres"] = slurm.gres
    elif cluster.use_gpus_per_node_directive and not cluster.simulated_gpus and gpus:
        options["gpus-per-node"] = gpus
    if slurm.segment or cluster.use_segment_directive:
        options["segment"] = slurm.segment or nodes
    asked = slurm.exclusive if slurm.exclusive is not None else cluster.use_exclusive_directive
    if _takes_whole_nodes(job, gpus) if asked is None else asked:
        options["exclusive"] = None
    return options


def _takes_whole_nodes(job: JobConfig, gpus: int | None) -> bool:
    """Whether nobody fits beside the job anyway: it takes all memory and, as far as is known, all GPUs of its nodes.

    Without a word about CPUs many sites give a job one for each node, and all of its processes share that one.
    """
    directives = {**job.cluster.sbatch_directives, **job.sbatch_directives}
    part = bool(gpus and job.cluster.gpus_per_node and gpus < job.cluster.gpus_per_node)
    return not part and (job.slurm.mem or "0") == "0" and not _SHARES.intersection(directives)


def _line(name: str, value: Any) -> str:
    """`--name`, or `--name=value` with a value that Slurm reads as it was written."""
    if not _OPTION.fullmatch(name):
        raise _refused(name, name, "lower-case letters, digits and dashes")
    if value is None or value is True:
        return f"--{name}"
    text = optiontext.quoted(str(value))
    if text is None:
        raise _refused(name, value, optiontext.ALLOWED)
    return f"--{name}={text}"


def _refused(name: str, value: Any, allowed: str) -> SrtctlError:
    return SrtctlError(Problem("batch-script", f"the option --{name} can't be written into the batch script",
                               value=value, allowed=allowed))  # fmt: skip
