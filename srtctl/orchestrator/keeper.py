"""The keeper: a small process that is the parent of all others, so that nothing outlives the run.

It is forked before the orchestrator has threads. Both ends talk in lines of JSON over a socket pair. As a
subreaper it inherits every process whose parent ends, also those that made a session of their own. When the
orchestrator's end of the socket closes, for whatever reason, it kills all of them, and removes the scratch directories
and what they left in shared memory; each child of its own gets SIGKILL from the kernel should the keeper itself be
killed.

    to the keeper:   start, signal, kill_all, scratch
    from the keeper: started, not_started, exited, killed_all
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import time
from typing import Any

from srtctl.orchestrator import proctree
from srtctl.orchestrator.sharedmemory import SharedMemory

MARK = "SRTCTL_PROCESS"  # environment variable with the process's name: finds what it left behind


class _Child:
    """A child and, while its setup command runs, the program that comes next."""

    def __init__(self, spec: dict[str, Any], in_setup: bool):
        self.spec = spec
        self.in_setup = in_setup


class Keeper:
    """The loop of the keeper process."""

    def __init__(self, link: socket.socket):
        self._link = link
        self._children: dict[int, _Child] = {}
        self._scratch: list[str] = []
        self._buffer = b""
        self._memory = SharedMemory(lambda: proctree.descendants(os.getpid()))

    def run(self) -> None:
        """Serve until the other end closes; then leave nothing behind."""
        try:
            self._serve()
        except OSError:
            pass  # the other end is gone: the same as a close
        self._kill_all()
        for path in self._scratch:
            shutil.rmtree(path, ignore_errors=True)

    def _serve(self) -> None:
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        wait_s = 0.0
        while True:
            readable, _, _ = select.select([self._link.fileno(), woken, *self._memory.wakers], [], [], wait_s)
            if woken in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
            for pid, code in proctree.reap():
                self._ended(pid, code)
            wait_s = self._memory.look()
            if self._link.fileno() in readable and not self._read():
                return

    def _read(self) -> bool:
        data = self._link.recv(1 << 16)
        if not data:
            return False
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return True

    def _obey(self, order: dict[str, Any]) -> None:
        kind = order["op"]
        if kind == "start":
            self._start(order, in_setup=bool(order["setup"]))
        elif kind == "signal":
            self._signal(order["name"], order["signum"], order["whole"])
        elif kind == "scratch":
            self._scratch.append(order["path"])
        elif kind == "kill_all":
            for child in self._children.values():
                child.in_setup = False
            ended, left = self._kill_all()
            for pid, code in ended:
                self._ended(pid, code)
            self._tell({"event": "killed_all", "killed": len(ended), "left": left})

    def _kill_all(self) -> tuple[list[tuple[int, int]], list[int]]:
        self._memory.note()
        found = proctree.kill_descendants()
        self._memory.clear()
        return found

    def _start(self, spec: dict[str, Any], in_setup: bool) -> None:
        error_end, child_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(error_end)
            become_program(spec, spec["setup"] if in_setup else spec["argv"], child_end)
        os.close(child_end)
        with os.fdopen(error_end, "rb") as pipe:
            error = pipe.read().decode(errors="replace")  # ends with the child's exec: the pipe closes there
        if error:
            os.waitpid(pid, 0)
            self._tell({"event": "not_started", "name": spec["name"], "text": error, "at": time.time()})
            return
        self._children[pid] = _Child(spec, in_setup)
        self._tell({"event": "started", "name": spec["name"], "pid": pid, "at": time.time(), "in_setup": in_setup})

    def _ended(self, pid: int, code: int) -> None:
        child = self._children.pop(pid, None)
        if child is None:
            return  # an orphan that was handed to us
        if child.in_setup and code == 0:
            self._start(child.spec, in_setup=False)
            return
        name = child.spec["name"]
        self._tell({"event": "exited", "name": name, "code": code, "at": time.time(), "in_setup": child.in_setup})

    def _signal(self, name: str, signum: int, whole: bool) -> None:
        pids = [pid for pid, child in self._children.items() if child.spec["name"] == name]
        for pid in pids:
            self._children[pid].in_setup = False  # the program must not follow a setup command that was told to stop
        if whole:
            mark = f"{MARK}={name}".encode()
            processes = proctree.table()
            below = proctree.descendants(os.getpid(), processes)
            pids += [p for p in below if p not in pids and (processes[p].session in pids or proctree.marked(p, mark))]
        if signum == signal.SIGKILL:
            self._memory.note()
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signum)

    def _tell(self, event: dict[str, Any]) -> None:
        self._link.sendall(json.dumps(event).encode() + b"\n")


def become_program(spec: dict[str, Any], argv: list[str], error_fd: int) -> None:
    """In the forked child: a session of its own, its log, its directory, then the program. Never returns."""
    try:
        os.setsid()
        proctree.die_with_parent()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        log = os.open(spec["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            if int(name) > 2 and int(name) != error_fd:
                with contextlib.suppress(OSError):
                    os.close(int(name))
        os.chdir(spec["cwd"])
        os.execvpe(argv[0], argv, {**spec["env"], MARK: spec["name"]})  # noqa: S606
    except OSError as error:
        where = error.filename if error.filename not in (None, argv[0]) else argv[0]
        os.write(error_fd, f"{error.strerror}: {where}".encode())
    except BaseException as error:
        os.write(error_fd, f"{type(error).__name__}: {error}".encode())
    os._exit(127)


def fork_keeper() -> tuple[int, socket.socket]:
    """Start the keeper; returns its pid and our end of the link. Call it before there are any threads."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    code = 1
    try:
        ours.close()
        os.setsid()  # a Ctrl-C in the terminal is the orchestrator's business
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # children would inherit what is blocked
        proctree.become_subreaper()
        proctree.set_name("srtctl-keeper")
        Keeper(theirs).run()
        code = 0
    finally:
        os._exit(code)
