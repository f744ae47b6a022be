"""Times how long it takes to hand a sweep to Slurm, from the start of the process to the prompt.

    python -m benchmarks.slurm [--repeat 5]

A real Slurm of four nodes is started on this machine for it (root). Jobs are submitted to a partition that starts none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Figure, machine, run
from tests.slurm.testcluster import Cluster, Partition

JOB = ["apply", "cluster=slurm", "slurm.partition=closed"]
SWEEPS = {
    "100 points on 100 deployments": (5.0, ["backend.speedup_ratio=range(1,101)"]),
    "102 points on 3 deployments": (1.5, ["backend.speedup_ratio=1,2,3", "benchmark.isl=range(100,134)"]),
    "one point": (1.0, []),
}


def figures(directory: Path, repeat: int) -> list[Figure]:
    """One figure per kind of sweep."""
    found = []
    for name, (target_s, overrides) in SWEEPS.items():
        argv = [*JOB, *overrides, "-m", "-o", str(directory / "outputs")]
        run(argv, directory)  # fills the file cache
        seen = []
        for _ in range(repeat):
            seen.append(run(argv, directory)[0])
            subprocess.run(["scancel", "--partition=closed"], check=True)
        found.append(Figure(f"handing {name} to Slurm", "s", target_s, tuple(seen)))
    return found


def main() -> int:
    """Measure and print; returns 1 when a median is beyond its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        partitions = (Partition("batch", default=True), Partition("closed"))
        with Cluster(directory / "cluster", partitions=partitions, shared_dirs=[directory]) as cluster:
            cluster.run(["scontrol", "update", "PartitionName=closed", "State=DOWN"])
            os.environ["PATH"] = cluster.environment()["PATH"]
            found = figures(directory, repeat)
    for figure in found:
        low, high = min(figure.values), max(figure.values)
        verdict = "met" if figure.met else "MISSED"
        print(f"{figure.name:<50} {figure.median:6.3f} s ({low:.3f}-{high:.3f}), target {figure.target:g}: {verdict}")
    return 0 if all(figure.met for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
