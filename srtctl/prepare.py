"""From composed points to points that are ready to be submitted: typed, checked, identified, planned.

All points are prepared before anything is written; the errors of all of them are raised together.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from srtctl import __version__
from srtctl.composed import ComposedPoint, Sources
from srtctl.errors import Problem, SrtctlError, errors_of, merge_points
from srtctl.identity import ID_VERSION, config_id, deployment_id
from srtctl.plan.build import build_plan, build_steps
from srtctl.plan.model import Plan, PointSteps
from srtctl.plan.programs import needed
from srtctl.schema import JobConfig
from srtctl.site import Site, SiteView, completed, is_relative_path
from srtctl.validate import check, not_following, with_sources
from srtctl.validate.types import build_partial_job
from srtctl.validate.unknown import Unknown, unknown_keys, with_unknown

SETUP_SCRIPT = "setup_script.sh"


@dataclass(frozen=True)
class PreparedPoint:
    """A point that can be submitted.

    Attributes:
        index: Its number in the sweep.
        overrides: What distinguishes it.
        job: The typed config.
        config: What config.yaml will hold: the whole job, re-appliable as it is.
        shown_config: The same without keys at their schema default, for reading.
        problems: Warnings and notes.
        plan: The servers; shared by all points of a deployment.
        steps: The workload.
        setup_script: Text of the setup script, None without one.
        versions: Releases of what made and will run it.
    """

    index: int
    overrides: tuple[str, ...]
    job: JobConfig
    config: Mapping[str, Any]
    shown_config: Mapping[str, Any]
    config_id: str
    deployment_id: str
    problems: tuple[Problem, ...]
    plan: Plan
    steps: PointSteps
    sources: Sources
    dropped: tuple[str, ...]
    summary: Mapping[str, Any]
    setup_script: str | None
    versions: Mapping[str, str]


def prepare(points: Sequence[ComposedPoint], site: Site | None = None) -> list[PreparedPoint]:
    """Prepare every point of a sweep.

    Raises:
        SrtctlError: Some point has an error; it lists the errors of all points, with warnings and notes.
    """
    site = site or Site()
    problems: list[Problem] = []
    typed: list[tuple[ComposedPoint, JobConfig, SiteView, list[Problem]]] = []
    for point in map(completed, points):
        job, view, found = _look_at(point, site)
        found = with_sources(found, point.sources)
        found = [replace(problem, points=(point.index,)) for problem in found]
        problems += found
        typed.append((point, job, view, found))
    problems += _mixed_executors(typed)
    if errors_of(problems):
        raise SrtctlError(merge_points(problems, len(points)))
    plans: dict[str, Plan] = {}
    return [_finish(point, job, view, found, plans) for point, job, view, found in typed]


def _look_at(point: ComposedPoint, site: Site) -> tuple[JobConfig, SiteView, list[Problem]]:
    """The typed job, what this machine knows of it, and everything that is wrong, wrong types included."""
    job, mistyped = build_partial_job(point.config)
    known = [*point.problems, *not_following(mistyped, point.problems)]
    view, missing = site.view(job)
    found = check(job, facts=view.facts, sources=point.sources, earlier=known)
    return job, view, [*known, *found, *(missing if _programs_are_known(job, known) else [])]


def _programs_are_known(job: JobConfig, problems: Sequence[Problem]) -> bool:
    """Whether the programs that a job needs don't depend on what is wrong with it."""
    unknown = unknown_keys(problems)
    if not unknown:
        return True
    try:
        needed(with_unknown(job, unknown))
    except Unknown:
        return False
    return True


def _finish(
    point: ComposedPoint, job: JobConfig, view: SiteView, problems: list[Problem], plans: dict[str, Plan]
) -> PreparedPoint:
    """Ids, plan and steps of a point that has no errors."""
    paths = _absolute_paths(job, view)
    reappliable = _reappliable(job, point.config, view)
    job = replace(job, model=replace(job.model, **paths)) if paths else job
    hashes = {} if view.setup_script is None else {"setup_script": _sha256(view.setup_script)}
    config = config_id(job, file_hashes=hashes)
    deployment = deployment_id(job, file_hashes=hashes)
    plan = plans.get(deployment)
    if plan is None:
        plan = plans[deployment] = build_plan(
            job,
            view.programs,
            deployment,
            model_path=view.model_path,
            tokenizer_path=view.tokenizer_path,
            setup_script_text=view.setup_script,
        )
    steps = build_steps(job, plan, view.programs, config, tokenizer_path=view.tokenizer_path)
    return PreparedPoint(
        index=point.index,
        overrides=point.overrides,
        job=job,
        config=reappliable,
        shown_config=point.config,
        config_id=config,
        deployment_id=deployment,
        problems=tuple(problems),
        plan=plan,
        steps=steps,
        sources=point.sources,
        dropped=point.dropped,
        summary=_summary(job),
        setup_script=view.setup_script,
        versions=_versions(view),
    )


def _reappliable(job: JobConfig, config: Mapping[str, Any], view: SiteView) -> dict[str, Any]:
    """The config with the mark that makes it complete, and nothing in it that depends on where it lies.

    The setup script lies beside it, and relative paths of the model become absolute ones.
    """
    mark = {"format": "resolved", "id_version": ID_VERSION, "version": __version__}
    changed = {} if view.setup_script is None else {"setup_script": SETUP_SCRIPT}
    return {"srtctl": mark, **config, "model": {**config["model"], **_absolute_paths(job, view)}, **changed}


def _absolute_paths(job: JobConfig, view: SiteView) -> dict[str, Any]:
    """The model's paths that were relative, with what they stand for here."""
    seen = {"path": view.model_path, "tokenizer_path": view.tokenizer_path}
    return {
        key: path for key, path in seen.items() if is_relative_path(getattr(job.model, key), job.cluster.model_paths)
    }


def _summary(job: JobConfig) -> dict[str, Any]:
    """A line's worth of what the point is, for lists of points."""
    resources = job.resources
    counts = [(resources.prefill_workers, "P"), (resources.decode_workers, "D"), (resources.agg_workers, "A")]
    benchmark = job.benchmark
    return {
        "model": job.model.name or job.model.path,
        "mode": "".join(f"{count}{mark}" for count, mark in counts if count),
        "backend": job.backend.type,
        **{name: getattr(benchmark, name) for name in ("isl", "osl", "concurrencies") if hasattr(benchmark, name)},
    }


def _versions(view: SiteView) -> dict[str, str]:
    import omegaconf

    return {
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "omegaconf": omegaconf.__version__,
        **view.programs.versions,
    }


def _mixed_executors(typed: Sequence[tuple[ComposedPoint, JobConfig, SiteView, list[Problem]]]) -> list[Problem]:
    """One command submits to one place."""
    first: dict[str, int] = {}
    for point, job, _, found in typed:
        if "cluster" not in {key.partition(".")[0] for key in unknown_keys(found)}:
            first.setdefault(job.cluster.executor, point.index)
    if len(first) < 2:
        return []
    return [
        Problem(
            "mixed-executors",
            "the points of one sweep can't run on clusters with different executors",
            key="cluster.executor",
            value=", ".join(f"{executor} (point {index})" for executor, index in first.items()),
            allowed="one executor for all points",
            hint="start one sweep per cluster",
        )
    ]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
