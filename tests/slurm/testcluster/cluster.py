"""A cluster as its user sees it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from . import packages
from .launch import launch, prefix, write_files, write_wrappers
from .node import ROOT, Leftovers, Node
from .processes import Process, in_namespace, recall, send, until
from .spec import ONE_PARTITION, Partition, Spec, lines_of


class Cluster:
    """A real Slurm of several nodes on this machine, which need root, Linux and Debian's packages of Slurm.

    Every node, and the host `login` on which the controller runs, has a hostname, an address (eth0, 10.99.0.x, of a
    network of the cluster's own), processes, mounts and shared memory of its own. Nodes also have a second interface
    (fabric0, 10.98.0.x), of which names and Slurm know nothing. Files are shared, but for `local_dirs`.
    Nothing outlives the process that started it, unless that was with `detached=True`.
    """

    def __init__(
        self,
        directory: Path,
        nodes: int = 4,
        gpus: int = 8,
        partitions: Sequence[Partition] = ONE_PARTITION,
        slurm_conf_lines: Sequence[str] | str = (),
        *,
        dbd: bool = False,
        plugstack: Sequence[str] | str = (),
        local_dirs: Sequence[str | Path] = ("/tmp",),
        shared_dirs: Sequence[str | Path] = (),
    ) -> None:
        """Describe it; `start` makes it.

        Args:
            directory: Its files (logs in log/, wrapped commands in bin/); one cluster at a time.
            nodes: How many; n1, n2, ...
            gpus: Of each node, as `gres/gpu`.
            partitions: The partitions.
            slurm_conf_lines: Lines for slurm.conf; a setting given here replaces the fixture's.
            dbd: With accounting (`sacct`); costs two seconds more.
            plugstack: Lines of plugstack.conf; nodes must see the plug-ins, so in /tmp they must be shared.
            local_dirs: Directories that each node has of its own.
            shared_dirs: Shared nevertheless, although below one of `local_dirs`. `directory`, this checkout and this
                Python always are.

        Raises:
            ValueError: Slurm can't name `directory`.
        """
        place = directory.absolute()
        if set(str(place)) & set(" \t#,[]"):
            raise ValueError(f"paths in Slurm's settings hold no spaces, commas, brackets and #: {place}")
        always = (place, ROOT, Path(sys.prefix), Path(sys.base_prefix))
        shared = sorted({str(path) for path in (*always, *map(Path, shared_dirs))}, key=lambda path: (len(path), path))
        self.spec = Spec(
            directory=place,
            nodes=nodes,
            gpus=gpus,
            partitions=tuple(partitions),
            slurm_conf_lines=lines_of(slurm_conf_lines),
            plugstack=lines_of(plugstack),
            local_dirs=tuple(str(path) for path in local_dirs),
            shared_dirs=tuple(shared),
            dbd=dbd,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    @classmethod
    def at(cls, directory: Path) -> Cluster:
        """The cluster that was started in a directory.

        Raises:
            FileNotFoundError: None ever was.
        """
        cluster = cls(directory)
        cluster.spec = Spec.load(directory.absolute())
        return cluster

    @property
    def directory(self) -> Path:
        return self.spec.directory

    @property
    def names(self) -> list[str]:
        """The nodes' names."""
        return self.spec.names()

    def running(self) -> bool:
        return self._pid("hub") is not None

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- life

    def start(self, *, detached: bool = False, timeout_s: float = 60.0) -> None:
        """Start it, and wait until all nodes are idle.

        Raises:
            UnavailableError: There can be none here; says why.
            RuntimeError: One runs in this directory, or it ended while it started, with the end of its log.
        """
        if reason := packages.why_unavailable():
            raise packages.UnavailableError(reason)
        packages.ensure(packages.CLUSTER, *([packages.DATABASE] if self.spec.dbd else []))
        if self.running():
            raise RuntimeError(f"a cluster runs in {self.directory} already")
        write_files(self.spec)
        self._process, self._lifeline = launch(self.spec, detached=detached)
        try:
            until(self._ready, timeout_s, "the cluster starts")
            write_wrappers(self.spec, self._pid("login") or 0)
            self.wait_idle(timeout_s=timeout_s)
        except TimeoutError as error:
            logs = self._log_tails()
            self.stop()
            raise RuntimeError(f"the cluster doesn't start: {error}\n{logs}") from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process of it, jobs and clients too; nothing to do if it isn't running."""
        login = self._pid("login")
        if login is not None:
            os.kill(login, signal.SIGTERM)
        if self._process is not None:
            self._process.wait(30)
            self._process = None
        until(lambda: self._pid("login") is None and self._pid("hub") is None, 30, "the cluster ends")
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def kill_controller(self) -> None:
        """SIGKILL for slurmctld; jobs go on."""
        self._end_controller(signal.SIGKILL)

    def stop_controller(self) -> None:
        """End slurmctld in order; jobs go on."""
        self._end_controller(signal.SIGTERM)

    def start_controller(self) -> None:
        """Start slurmctld, and wait until it answers."""
        self.run(["slurmctld"], on="hub")
        until(lambda: self.run(["scontrol", "ping"], check=False).returncode == 0, 20, "slurmctld answers")

    def restart_controller(self) -> None:
        """End slurmctld in order and start it again."""
        self.stop_controller()
        self.start_controller()

    # ---- use

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        on: str = "login",
        check: bool = True,
        timeout_s: float = 60.0,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the login host or a node.

        Args:
            argv: The command.
            on: `login`, or a node's name.
            check: Whether a failure is an error, with the command's output in its text.
            timeout_s: When it is killed.
            cwd: Where; must exist there. Default: here on the login host, / on a node.
            env: Its whole environment; this process's without SLURM_* by default.

        Raises:
            RuntimeError: It failed (with `check`), or that host is down.
        """
        done = subprocess.run(
            [*self.prefix(on, cwd), *(str(part) for part in argv)],
            env=self.environment(wrappers=False) if env is None else dict(env),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            command = shlex.join(str(part) for part in argv)
            raise RuntimeError(f"`{command}` on {on} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def prefix(self, on: str = "login", cwd: Path | None = None) -> list[str]:
        """What stands before a command to run it on a host; `cwd` as in `run`.

        Raises:
            RuntimeError: That host is down.
        """
        pid = self._pid(on)
        if pid is None:
            raise RuntimeError(f"{on} is down")
        directory = str(cwd or (Path.cwd() if on == "login" else "/"))
        return prefix(pid, on, directory)

    def environment(self, *, wrappers: bool = True) -> dict[str, str]:
        """This process's environment without Slurm's variables, and (`wrappers`) with sbatch etc. of this cluster."""
        clean = {
            key: value for key, value in os.environ.items() if not re.match("(SLURM|SBATCH|SRUN|SINFO|SQUEUE)_", key)
        }
        path = os.environ.get("PATH", packages.SEARCH_PATH)
        first = str(self.directory / "bin") if wrappers else ""
        clean["PATH"] = ":".join(part for part in (first, path, "/usr/sbin:/sbin") if part)
        return clean

    def wait_idle(self, *names: str, timeout_s: float = 60.0) -> None:
        """Wait until Slurm has these nodes (all by default) idle."""
        wanted = set(names or self.names)
        until(lambda: wanted <= set(self._nodes("idle")), timeout_s, f"nodes {sorted(wanted)} are idle")

    def node(self, name: str) -> Node:
        if name not in self.names:
            raise KeyError(name)
        return Node(self, name)

    def processes_on(self, name: str) -> list[Process]:
        """Every process on a node beside its process 1 and slurmd."""
        return self.node(name).processes()

    def leftovers(self, name: str) -> Leftovers:
        """What jobs have left on a node."""
        return self.node(name).leftovers()

    def wait_clean(self, timeout_s: float = 5.0) -> None:
        """Wait until jobs have left nothing on any node that is up.

        Raises:
            TimeoutError: Something is left; says what and where.
        """
        left: dict[str, Leftovers] = {}

        def clean() -> bool:
            left.clear()
            left.update((name, found) for name in self.names if (found := self.leftovers(name)))
            return not left

        try:
            until(clean, timeout_s, "nothing is left on the nodes")
        except TimeoutError:
            raise TimeoutError(f"left on nodes after {timeout_s:g} s: {left}") from None

    # ---- inside

    def _pid(self, host: str) -> int | None:
        return recall(self.directory / f"run/{host}.pid")

    def _nodes(self, state: str) -> list[str]:
        done = self.run(["sinfo", "-h", "-N", "-r", "-t", state, "-o", "%N"], check=False)
        return done.stdout.split()

    def _end_controller(self, number: int) -> None:
        hub = self._pid("hub")
        if hub is None:
            raise RuntimeError("the cluster is down")
        controllers = [one for one in in_namespace("net", hub) if one.name in ("slurmctld", "slurmscriptd")]
        send([one for one in controllers if one.name == "slurmctld"], number)
        numbers = {one.pid for one in controllers}
        until(
            lambda: not any(one.pid in numbers and one.state != "Z" for one in in_namespace("net", hub)),
            20,
            "slurmctld ends",
        )

    def _ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the cluster ended while it started:\n{self._log_tails()}")
        return (self.directory / "run/ready").exists()

    def _log_tails(self) -> str:
        logs = (self.directory / "log" / name for name in ("hub.log", "slurmctld.log", "n1.log", "slurmd.n1.log"))
        return "\n".join(f"{path}:\n{path.read_text(errors='replace')[-1500:]}" for path in logs if path.exists())
