"""How processes are started and signalled as steps of the Slurm job.

Each srun is a child of the keeper, which holds them as it holds local processes. Three things differ from those:
a graceful stop goes through Slurm (`cancel`), SIGKILL means SIGTERM for the srun (it then kills its tasks at once,
without asking the controller; killed itself it might leave them), and an exit code has to be read together with what
srun said.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from srtctl.orchestrator import events as ev
from srtctl.orchestrator.bind import Bound
from srtctl.orchestrator.cancel import Signaller
from srtctl.orchestrator.containers import all_mounts, pyxis_options
from srtctl.orchestrator.slurmjob import SlurmJob
from srtctl.orchestrator.srun import VISIBLE_GPUS, Place, real_end, step_command
from srtctl.orchestrator.starter import LocalStarter, Spawn
from srtctl.plan.model import Plan

KILL_WAIT_S = 2.0  # an srun that has not ended so long after it was told to has lost its node
LOOK_BACK_BYTES = 65536
# A controller that has just been started again refuses new steps for some seconds ("Memory required by task is not
# available"), until the nodes have reported to it.
RETRY_PAUSE_S, RETRY_FOR_S = 1.0, 30.0
KEPT = ("SLURM_CONF",)  # where Slurm's own commands find their controller


class SlurmStarter:
    """Starts processes as steps. Make it before any thread exists: it makes the keeper."""

    hold_s = 1.0  # after a plain scancel steps end up to so much before we hear of it

    def __init__(self, job: SlurmJob, plan: Plan, sweep: Path):
        self._local = LocalStarter()
        self.keeper_pid = self._local.keeper_pid
        self.job = job
        self._plan = plan
        self._sweep = sweep
        self.srun = shutil.which("srun") or "srun"
        self._bound: Bound | None = None
        self._alive: dict[str, _Running] = {}
        self._signaller: Signaller | None = None
        self._kill_asked = False
        self._inbox: ev.Inbox | None = None

    def bind(self, bound: Bound) -> None:
        """Say where the slots are; before the first start."""
        self._bound = bound

    def place(self, slot: int, host: str, gpus: tuple[str, ...] = ()) -> Place:
        group = self._plan.slots[slot].het_group if self.job.heterogeneous else None
        return Place(host, self.job.job_id, group, gpus)

    def listen(self, inbox: ev.Inbox) -> None:
        """Begin to deliver events."""
        self._inbox = inbox
        self._signaller = Signaller(self.job, self._alive.__contains__)
        self._local.listen(_Tap(inbox, self._seen))

    def start(self, spawn: Spawn) -> None:
        self._alive[spawn.name] = _Running(spawn, _size(spawn.log), time.monotonic() + RETRY_FOR_S)
        self._start(spawn)

    def _start(self, spawn: Spawn) -> None:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._local.start(
            dataclasses.replace(
                spawn,
                argv=tuple(self.command(spawn, spawn.argv, spawn.workdir)),
                setup=tuple(self.command(spawn, spawn.setup)) if spawn.setup else (),
                env={**spawn.env, **kept},
            )
        )

    def command(self, spawn: Spawn, argv: tuple[str, ...], workdir: str = "") -> list[str]:
        """The step that runs `argv` as this process would be run; `workdir` inside of a container."""
        assert self._bound is not None
        node = self._bound.nodes[spawn.slot]
        inside = spawn.container and self._plan.container.runtime == "pyxis"
        return step_command(
            self.srun,
            self.place(spawn.slot, node.host, node.gpus),
            spawn.name,
            argv,
            workdir=str(spawn.cwd),
            options=self._container(spawn, self._bound, workdir) if inside else (),
            extra=self._plan.srun_options,
            visible_gpus=spawn.env.get(VISIBLE_GPUS) if VISIBLE_GPUS in spawn.own else None,
        )

    def _container(self, spawn: Spawn, bound: Bound, workdir: str) -> list[str]:
        scratch = str(bound.nodes[spawn.slot].scratch)
        planned = [(bound.text(source), bound.text(target)) for source, target in self._plan.container.mounts]
        return pyxis_options(
            self._plan.container,
            job_id=self.job.job_id,
            workdir=workdir or str(spawn.cwd),
            mounts=all_mounts(self._sweep, bound.attempt, [(scratch, scratch), *planned]),
            environment=[name for name in spawn.own if name != VISIBLE_GPUS],
            image=spawn.image,
        )

    def signal(self, name: str, signum: int, whole: bool = False) -> None:
        if name not in self._alive:
            return  # with a step ends all that it has started
        self._alive[name].wanted = False
        if signum == signal.SIGKILL:
            self._kill(name)
            return
        self._local.signal(name, 0)  # sends nothing, but a program must not follow its setup command any more
        if self._signaller is not None:
            self._signaller.send(name, signum)

    def _kill(self, name: str) -> None:
        running = self._alive.get(name)
        if running is None or running.killed:
            return
        running.wanted, running.killed = False, True
        self._local.signal(name, signal.SIGTERM)

        def insist() -> None:
            if self._alive.get(name) is running:
                self._local.signal(name, signal.SIGKILL, whole=True)

        _later(KILL_WAIT_S, insist)

    def kill_all(self) -> None:
        if self._kill_asked:
            self._local.kill_all()
            return
        self._kill_asked = True
        threading.Thread(target=self._kill_all, name="kill-steps", daemon=True).start()

    def _kill_all(self) -> None:
        for name in list(self._alive):
            self._kill(name)
        until = time.monotonic() + 2 * KILL_WAIT_S
        while self._alive and time.monotonic() < until:
            time.sleep(0.02)
        self._local.kill_all()

    def clean(self, path: Path) -> None:
        self._local.clean(path)

    def close(self) -> None:
        if self._signaller is not None:
            self._signaller.close()
        self._local.close()

    def _seen(self, event: ev.Event) -> ev.Event | None:
        """In the thread that reads from the keeper: note who lives, and read an end as what it is."""
        if isinstance(event, ev.NotStarted):
            self._alive.pop(event.name, None)
        if not isinstance(event, ev.Exited):
            return event
        if self._signaller is not None:
            self._signaller.forget(event.name)
        running = self._alive.get(event.name)
        if running is None:
            return event
        end = real_end(event.code, _text_since(running.spawn.log, running.offset))
        read = dataclasses.replace(event, code=end.code, what=end.what, node=end.node)
        if end.refused and running.wanted and time.monotonic() < running.retry_until:
            _later(RETRY_PAUSE_S, lambda: self._again(running, read))
            return None
        del self._alive[event.name]
        return read

    def _again(self, running: _Running, ended: ev.Exited) -> None:
        """Try once more what Slurm has refused, unless it was told to stop meanwhile."""
        if running.wanted and self._alive.get(ended.name) is running:
            running.offset = _size(running.spawn.log)
            self._start(running.spawn)
        elif self._inbox is not None:
            self._alive.pop(ended.name, None)
            self._inbox.put(ended)


@dataclasses.dataclass
class _Running:
    """A step that has not ended, and from where on its log is its own; `wanted` until it is told to stop."""

    spawn: Spawn
    offset: int
    retry_until: float
    wanted: bool = True
    killed: bool = False


def _later(seconds: float, action: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


class _Tap:
    """An inbox before the inbox."""

    def __init__(self, inbox: ev.Inbox, change: Callable[[ev.Event], ev.Event | None]):
        self._inbox, self._change = inbox, change

    def put(self, event: ev.Event) -> None:
        changed = self._change(event)
        if changed is not None:
            self._inbox.put(changed)

    def get(self, timeout_s: float) -> ev.Event | None:
        return self._inbox.get(timeout_s)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _text_since(path: Path, offset: int) -> str:
    """What a file holds from `offset` on; no more than its last part."""
    try:
        with path.open("rb") as file:
            file.seek(max(offset, file.seek(0, os.SEEK_END) - LOOK_BACK_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
