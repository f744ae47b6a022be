"""One node of a cluster: what can happen to it, and what is on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .nodehost import links_of
from .processes import Process, in_namespace, recall, send, until

if TYPE_CHECKING:
    from .cluster import Cluster

ROOT = Path(__file__).resolve().parents[3]  # of the checkout; tests.slurm.testcluster is found from there
_OF_THE_NODE = {"slurmd"}


@dataclass(frozen=True)
class Leftovers:
    """What jobs have left on a node; false if nothing.

    Attributes:
        processes: Every process beside the node's own.
        files: Every file in directories of the node's own: shared memory, /run/node-local, the cluster's local_dirs.
    """

    processes: tuple[Process, ...]
    files: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.processes or self.files)


class Node:
    """A node. All that happens to it here happens at once and from outside, as it does to real ones."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    # ---- what can happen

    def crash(self) -> None:
        """Dead at once: nobody hears of it, connections to it just hang. Stays down until `boot`."""
        self.unplug()
        self._kill()

    def poweroff(self, grace_s: float = 3.0) -> None:
        """Shut down in order: all get SIGTERM, later SIGKILL; peers see their connections close."""
        send(self._all_but_init(), signal.SIGTERM)
        with suppress(TimeoutError):
            until(lambda: not self._all_but_init(), grace_s, "all processes end")
        self._kill()

    def boot(self) -> None:
        """Switch it on; returns when its slurmd runs, `Cluster.wait_idle` waits for Slurm to know.

        Raises:
            RuntimeError: It is on.
        """
        if self.init_pid() is not None:
            raise RuntimeError(f"{self.name} is on")
        argv = [
            sys.executable,
            "-S",
            "-m",
            "tests.slurm.testcluster.hub",
            "boot",
            str(self.cluster.directory),
            self.name,
        ]
        with (self.cluster.directory / "log/hub.log").open("a") as log:
            subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)
        until(self._has_slurmd, 10, f"slurmd runs on {self.name}")

    def unplug(self) -> None:
        """Pull its network cables; all on it goes on."""
        self._set_link("down")

    def plug(self) -> None:
        """Put the cables back."""
        self._set_link("up")

    def pause(self) -> None:
        """Hang: every process stands still, the kernel still answers for the network."""
        until(lambda: self._signal_all(signal.SIGSTOP, "T"), 5, f"all of {self.name} stands still")

    def resume(self) -> None:
        """Go on after `pause`."""
        send(self._all_but_init(), signal.SIGCONT)

    def kill_slurmd(self) -> None:
        """SIGKILL for slurmd alone; the steps go on."""
        send([process for process in self._all_but_init() if process.name == "slurmd"], signal.SIGKILL)
        until(lambda: not self._has_slurmd(), 5, "slurmd is gone")

    def start_slurmd(self) -> None:
        """Start slurmd again."""
        self.cluster.run(["slurmd", "-N", self.name], on=self.name)

    # ---- what is on it

    def init_pid(self) -> int | None:
        """The node's process 1, numbered as outside; None if the node is off."""
        return recall(self.cluster.directory / f"run/{self.name}.pid")

    def processes(self) -> list[Process]:
        """Every process on the node beside its process 1 and slurmd."""
        return [process for process in self._all_but_init() if process.name not in _OF_THE_NODE]

    def leftovers(self) -> Leftovers:
        """What jobs have left here."""
        return Leftovers(tuple(self.processes()), tuple(self._files()))

    # ---- inside

    def _files(self) -> Iterator[str]:
        pid = self.init_pid()
        if pid is None:
            return
        root = Path(f"/proc/{pid}/root")
        shared = {Path(path) for path in self.cluster.spec.shared_dirs}
        for directory in ("/dev/shm", "/run/node-local", *self.cluster.spec.local_dirs):
            yield from _below(root, Path(directory), shared)

    def _all_but_init(self) -> list[Process]:
        init = self.init_pid()
        if init is None:
            return []
        try:
            # By the network: a container of a job may have process numbers of its own.
            return [one for one in in_namespace("net", init) if one.pid != init and one.state != "Z"]
        except FileNotFoundError:
            return []

    def _has_slurmd(self) -> bool:
        return any(process.name == "slurmd" for process in self._all_but_init())

    def _signal_all(self, number: int, until_state: str) -> bool:
        left = [process for process in self._all_but_init() if process.state != until_state]
        send(left, number)
        return not left

    def _kill(self) -> None:
        pid = self.init_pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            until(lambda: self.init_pid() is None, 10, f"{self.name} is dead")

    def _set_link(self, state: str) -> None:
        for link in links_of(self.name):
            self.cluster.run(["ip", "link", "set", link, state])


def _below(root: Path, directory: Path, shared: set[Path]) -> Iterator[str]:
    """Files and directories in `directory` as the node sees them, without those on the way to shared ones."""
    try:
        entries = sorted(os.scandir(root / directory.relative_to("/")), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        path = directory / entry.name
        if path in shared:
            continue
        on_the_way = any(path in place.parents for place in shared)
        if not on_the_way:
            yield str(path)
        if on_the_way and entry.is_dir(follow_symlinks=False):
            yield from _below(root, path, shared)
