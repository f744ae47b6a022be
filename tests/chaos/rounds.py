"""One round: a sweep is started, interrupted at a random instant in a random way, resumed until it is whole, judged.

After every round: each point has exactly one good result (none lost, none measured twice), every JSON file could be
read at every moment, and nothing that the round started lives on any node.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.system.conftest import SRTCTL, User

POINTS = 2
RECIPE = """
name: chaos
model: {path: "builtin:tiny"}
resources: {gpus_per_node: 1, agg_nodes: 1, agg_workers: 1, gpus_per_agg: 1}
backend: {type: mocker, speedup_ratio: 100}
frontend: {type: dynamo, count: 1}
benchmark: {type: custom, command: "sleep 0.3; echo '{\\"answer\\": {number}}' > result.json"}
sweep: {number: [1, 2]}
"""


class Place(Protocol):
    """Where the rounds run."""

    options: tuple[str, ...]

    def environment(self) -> Mapping[str, str]:
        """Variables for srtctl."""

    def kill_orchestrator(self, sweep: Path) -> None:
        """SIGKILL to the orchestrator of the sweep's first allocation, if it has begun."""

    def end_job(self, sweep: Path) -> None:
        """End the job from outside, without srtctl."""

    def leftovers(self) -> list[str]:
        """What lives that the round started; empty once all is clean."""


@dataclass
class Verdict:
    """What a round came to."""

    seed: int
    action: str
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Reader:
    """Reads every JSON file of a home over and over, as a status display does, and keeps what it could not read."""

    def __init__(self, home: Path):
        self._home = home
        self._stop = threading.Event()
        self.unreadable: list[str] = []
        self.reads = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            for path in self._home.glob("outputs/**/*.json"):
                if "measurements" in path.parts:
                    continue  # the client's own file, written by the client
                try:
                    json.loads(path.read_text())
                    self.reads += 1
                except FileNotFoundError:
                    continue
                except ValueError as error:
                    self.unreadable.append(f"{path}: {error}")


def play(user: User, place: Place, seed: int) -> Verdict:
    """One round."""
    chance = random.Random(seed)
    action, delay_s = chance.choice(sorted(ACTIONS)), chance.uniform(0, 6)
    verdict = Verdict(seed, f"{action} after {delay_s:.2f} s")
    began = time.monotonic()
    recipe = user.write("chaos.yaml", RECIPE)
    reader = Reader(user.home)
    try:
        _interrupted(user, place, recipe, action, delay_s, chance)
        _made_whole(user, place, recipe, verdict)
    finally:
        reader.stop()
    verdict.wrong += [f"unreadable: {text}" for text in reader.unreadable[:3]]
    if not reader.reads:
        verdict.wrong.append("no JSON file was ever read")
    _judge(user, place, verdict)
    verdict.seconds = time.monotonic() - began
    return verdict


def _interrupted(user: User, place: Place, recipe: Path, action: str, delay_s: float, chance: random.Random) -> None:
    """Start the sweep and do `action` to it."""
    environment = user.environment | dict(place.environment())
    command = [str(SRTCTL), "apply", "-f", str(recipe), *place.options]
    process = subprocess.Popen(
        command, cwd=user.home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if action == "kill apply":
        time.sleep(chance.uniform(0.2, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        return
    process.wait(timeout=120)
    time.sleep(delay_s)
    ACTIONS[action](user, place)


def _cancel(user: User, place: Place) -> None:
    user.srtctl("cancel", env=dict(place.environment()))


ACTIONS: dict[str, Callable[[User, Place], None]] = {
    "kill apply": lambda user, place: None,
    "cancel": _cancel,
    "kill orchestrator": lambda user, place: place.kill_orchestrator(user.sweep()),
    "end job": lambda user, place: place.end_job(user.sweep()),
    "nothing": lambda user, place: None,
}


def _made_whole(user: User, place: Place, recipe: Path, verdict: Verdict) -> None:
    """Resume until every point has its result; a sweep that was never written is started anew."""
    environment = dict(place.environment())
    for _ in range(5):
        known = list(user.home.glob("outputs/chaos/*/sweep.json"))
        again = ["--resume", user.sweep().name] if known else ["-f", str(recipe)]
        done = user.srtctl("apply", *again, *(() if known else place.options), "--wait", env=environment)
        if done.returncode == 0 and user.srtctl("results", env=environment).returncode == 0:
            return
        time.sleep(0.5)
    verdict.wrong.append(f"not whole after 5 resumes: {(done.stdout + done.stderr)[-800:]}")


def _judge(user: User, place: Place, verdict: Verdict) -> None:
    sweeps = list(user.home.glob("outputs/chaos/*/sweep.json"))
    if len(sweeps) != 1:
        verdict.wrong.append(f"{len(sweeps)} sweeps")
    good: dict[str, int] = {}
    for path in user.home.glob("outputs/chaos/*/points/*/attempt-*/result.json"):
        result: dict[str, Any] = json.loads(path.read_text())
        if result["state"] == "ok":
            good[path.parts[-3]] = good.get(path.parts[-3], 0) + 1
    if sorted(good.values()) != [1] * POINTS:
        verdict.wrong.append(f"good results per point: {good}")
    shown = user.srtctl("results", "--json", env=dict(place.environment()))
    answers = sorted(row.get("answer", -1) for row in json.loads(shown.stdout)["rows"])
    if answers != list(range(1, POINTS + 1)):
        verdict.wrong.append(f"answers {answers}")
    end = time.monotonic() + 8
    while (left := place.leftovers()) and time.monotonic() < end:
        time.sleep(0.1)
    verdict.wrong += [f"left: {text}" for text in left[:5]]


class Here:
    """The rounds on this machine, without Slurm."""

    options: tuple[str, ...] = ()

    def __init__(self, user: User):
        self._user = user

    def environment(self) -> Mapping[str, str]:
        return {}

    def kill_orchestrator(self, sweep: Path) -> None:
        status = self._user.status() if sweep.exists() else {}
        if status.get("pid") and status.get("phase") != "done":
            _kill(int(status["pid"]))

    def end_job(self, sweep: Path) -> None:
        for record in json.loads((sweep / "sweep.json").read_text())["allocations"]:
            if record["job_id"]:
                _kill(int(record["job_id"]), signal.SIGTERM)

    def leftovers(self) -> list[str]:
        files = [str(path) for path in (self._user.home / "tmp").iterdir()]
        return [*(f"{pid} {text}" for pid, text in self._user.processes().items()), *files]


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
