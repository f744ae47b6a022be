"""Times a sweep whose points share deployments: how many Slurm jobs it took, and what it cost beyond what it must.

    python -m benchmarks.shared [--points 12] [--deployments 3]

What it must: bringing each deployment up, and its measurements with their client's own start. Everything else (draining
and flushing between points, reading results, stopping, the way from one job to the next) may take 5 % of that.

A real Slurm of four nodes is started on this machine for it (root); the jobs run one after another.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import SRTCTL, machine
from srtctl.rundir import AllocationDir, SweepDir, read_events, read_json
from tests.slurm.testcluster import Cluster, why_unavailable

ALLOWED = 0.05  # beyond what it must take
# Two prefill and two decode mockers on four nodes behind two frontends and nginx; one quick client run for each point.
JOB = (
    "name=shared", "cluster=slurm", "cluster.gpus_per_node=8", "model=tiny", "backend=mocker", "mode=disagg",
    "resources.prefill_nodes=2", "resources.prefill_workers=2", "resources.gpus_per_prefill=8",
    "resources.decode_nodes=2", "resources.decode_workers=2", "resources.gpus_per_decode=8", "frontend.count=2",
    "benchmark=sa-bench", "benchmark.concurrencies=[4]", "benchmark.osl=16", "launcher.max_in_flight=1",
)  # fmt: skip


@dataclass(frozen=True)
class Spent:
    """Where the time of one sweep went, in seconds.

    Attributes:
        jobs: How many Slurm jobs it was.
        wall_s: From the first job's start to the last one's end.
        bring_up_s: From the start of each job to its first client's.
        measuring_s: From the start to the end of each client, and the reading of its results.
        between_s: Between the measurements of a job.
        stop_s: From each job's last measurement to its end.
        handover_s: From one job's end to the start of the next.
    """

    jobs: int
    wall_s: float
    bring_up_s: float
    measuring_s: float
    between_s: float
    stop_s: float
    handover_s: float

    @property
    def beyond(self) -> float:
        """The rest, as a part of what it must take."""
        return self.wall_s / (self.bring_up_s + self.measuring_s) - 1


def sweep_of(points: int, deployments: int) -> list[str]:
    """Overrides of so many points on each of so many deployments."""
    speeds = ",".join(str(10 * (number + 1)) for number in range(deployments))
    return [f"backend.speedup_ratio={speeds}", f"benchmark.isl=range(100,{100 + points})"]


def run_sweep(cluster: Cluster, home: Path, overrides: Sequence[str]) -> SweepDir:
    """Apply on the cluster and wait; the sweep's directory.

    Raises:
        RuntimeError: Not every point came out well.
    """
    argv = [str(SRTCTL), "apply", *overrides, "-m", "-o", str(home / "outputs"), "--wait"]
    done = subprocess.run(argv, cwd=home, env=cluster.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the sweep ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return SweepDir(next(home.glob("outputs/*/*/sweep.json")).parent)


def jobs_so_far(cluster: Cluster) -> int:
    """How many jobs Slurm has taken, forgotten ones included: it numbers them one after another."""
    settings = cluster.run(["scontrol", "show", "config"]).stdout
    found = re.search(r"^NEXT_JOB_ID\s*= (\d+)", settings, re.MULTILINE)
    assert found is not None
    return int(found[1]) - 1


def spent(sweep: SweepDir, jobs: int) -> Spent:
    """Read a sweep's files; its jobs ran one after another."""
    runs = sorted((_run(sweep.allocation(r["index"])) for r in sweep.read_manifest()["allocations"]), key=min)
    return Spent(
        jobs=jobs,
        wall_s=runs[-1][-1] - runs[0][0],
        bring_up_s=sum(run[1] - run[0] for run in runs),
        measuring_s=sum(sum(_gaps(run[1:-1])) for run in runs),
        between_s=sum(sum(_gaps(run[2:-2])) for run in runs),
        stop_s=sum(run[-1] - run[-2] for run in runs),
        handover_s=sum(after[0] - before[-1] for before, after in itertools.pairwise(runs)),
    )


def _gaps(moments: Sequence[float]) -> list[float]:
    """From the first moment to the second, from the third to the fourth, and so on."""
    return [end - start for start, end in zip(moments[::2], moments[1::2], strict=True)]


def _run(allocation: AllocationDir) -> list[float]:
    """The moments of a job, in order: its start, the start and end of each measurement, its end; unix seconds."""
    attempt = allocation.latest_attempt()
    assert attempt is not None
    status = read_json(attempt.status) or {}
    kinds = ("measurement_started", "measurement_done")
    moments = [event["t"] for event in read_events(attempt.events) if event["event"] in kinds]
    return [status["started_at"], *moments, status["ended_at"]]


def main() -> int:
    """Run and print; returns 1 when there were other jobs than deployments, or it took too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=12, help="on each deployment")
    parser.add_argument("--deployments", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a directory for the sweep, kept")
    arguments = parser.parse_args()
    if reason := why_unavailable():
        print(f"omitted: {reason}")
        return 0
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        home = arguments.keep or Path(name)
        with Cluster(Path(name) / "cluster", shared_dirs=[Path(name), home]) as cluster:
            sweep = run_sweep(cluster, home, [*JOB, *sweep_of(arguments.points, arguments.deployments)])
            found = spent(sweep, jobs_so_far(cluster))
    print(json.dumps(found.__dict__, indent=1))
    good = found.jobs == arguments.deployments and found.beyond <= ALLOWED
    points = arguments.points * arguments.deployments
    print(f"{points} points on {arguments.deployments} deployments: {found.jobs} Slurm jobs, {found.wall_s:.1f} s, "
          f"{found.beyond:.1%} beyond bring-up and measurements (allowed: {ALLOWED:.0%}): "
          f"{'met' if good else 'MISSED'}")  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
