"""Environment variables: their names, and secrets among them. Those that placement decides are known to the plan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from srtctl.errors import UNSET, Problem, Severity
from srtctl.validate.context import Context, Rule, environments
from srtctl.validate.secrecy import looks_secret

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variable_names(context: Context) -> Iterator[Problem]:
    """Names must be such that every shell and container runtime takes them."""
    for where, variables in environments(context.job):
        for name in variables:
            if _NAME.fullmatch(name) is None:
                yield _bad_name(f"{where}.{name}", name)
    for index, name in enumerate(context.job.pass_environment):
        if _NAME.fullmatch(name) is None:
            yield _bad_name(f"pass_environment[{index}]", name)


def _bad_name(key: str, name: str) -> Problem:
    hint = ""
    if "=" in name:
        hint = "only the name is given here; the value stays in your shell"
    allowed = "letters, digits and underscores, not beginning with a digit"
    return Problem(
        "environment-name", "no name for an environment variable", key, UNSET if hint else name, allowed, hint
    )


def secrets(context: Context) -> Iterator[Problem]:
    """A secret's value must not be in a config, since configs are written to the run directory."""
    for where, variables in environments(context.job):
        for name, value in variables.items():
            if looks_secret(name, value):
                hint = f"take it out, export it in your shell, and say pass_environment: [{name}]"
                yield Problem(
                    "secret",
                    "looks like a secret; everything in a config is written to disk",
                    f"{where}.{name}",
                    hint=hint,
                )


def secret_flags(context: Context) -> Iterator[Problem]:
    """Nor in engine flags, which every user of the node can read."""
    for _, where, flags in (*context.flag_maps, ("", "frontend.args", context.job.frontend.args)):
        for name, value in flags.items():
            if isinstance(value, str) and looks_secret(name, value):
                yield Problem(
                    "secret",
                    "looks like a secret; command lines can be read by everyone on the node",
                    f"{where}.{name}",
                    hint="leave it out; pass_environment hands variables on by name",
                )


def passed_variables(context: Context) -> Iterator[Problem]:
    """A variable to be passed should be set, and should not have a second value in the config."""
    job, known = context.job, context.facts.environment
    for index, name in enumerate(job.pass_environment):
        key = f"pass_environment[{index}]"
        if name in job.environment:
            yield Problem(
                "passed-variable",
                "this variable also has a value under environment",
                key,
                name,
                hint="keep one of the two",
            )
        elif known is not None and name not in known and _NAME.fullmatch(name):
            yield Problem(
                "passed-variable",
                "this variable is not set in your shell, so nothing is passed",
                key,
                name,
                severity=Severity.WARNING,
            )


RULES: tuple[Rule, ...] = (variable_names, secrets, secret_flags, passed_variables)
