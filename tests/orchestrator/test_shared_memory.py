"""Names in /dev/shm: those that ours have left go, whatever anybody else has stays."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from srtctl.orchestrator.sharedmemory import SharedMemory

from .small import python, small_plan
from .stack import PYTHON, Running, all_gone, point, write_allocation
from .test_children import HOLD, client

SHM = Path("/dev/shm")

# Makes a file as glibc makes a semaphore: under another name, which is gone when it is used.
HOLDER = """
import mmap, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
kept = []
for name in sys.argv[1:]:
    path = "/dev/shm/" + name
    file = os.open(path + ".new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.ftruncate(file, 32)
    kept.append(mmap.mmap(file, 32))
    os.close(file)
    os.rename(path + ".new", path)
print("made", flush=True)
time.sleep(600)
"""


class Holder:
    """A process that has mapped files of shared memory."""

    def __init__(self, *names: str):
        argv = [PYTHON, "-I", "-S", "-c", HOLDER, *names]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "made\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def name() -> Iterator[Callable[[str], str]]:
    """Makes names that nobody else has; `name("psm_")`."""
    made: list[str] = []

    def make(family: str) -> str:
        made.append(f"{family}srtctl-test-{uuid.uuid4().hex}")
        return made[-1]

    yield make
    for one in made:
        (SHM / one).unlink(missing_ok=True)


def there(*names: str) -> list[bool]:
    return [(SHM / name).exists() for name in names]


def test_only_ours_and_only_what_is_dead(name: Callable[[str], str]) -> None:
    before, semaphore, load, named, others = (
        name("sem."), name("sem.mp-"), name("sglang_loads_"), name("model-"), name("psm_"),
    )  # fmt: skip
    early = Holder(before)
    ours: list[int] = [early.process.pid]
    memory = SharedMemory(lambda: ours)
    mine, theirs = Holder(semaphore, load, named), Holder(others)
    ours.append(mine.process.pid)
    memory.look()
    assert memory.clear() == []  # it lives
    mine.kill(), theirs.kill(), early.kill()
    removed = memory.clear()
    assert sorted(removed) == sorted([f"/dev/shm/{semaphore}", f"/dev/shm/{load}"])
    assert there(before, semaphore, load, named, others) == [True, False, False, True, True]


def test_what_another_process_has_open_stays(name: Callable[[str], str]) -> None:
    block = name("psm_")
    ours: list[int] = []
    memory = SharedMemory(lambda: ours)
    holder = Holder(block)
    ours.append(holder.process.pid)
    memory.look()
    with (SHM / block).open("rb"):
        holder.kill()
        assert memory.clear() == []
        assert there(block) == [True]
    assert memory.clear() == [f"/dev/shm/{block}"]


def test_what_came_since_the_last_look_is_noted_before_a_kill(name: Callable[[str], str]) -> None:
    """However soon that is: looks keep a pause, and the directory's clock has ticks."""
    first, second = name("psm_"), name("psm_")
    ours: list[int] = []
    memory = SharedMemory(lambda: ours)
    holders = []
    for one in (first, second):
        holders.append(Holder(one))
        ours.append(holders[-1].process.pid)
        memory.look()
    memory.note()
    for holder in holders:
        holder.kill()
    assert sorted(memory.clear()) == sorted([f"/dev/shm/{first}", f"/dev/shm/{second}"])


def test_ours_may_still_be_ending(name: Callable[[str], str]) -> None:
    block = name("nccl-")
    ours: list[int] = []
    memory = SharedMemory(lambda: ours)
    holder = Holder(block)
    ours.append(holder.process.pid)
    asked: list[int] = []

    def killing() -> list[int]:
        asked.append(1)
        if len(asked) == 3:
            holder.kill()
        return ours

    memory._ours = killing
    assert memory.clear(within_s=60) == [f"/dev/shm/{block}"]


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_leaves_none(
    tmp_path: Path, start: Callable[..., Running], name: Callable[[str], str], killed: bool
) -> None:
    """A server that doesn't listen is killed, and so removes nothing itself; so is one whose orchestrator is."""
    semaphore = name("sem.mp-")
    made = python("made", f"import os, time\nwhile not os.path.exists('/dev/shm/{semaphore}'): time.sleep(0.02)",
                  kind="task", role="setup")  # fmt: skip
    plan = small_plan(python("deaf", HOLDER, semaphore, stop_wait_s=0.2), made)
    run = start(write_allocation(tmp_path, plan, [point(HOLD if killed else client())]))
    if killed:
        run.until(lambda status: status["phase"] == "measuring")
        os.kill(run.process.pid, signal.SIGKILL)
        run.wait()
        assert not all_gone([run.status()["keeper_pid"]], 30)
    else:
        assert run.wait() == 0, run.log()
    assert there(semaphore) == [False]
