"""The launchers: prepare every point, write the sweep, submit. A launcher returns at once unless it is told to wait.

The order is the promise: nothing is written before every point is known to be good, and the manifest on disk is
true before each submission and after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus

import hydra_plugins.srtctl_launchers.config  # noqa: F401  registers the options
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

if TYPE_CHECKING:
    from srtctl.composed import ComposedPoint
    from srtctl.errors import Problem
    from srtctl.schema import JobConfig
    from srtctl.sweep import Sweep


class SrtLauncher(BaseSubmititLauncher):
    """What all of srtctl's launchers share; `_hand_over` is what they differ in."""

    _EXECUTOR = "abstract"

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Hydra's entrance, for sweepers that are not ours: each point is composed by stock Hydra first."""
        from srtctl.compose import point_from_stock

        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        points = [
            point_from_stock(loader, self.config, list(overrides), initial_job_idx + number)
            for number, overrides in enumerate(job_overrides)
        ]
        return self.launch_points(points)

    def launch_points(self, points: Sequence[ComposedPoint]) -> Sequence[JobReturn]:
        """Prepare all points, write the sweep's directory, hand it over.

        Raises:
            SrtctlError: Any point has an error; nothing has been written and nothing started.
        """
        from srtctl.prepare import prepare
        from srtctl.resume import missing, wanted
        from srtctl.submission import nothing_missing
        from srtctl.sweep import assemble

        placed, resumed = wanted(prepare(points))
        run = placed if resumed is None else missing(placed, resumed)
        if resumed is not None and not run:
            nothing_missing(resumed, placed[0].job)
            return [_job_return(point.overrides, None) for point in points]
        slurm = placed[0].job.cluster.executor == "slurm"
        sweep = assemble(run, resumed, _longest_s if slurm else None)
        values = self._hand_over(replace(sweep, found=_judged(sweep, self._EXECUTOR)))
        by_index = {point.index: value for point, value in zip(run, values, strict=True)}
        return [_job_return(point.overrides, by_index.get(p.index)) for point, p in zip(points, placed, strict=True)]

    def _hand_over(self, sweep: Sweep) -> Sequence[Any]:
        """Do with the sweep what this launcher is for; one return value per point."""
        raise NotImplementedError


class SrtPreviewLauncher(SrtLauncher):
    """Writes the same directory under `dry-runs/` and shows it."""

    _EXECUTOR = "preview"

    def _hand_over(self, sweep: Sweep) -> Sequence[Any]:
        from srtctl.report.preview import show
        from srtctl.sweepdir import write

        written = write(sweep, dry_run=True)
        show(sweep, written)
        return [None] * len(sweep.points)


class SrtLocalLauncher(SrtLauncher):
    """Starts each deployment's orchestrator on this machine, in a session of its own."""

    _EXECUTOR = "local"

    def _hand_over(self, sweep: Sweep) -> Sequence[Any]:
        from hydra_plugins.srtctl_launchers._submit import LocalSubmitter
        from srtctl.submission import submit_and_report

        return submit_and_report(sweep, LocalSubmitter(sweep))


class SrtSlurmLauncher(SrtLauncher):
    """Hands each deployment to Slurm."""

    _EXECUTOR = "slurm"

    def _hand_over(self, sweep: Sweep) -> Sequence[Any]:
        from hydra_plugins.srtctl_launchers._submit import SlurmSubmitter
        from srtctl.submission import submit_and_report

        return submit_and_report(sweep, SlurmSubmitter(sweep))


def of_executor(executor: str, *, preview: bool) -> SrtLauncher:
    """The launcher for points that were not composed by Hydra."""
    launchers = {"local": SrtLocalLauncher, "slurm": SrtSlurmLauncher}
    return SrtPreviewLauncher() if preview else launchers[executor]()


def _longest_s(job: JobConfig) -> float | None:
    """The longest time that Slurm would give a job in its partition, or in both of them."""
    from srtctl.slurm.partitions import longest_s

    partition = job.slurm.partition or job.cluster.partition
    named = {partition, job.slurm.decode.partition or partition}
    return min((limit for limit in map(longest_s, named) if limit is not None), default=None)


def _judged(sweep: Sweep, launcher: str) -> tuple[Problem, ...]:
    """What Slurm has to say about a sweep before it is submitted, or when it is asked to.

    Raises:
        SrtctlError: It would refuse it; or it can't be asked.
    """
    from srtctl.errors import Problem, SrtctlError, errors_of
    from srtctl.slurm.check import cluster_problems

    asked = sweep.invocation.check_cluster
    if sweep.executor != "slurm":
        if asked:
            message = "only a Slurm cluster can be asked"
            raise SrtctlError(Problem("check-cluster", message, "--check-cluster", allowed="cluster.executor=slurm"))
        return ()
    if launcher != "slurm" and not asked:
        return ()
    found = cluster_problems(sweep, test=asked)
    if errors_of(found):
        raise SrtctlError(found)
    return tuple(found)


def _job_return(overrides: Sequence[str], value: Any) -> JobReturn:
    result = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
    result.return_value = value
    return result
