"""What tests ask a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .testcluster import Cluster


def on_every_node(cluster: Cluster, script: str) -> list[str]:
    """Run a shell script once on each node, with its GPUs; the lines that they said, sorted."""
    argv = ["srun", f"-N{len(cluster.names)}", "--ntasks-per-node=1", "--gres=gpu:8", "sh", "-c", script]
    return sorted(cluster.run(argv).stdout.splitlines())


def state_of(cluster: Cluster, name: str) -> str:
    """A node's state in Slurm's words."""
    return cluster.run(["sinfo", "-h", "-N", "-n", name, "-o", "%T"]).stdout.strip()


def job_state(cluster: Cluster, job: str) -> str:
    """A job's state in Slurm's words; empty if Slurm doesn't know it."""
    return cluster.run(["squeue", "-h", "-t", "all", "-j", job, "-o", "%T"]).stdout.strip()


def submit(cluster: Cluster, *argv: str | Path) -> str:
    """Submit as a program outside does: by the wrapped sbatch in PATH. Returns the job's id."""
    done = subprocess.run(
        ["sbatch", "--parsable", *argv], env=cluster.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def traces(directory: Path) -> list[str]:
    """What a cluster in this directory has put into the machine: processes, mounts, interfaces."""
    found = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(directory) in line]
    found += [
        entry.name
        for entry in Path("/sys/class/net").iterdir()
        if entry.name.startswith(("port-", "fast-", "br0", "br1"))
    ]
    for place in Path("/proc").glob("[0-9]*"):
        try:
            mounted, state = place.joinpath("mounts").read_text(), place.joinpath("stat").read_text()
        except OSError:
            continue
        if str(directory) in mounted and state.rpartition(")")[2].split()[0] != "Z":
            found.append(place.joinpath("cmdline").read_text().replace("\0", " "))
    return found
