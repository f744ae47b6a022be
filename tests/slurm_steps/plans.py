"""Plans of several nodes with quick Python children in the roles of servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from srtctl.plan.model import Budgets, Plan, PointSteps, Process, Slot
from tests.orchestrator.small import SLEEPER, python, small_plan
from tests.orchestrator.stack import custom_step, point

RESULT = "import json; json.dump({'answer': 42}, open('result.json', 'w'))"
WAIT = "import time; print('measuring', flush=True); time.sleep(600)"

# Says what it is told and what it sees, then lives until SIGTERM, which takes it a moment.
WITNESS = """
import mmap, os, signal, sys, time
def end(*_):
    time.sleep(0.3)
    print("ended in order", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
for name in ("CUDA_VISIBLE_DEVICES", "TMPDIR", "PLAIN", "SLURM_CPU_BIND", "DYN_LEFT"):
    print(name + "=" + os.environ.get(name, "unset"))
print("host=" + os.uname().nodename)
print("cwd=" + os.getcwd())
open(os.environ["TMPDIR"] + "/mess", "w").write("x")
memory = os.open(f"/dev/shm/sem.mess-{os.getpid()}", os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(memory, 32)
kept = mmap.mmap(memory, 32)
print("up", flush=True)
while True: time.sleep(1)
"""


def witness(name: str, slot: int, **more: Any) -> Process:
    return replace(python(name, WITNESS, role="decode", **more), slot=slot)


def sleeper(name: str, slot: int, script: str = SLEEPER, **more: Any) -> Process:
    return replace(python(name, script, role="decode", **more), slot=slot)


def nodes_plan(*others: Process, nodes: int = 2, **changes: Any) -> Plan:
    """The small server on the first node, others where they say."""
    values: dict[str, Any] = {
        "executor": "slurm",
        "slots": tuple(Slot(index, 4) for index in range(nodes)),
        "budgets": Budgets(ready_s=30.0, stop_s=5.0, drain_s=2.0, early_warning_s=60.0),
    }
    return small_plan(*others, **{**values, **changes})


def quick(script: str = RESULT, slot: int = 0, **more: Any) -> PointSteps:
    """A point with one measurement: a script."""
    env = {"ENDPOINT": "@host:slot0@:@port:frontend0/http@"}
    return point(custom_step(script, slot=slot, env=env, **more))
