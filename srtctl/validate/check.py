"""All rules over one job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from srtctl.composed import Sources
from srtctl.errors import UNSET, Problem, Severity
from srtctl.schema import JobConfig
from srtctl.validate import (
    benchmark,
    environment,
    flags,
    frontend,
    model,
    mounts,
    profiling,
    sglang,
    sglang_releases,
    slurm,
    texts,
)
from srtctl.validate.context import Context, Rule, SiteFacts
from srtctl.validate.declared import declared_values
from srtctl.validate.secrecy import looks_secret
from srtctl.validate.types import build_partial_job


def _placement(context: Context) -> Iterable[Problem]:
    """Whether the workers find a place; the rules stand beside the placement itself."""
    from srtctl.plan.topology import topology_problems

    return topology_problems(context.job)


def _backend(context: Context) -> Iterator[Problem]:
    """What the backend knows about its own keys."""
    from srtctl.backends import BACKENDS

    entry = BACKENDS.get(context.job.backend.type)
    if entry is not None:
        yield from entry.check(context.job)


def _frontend(context: Context) -> Iterator[Problem]:
    """What the frontend, and nginx before several of them, know about their keys."""
    from srtctl.frontends import FRONTENDS
    from srtctl.frontends.nginx import nginx_problems

    entry = FRONTENDS.get(context.job.frontend.type)
    if entry is not None:
        yield from entry.check(context.job)
    yield from nginx_problems(context.job)


RULES: tuple[Rule, ...] = (
    declared_values,
    *environment.RULES,
    *texts.RULES,
    *model.RULES,
    _placement,
    _backend,
    _frontend,
    *flags.RULES,
    *frontend.RULES,
    *benchmark.RULES,
    *profiling.RULES,
    *mounts.RULES,
    *slurm.RULES,
)
"""The rules of every job, in the order in which their findings are shown."""

BACKEND_RULES: Mapping[str, tuple[Rule, ...]] = {"sglang": (*sglang_releases.RULES, *sglang.RULES)}
"""Further rules by backend."""

_FROM_GROUP = re.compile(r"[\w/@.-]+=\S+ \(")
_INDEX = re.compile(r"\[\d+\]")


def check(job: JobConfig, *, facts: SiteFacts, sources: Sources = Sources()) -> list[Problem]:  # noqa: B008 - frozen
    """Everything that is wrong or doubtful about a job.

    Args:
        job: As `build_job` makes it.
        facts: What the caller saw on this machine.
        sources: Where the values came from; decides how much a flag weighs that is not the user's to set.

    Returns:
        The problems in a stable order, each once.
    """
    context = Context(job, facts, sources)
    found: dict[tuple[str, str, str], Problem] = {}
    for rule in (*RULES, *BACKEND_RULES.get(job.backend.type, ())):
        for problem in rule(context):
            # one finding may be reached from several roles or rules
            if not flags.says_what_is_true(context, problem):
                words = "" if problem.rule == "secret" else problem.message
                found.setdefault((problem.rule, problem.key, words), _unshown(problem))
    return with_sources(_without_repeats(list(found.values())), sources)


def _unshown(problem: Problem) -> Problem:
    """No finding may show a secret, whichever rule found it."""
    if isinstance(problem.value, str) and looks_secret(problem.key.rpartition(".")[2], problem.value):
        return replace(problem, value=UNSET)
    return problem


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """A key whose value is refused by its declaration need not be refused again by the rules behind it."""
    refused = {p.key for p in problems if p.rule in ("allowed-value", "minimum")}
    return [p for p in problems if p.key not in refused or p.rule in ("allowed-value", "minimum")]


def check_config(config: Mapping[str, Any], *, facts: SiteFacts, sources: Sources = Sources()) -> list[Problem]:  # noqa: B008
    """Like `check` for a composed config that may not fit the schema: wrong types and wrong values, all at once.

    A part of the job (`resources`, `benchmark`, …) with a wrong type is not checked further, because what is found
    there would follow from the value put in its place.
    """
    job, problems = build_partial_job(config)
    parts = {p.key.partition(".")[0].partition("[")[0] for p in problems}
    checked = check(job, facts=facts, sources=sources)
    others = [p for p in checked if p.key.partition(".")[0].partition("[")[0] not in parts]
    return with_sources([*problems, *others], sources)


def with_sources(problems: Iterable[Problem], sources: Sources) -> list[Problem]:
    """The problems with the place where each value was written.

    A flag that the topology decides weighs more where it was written for srtctl (a config group, the command line)
    than in a plain recipe, where such lines are common.
    """
    return [_with_source(problem, sources) for problem in problems]


def _with_source(problem: Problem, sources: Sources) -> Problem:
    if not problem.key:
        return problem
    problem = problem.at(sources.of(_INDEX.sub("", problem.key).removesuffix(" (name)")))
    if problem.rule == flags.OWNED_RULE and _written_for_srtctl(problem.source):
        return replace(problem, severity=Severity.ERROR)
    return problem


def _written_for_srtctl(source: str) -> bool:
    return source.startswith("command line") or _FROM_GROUP.match(source) is not None


def paths_of(job: JobConfig) -> list[str]:
    """The absolute paths that rules ask about, for the caller to look at; see `SiteFacts.paths`."""
    images = [job.model.container, job.frontend.nginx_container, getattr(job.benchmark, "container_image", None)]
    mounted = [
        *job.cluster.default_mounts,
        *job.container_mounts,
        *(text.partition(":")[0] for text in job.extra_mount),
    ]
    candidates = [
        model.resolved_model_path(job),
        job.model.tokenizer_path,
        *(file.path for file in benchmark.data_files(job)),
        *(model.resolved_image(job, image) for image in images if isinstance(image, str)),
        *(mounted if job.cluster.container_runtime != "none" else ()),
    ]
    return list(dict.fromkeys(path for path in candidates if path and path.startswith("/")))
