"""Profilers: what they record must be what runs."""

from __future__ import annotations

from collections.abc import Iterator

from srtctl.errors import UNSET, Problem, Severity
from srtctl.plan.model import ROLES
from srtctl.schema import ProfilingPhase
from srtctl.validate.context import Context, Rule

_STEPS = "profiling.<role>.start_step and stop_step say when, with profiling.type=nsys"
_CLOCK = "profiling.delay_secs and duration_secs say when, with profiling.type=nsys-time"
OWN_NSYS_OPTIONS = {
    "--output": "", "-o": "", "--force-overwrite": "", "-f": "", "--kill": "", "--wait": "",
    "--capture-range": _STEPS, "-c": _STEPS, "--capture-range-end": _STEPS,
    "--delay": _CLOCK, "-y": _CLOCK, "--duration": _CLOCK, "-d": _CLOCK,
}  # fmt: skip
"""Options that decide what becomes of the worker and its report -> what to use instead."""
SHORT = ("-o", "-c", "-y", "-d", "-f")  # their value may follow without a space


def phases(context: Context) -> Iterator[Problem]:
    """Steps to record for every role that runs, and for no other."""
    profiling = context.job.profiling
    by_steps = profiling.type in ("torch", "nsys")
    for role in ROLES:
        key, phase = f"profiling.{role}", getattr(profiling, role)
        if phase is None:
            if by_steps and role in context.workers:
                what = f"the job has {role} workers, and the steps to record are not given"
                yield Problem("profiling-phase", what, key, allowed="start_step and stop_step")
        elif not by_steps:
            yield _unused_phase(profiling.type, key)
        elif context.workers and role not in context.workers:
            have = " and ".join(context.workers)
            yield Problem("profiling-phase", f"the job has no {role} workers", key, allowed=have)
        else:
            yield from _window(context, key, phase)


def _unused_phase(kind: str, key: str) -> Problem:
    what = "nothing is recorded, because profiling.type is none"
    if kind != "none":
        what = f"{kind} records by the clock, so the steps are not used"
    return Problem("profiling-phase", what, key, hint="profiling.type=torch", severity=Severity.WARNING)


def _window(context: Context, key: str, phase: ProfilingPhase) -> Iterator[Problem]:
    start, stop = phase.start_step, phase.stop_step
    if stop is None and context.job.benchmark.type == "manual":
        what = "benchmark manual has no end with which the recording could end"
        yield Problem("profiling-phase", what, f"{key}.stop_step", UNSET, "a step")
    elif stop is None:
        what = "everything until the end of each measurement is recorded, which can be very much"
        yield Problem("profiling-phase", what, f"{key}.stop_step", UNSET, "a step", severity=Severity.WARNING)
    elif stop <= (start or 0):
        what = f"must be after start_step, which is {start or 0}"
        yield Problem("profiling-phase", what, f"{key}.stop_step", stop)


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
        elif name == "duration_secs" and value == 0:
            yield Problem("profiling-window", "nothing would be recorded", f"profiling.{name}", value, "more than 0")


def nsys_arguments(context: Context) -> Iterator[Problem]:
    """Arguments that nsys gets, and only those that don't undo ours."""
    profiling, key = context.job.profiling, "profiling.extra_nsys_args"
    if profiling.extra_nsys_args and not profiling.type.startswith("nsys"):
        what = f"profiling.type is {profiling.type}, so they are not used"
        yield Problem("profiling-nsys", what, key, profiling.extra_nsys_args, severity=Severity.WARNING)
        return
    for argument in profiling.extra_nsys_args:
        option = argument.partition("=")[0]
        if option in OWN_NSYS_OPTIONS or (len(option) > 2 and not option.startswith("--") and option[:2] in SHORT):
            what = "where and when nsys records is decided by the other keys"
            yield Problem("profiling-nsys", what, key, argument, "any other option", OWN_NSYS_OPTIONS.get(option, ""))


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


RULES: tuple[Rule, ...] = (phases, time_window, nsys_arguments, engine)
