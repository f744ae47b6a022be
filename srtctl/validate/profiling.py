"""Profilers: what they record must be what runs."""

from __future__ import annotations

from collections.abc import Iterator

from srtctl.errors import UNSET, Problem, Severity
from srtctl.plan.model import ROLES
from srtctl.validate.context import Context, Rule


def phases(context: Context) -> Iterator[Problem]:
    """Steps to record for every role that runs, and for no other."""
    profiling = context.job.profiling
    given = {role: getattr(profiling, role) for role in ROLES}
    if profiling.type == "none":
        for role, phase in given.items():
            if phase is not None:
                yield Problem(
                    "profiling-phase",
                    "nothing is recorded, because profiling.type is none",
                    f"profiling.{role}",
                    hint="profiling.type=torch",
                    severity=Severity.WARNING,
                )
        return
    for role, phase in given.items():
        key = f"profiling.{role}"
        if phase is None:
            if role in context.workers and profiling.type != "nsys-time":
                yield Problem(
                    "profiling-phase",
                    f"the job has {role} workers, and the steps to record are not given",
                    key,
                    allowed="start_step and stop_step",
                )
            continue
        if context.workers and role not in context.workers:
            yield Problem(
                "profiling-phase", f"the job has no {role} workers", key, allowed=" and ".join(context.workers)
            )
        elif phase.start_step is not None and phase.stop_step is not None and phase.stop_step <= phase.start_step:
            yield Problem(
                "profiling-phase",
                f"must be after start_step, which is {phase.start_step}",
                f"{key}.stop_step",
                phase.stop_step,
            )


def time_window(context: Context) -> Iterator[Problem]:
    """nsys-time needs its window; the others have none."""
    profiling = context.job.profiling
    for name in ("delay_secs", "duration_secs"):
        value = getattr(profiling, name)
        if profiling.type == "nsys-time" and value is None:
            yield Problem(
                "profiling-window", "nsys-time needs delay_secs and duration_secs", f"profiling.{name}", UNSET
            )
        elif profiling.type != "nsys-time" and value is not None:
            yield Problem(
                "profiling-window",
                "only nsys-time has a time window",
                f"profiling.{name}",
                value,
                severity=Severity.WARNING,
            )


def engine(context: Context) -> Iterator[Problem]:
    """The simulator has no kernels to record."""
    job = context.job
    if job.profiling.type != "none" and job.backend.type == "mocker":
        yield Problem(
            "profiling-backend",
            "the mocker runs no engine that could be recorded",
            "profiling.type",
            job.profiling.type,
            "none",
            "backend=sglang",
        )


RULES: tuple[Rule, ...] = (phases, time_window, engine)
