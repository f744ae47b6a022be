"""The machines of a run: this one, standing in for all nodes, or those of the Slurm job that this process runs in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from srtctl import rundir
from srtctl.orchestrator import environment
from srtctl.orchestrator import events as ev
from srtctl.orchestrator.bind import TEMPORARY, Bound, local_nodes
from srtctl.orchestrator.containers import shared_name
from srtctl.orchestrator.failures import RunOver
from srtctl.orchestrator.fleet import Fleet
from srtctl.orchestrator.hooks import stopped_by
from srtctl.orchestrator.inputs import Inputs
from srtctl.orchestrator.needs import needs_of
from srtctl.orchestrator.ports import PortBook
from srtctl.orchestrator.report import Report
from srtctl.orchestrator.scratch import make_scratch
from srtctl.orchestrator.slurmjob import SlurmJob, slurm_job
from srtctl.orchestrator.starter import LocalStarter, Starter
from srtctl.orchestrator.steps import KEPT, SlurmStarter
from srtctl.plan.model import Plan

StopAsked = Callable[[], tuple[str, str]]


class Machines(Protocol):
    """What `run` needs of them.

    Attributes:
        starter: Starts processes there.
        job_id: Of the Slurm job; empty without one.
        ends_at: Unix seconds at which the job is ended; None where nobody does.
    """

    starter: Starter
    job_id: str
    ends_at: float | None

    def bind(self, attempt: rundir.AttemptDir, report: Report, inbox: ev.Inbox, stop_asked: StopAsked) -> Bound:
        """Find the nodes and bind the plan to them.

        Raises:
            RunOver: It can't begin there.
        """

    def describe(self) -> dict[str, Any]:
        """The nodes, for environment.json."""

    def close(self) -> list[str]:
        """Leave nothing behind, after all processes have ended; returns warnings."""


def machines_of(inputs: Inputs) -> Machines:
    """Those that the plan was made for. Forks; call it before there are threads.

    Raises:
        ValueError: The plan was made for Slurm and this is no job of Slurm.
    """
    if inputs.plan.executor == "slurm":
        # Inside of the job its own cluster is meant anyway; told so, Slurm's programs put headings into their answers.
        os.environ.pop("SLURM_CLUSTERS", None)
        return SlurmMachines(inputs, slurm_job(os.environ))
    return LocalMachines(inputs)


class LocalMachines:
    """This machine."""

    job_id = ""
    ends_at: float | None = None

    def __init__(self, inputs: Inputs):
        self.starter: Starter = LocalStarter()
        self._inputs = inputs
        self._book = PortBook(seed=os.getpid())
        self._scratch = make_scratch()
        self._bound: Bound | None = None

    def bind(self, attempt: rundir.AttemptDir, report: Report, inbox: ev.Inbox, stop_asked: StopAsked) -> Bound:
        self.starter.clean(self._scratch)
        nodes = local_nodes(self._inputs.plan, self._scratch)
        self._bound = Bound(self._inputs.plan, nodes, self._book, self._inputs.allocation.path, attempt.path)
        return self._bound

    def describe(self) -> dict[str, Any]:
        nodes = self._bound.nodes.items() if self._bound else ()
        return {f"slot{slot}": {"host": n.host, "address": n.address, "iface": n.iface} for slot, n in nodes}

    def close(self) -> list[str]:
        self._book.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        return []


class SlurmMachines:
    """The nodes of a Slurm job."""

    def __init__(self, inputs: Inputs, job: SlurmJob):
        self._inputs, self._job = inputs, job
        self._places = _slots(inputs, job)
        self._starter = SlurmStarter(job, inputs.plan, inputs.sweep.path)
        self.starter: Starter = self._starter
        self.job_id, self.ends_at = job.job_id, job.ends_at
        self._fleet: Fleet | None = None

    def bind(self, attempt: rundir.AttemptDir, report: Report, inbox: ev.Inbox, stop_asked: StopAsked) -> Bound:
        plan = self._inputs.plan
        report.event("slurm_job", job_id=self.job_id, restarts=self._job.restarts, ends_at=self.ends_at)
        base = environment.base_environment(os.environ, plan)
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._fleet = fleet = Fleet(
            {slot: self._starter.place(slot, host) for slot, host in self._places.items()},
            srun=self._starter.srun,
            pyz=self._inputs.allocation.pyz,
            logs=attempt.logs / "nodes",
            inbox=inbox,
            report=report,
            environment={**base, **kept},
            silent_s=plan.budgets.node_silent_s,
        )
        nodes = fleet.begin(self._orders(attempt.path, base), lambda: _stop_now(inbox, stop_asked))
        for text in few_cpus(plan, fleet.describe()):
            report.warn(text)
        bound = Bound(plan, nodes, fleet, self._inputs.allocation.path, attempt.path)
        self._starter.bind(bound)
        return bound

    def _orders(self, attempt: Path, base: Mapping[str, str]) -> dict[int, dict[str, Any]]:
        """What each node is told first."""
        orders = {}
        named = self._containers()
        for slot in self._places:
            paths, programs = needs_of(self._inputs.plan, [s for _, s in self._inputs.points], slot, attempt)
            orders[slot] = {
                "interface": self._inputs.plan.network_interface,
                "label": f"{self.job_id}-",
                "seed": int(self.job_id),
                "below": [TEMPORARY],
                "make": list(self._inputs.plan.directories),
                "paths": paths,
                "programs": programs,
                "containers": named,
                "search_path": base.get("PATH", os.defpath),
            }
        return orders

    def _containers(self) -> list[str]:
        """Names of the containers that steps make on the nodes."""
        plan = self._inputs.plan
        if plan.container.runtime == "none":
            return []
        images = {process.image for process in plan.processes if process.container}
        images |= {step.image for _, steps in self._inputs.points for step in steps.steps if step.container}
        return [shared_name(plan.container, self.job_id, image) for image in sorted(images)]

    def describe(self) -> dict[str, Any]:
        return self._fleet.describe() if self._fleet else {}

    def close(self) -> list[str]:
        return self._fleet.close() if self._fleet else []


def _slots(inputs: Inputs, job: SlurmJob) -> dict[int, str]:
    """Slot -> host: the slots of a component in the order of its nodes."""
    seen: dict[int, int] = {}
    hosts = {}
    for slot in inputs.plan.slots:
        group = slot.het_group if job.heterogeneous else 0
        hosts[slot.index] = job.host(group, seen.get(group, 0))
        seen[group] = seen.get(group, 0) + 1
    return hosts


def few_cpus(plan: Plan, nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Nodes on which the job has fewer CPUs than servers while there are more; as text for warnings.

    Args:
        plan: The plan.
        nodes: `slotN` -> what its agent says of the machine.
    """
    found: dict[tuple[int, int, int], list[str]] = {}
    for slot in plan.slots:
        machine = nodes.get(f"slot{slot.index}", {}).get("machine") or {}
        mine, there = machine.get("cpus_allowed") or 0, machine.get("cpus") or 0
        servers = sum(process.slot == slot.index and process.kind == "service" for process in plan.processes)
        if 0 < mine < min(there, servers):
            found.setdefault((mine, there, servers), []).append(machine["host"])
    return [
        f"{', '.join(hosts)}: Slurm lets the job use {mine} of {there} CPUs for {servers} servers; they will be slow "
        "(slurm.exclusive=true asks for whole nodes, sbatch_directives.cpus-per-task=N for N of each)"
        for (mine, there, servers), hosts in found.items()
    ]


def _stop_now(inbox: ev.Inbox, stop_asked: StopAsked) -> tuple[str, str]:
    """Whether to stop, while there is no supervisor yet that would handle signals."""
    event = inbox.get(0.0)
    while event is not None:
        if isinstance(event, ev.SignalSeen):
            raise RunOver(*stopped_by(event.signum))
        event = inbox.get(0.0)
    return stop_asked()
