"""The rounds on a real Slurm cluster of several nodes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.slurm.testcluster import Cluster


class OnSlurm:
    """The rounds on `cluster`; the checkout and the rounds' home are on its shared file system."""

    options: tuple[str, ...] = ("cluster=slurm", "slurm.time_limit=5")

    def __init__(self, cluster: Cluster):
        self._cluster = cluster

    def environment(self) -> Mapping[str, str]:
        return {"PATH": self._cluster.environment()["PATH"]}

    def kill_orchestrator(self, sweep: Path) -> None:
        for name in self._cluster.names:
            for process in self._cluster.processes_on(name):
                # the batch process itself, not a node agent that runs the same file
                if "-I" in process.argv and process.argv[-2:-1] == (f"{process.argv[-1]}/orchestrator.pyz",):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)

    def end_job(self, sweep: Path) -> None:
        self._cluster.run(["scancel", "--me"], check=False)

    def leftovers(self) -> list[str]:
        found = {name: self._cluster.leftovers(name) for name in self._cluster.names}
        processes = [f"{name}: {' '.join(p.argv)}" for name, left in found.items() for p in left.processes]
        return [*processes, *(f"{name}: {file}" for name, left in found.items() for file in left.files)]
