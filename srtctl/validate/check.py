"""All rules over one job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
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
    hub,
    model,
    mounts,
    profiling,
    sglang,
    sglang_dispatch,
    sglang_kernels,
    sglang_refusals,
    sglang_releases,
    sglang_variables,
    slurm,
    texts,
)
from srtctl.validate.context import Context, Rule, SiteFacts
from srtctl.validate.declared import declared_values
from srtctl.validate.secrecy import looks_secret
from srtctl.validate.types import build_partial_job
from srtctl.validate.unknown import Unknown, lies_in, unknown_keys, with_unknown


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
    *hub.RULES,
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

ALONE: frozenset[Rule] = frozenset((declared_values, environment.variable_names, environment.secrets, texts.texts))
"""Rules that look at each value by itself: they can judge whatever was understood."""

BACKEND_RULES: Mapping[str, tuple[Rule, ...]] = {
    "sglang": (
        *sglang_releases.RULES,
        *sglang_variables.RULES,
        *sglang.RULES,
        *sglang_kernels.RULES,
        *sglang_dispatch.RULES,
        *sglang_refusals.RULES,
    )
}
"""Further rules by backend."""

_DECLARED = ("allowed-value", "minimum")
_FROM_GROUP = re.compile(r"[\w/@.-]+=\S+ \(")
_INDEX = re.compile(r"\[\d+\]")


def check(
    job: JobConfig,
    *,
    facts: SiteFacts,
    sources: Sources = Sources(),  # noqa: B008 - frozen
    earlier: Sequence[Problem] = (),
) -> list[Problem]:
    """Everything that is wrong or doubtful about a job.

    Args:
        job: As `build_partial_job` makes it.
        facts: What the caller saw on this machine.
        sources: Where the values came from; decides how much a flag weighs that is not the user's to set.
        earlier: What is known to be wrong already; nothing is said that only follows from it.

    Returns:
        The new problems in a stable order, each once.
    """
    whole = Context(job, facts, sources)
    unknown = unknown_keys(earlier)
    alone = _found_by([rule for rule in RULES if rule in ALONE], whole)
    alone = [problem for problem in alone if not lies_in(problem.key, unknown)]
    unknown += unknown_keys(p for p in alone if p.rule in _DECLARED)
    seen = replace(whole, job=with_unknown(job, unknown)) if unknown else whole
    related = (rule for rule in (*RULES, *_backend_rules(seen)) if rule not in ALONE)
    found: dict[tuple[str, str, str], Problem] = {}
    for problem in (*alone, *_found_by(related, seen)):
        # one finding may be reached from several roles or rules
        words = "" if problem.rule == "secret" else problem.message
        found.setdefault((problem.rule, problem.key, words), _unshown(problem))
    return with_sources(_without_repeats(list(found.values())), sources)


def _backend_rules(context: Context) -> tuple[Rule, ...]:
    with suppress(Unknown):
        return BACKEND_RULES.get(context.job.backend.type, ())
    return ()


def _found_by(rules: Iterable[Rule], context: Context) -> list[Problem]:
    """What rules find; one that asks for something unknown ends there."""
    found = []
    for rule in rules:
        with suppress(Unknown):
            for problem in rule(context):
                if not flags.says_what_is_true(context, problem):
                    found.append(problem)
    return found


def _unshown(problem: Problem) -> Problem:
    """No finding may show a secret, whichever rule found it."""
    if isinstance(problem.value, str) and looks_secret(problem.key.rpartition(".")[2], problem.value):
        return replace(problem, value=UNSET)
    return problem


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """A key whose value is refused by its declaration need not be refused again by the rules behind it."""
    refused = {p.key for p in problems if p.rule in _DECLARED}
    return [p for p in problems if p.key not in refused or p.rule in _DECLARED]


def check_config(
    config: Mapping[str, Any],
    *,
    facts: SiteFacts,
    sources: Sources = Sources(),  # noqa: B008 - frozen
    earlier: Sequence[Problem] = (),
) -> list[Problem]:
    """Like `check` for a composed config that may not fit the schema: wrong types and wrong values, all at once."""
    job, mistyped = build_partial_job(config)
    mistyped = not_following(mistyped, earlier)
    found = check(job, facts=facts, sources=sources, earlier=[*earlier, *mistyped])
    return [*with_sources(mistyped, sources), *found]


def not_following(mistyped: Iterable[Problem], earlier: Iterable[Problem]) -> list[Problem]:
    """What `build_partial_job` has found, without what only follows from problems that were known before."""
    unknown = unknown_keys(earlier)
    return [problem for problem in mistyped if not lies_in(problem.key, unknown)]


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
        benchmark.custom_tokenizer(job),
        *(file.path for file in benchmark.data_files(job)),
        *(model.resolved_image(job, image) for image in images if isinstance(image, str)),
        *(mounted if job.cluster.container_runtime != "none" else ()),
    ]
    return list(dict.fromkeys(path for path in candidates if path and path.startswith("/")))
