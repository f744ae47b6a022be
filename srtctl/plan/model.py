"""The plan: everything the orchestrator needs, as frozen values that go to JSON and back.

Texts in a plan hold tokens where only the allocation knows the answer: see `srtctl.plan.tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from srtctl.plan.surroundings import Budgets as Budgets
from srtctl.plan.surroundings import Container as Container
from srtctl.plan.surroundings import Profiler as Profiler
from srtctl.plan.surroundings import ProfilerTarget as ProfilerTarget
from srtctl.plan.surroundings import Window as Window

SCHEMA_VERSION = 1

ROLES = ("prefill", "decode", "aggregated")


@dataclass(frozen=True)
class PortRequest:
    """A port that a process listens on.

    Attributes:
        name: `<process>/<purpose>`, such as `decode0/http`; unique in the plan.
        slot: The node it is bound on.
        preferred: The number to take when it is free.
        max_port: Highest usable number (Dynamo keeps its system port in an i16: 32767).
        count: Consecutive ports needed, starting at the number that is given out.
    """

    name: str
    slot: int
    preferred: int
    max_port: int = 65535
    count: int = 1


@dataclass(frozen=True)
class Slot:
    """A node of the plan before its host is known.

    Attributes:
        index: 0 … N-1; the order of Slurm's node list.
        gpus: GPUs the node has for us.
        serves: What was placed on it: `head`, `infra`, `frontend`, `client`, `worker`.
        het_group: Component of a heterogeneous job.
    """

    index: int
    gpus: int
    serves: tuple[str, ...] = ()
    het_group: int = 0


@dataclass(frozen=True)
class Rank:
    """The part of a worker on one node."""

    slot: int
    gpus: tuple[int, ...]


@dataclass(frozen=True)
class Worker:
    """One logical engine instance. `ranks[0]` is its leader."""

    role: str
    index: int
    ranks: tuple[Rank, ...]

    @property
    def name(self) -> str:
        return f"{self.role}{self.index}"

    @property
    def gpu_count(self) -> int:
        return sum(len(rank.gpus) for rank in self.ranks)


@dataclass(frozen=True)
class Probe:
    """How to see that a process is ready: one HTTP GET (or TCP connect), repeated until it answers as wanted.

    Attributes:
        kind: `http` or `tcp`.
        address: `@host:…@:@port:…@`.
        path: For http; the request path.
        expect_status: For http.
        expect_json: Dotted key in the JSON answer -> value it must have, compared as given.
        interval_s: Time between two tries.
        timeout_s: Of one try.
    """

    kind: str
    address: str
    path: str = "/"
    expect_status: int = 200
    expect_json: Mapping[str, Any] = field(default_factory=dict)
    interval_s: float = 0.05
    timeout_s: float = 2.0


@dataclass(frozen=True)
class Process:
    """One supervised OS process, which is one Slurm step.

    Attributes:
        name: Unique in the plan; its log is `logs/<name>.log`.
        role: `etcd`, `nats`, `nginx`, `frontend`, `prefill`, `decode`, `aggregated`, `setup`, `client`.
        kind: `service` (must stay) or `task` (succeeds with exit 0 and its declared `outputs`).
        slot: Node it runs on.
        gpus: Indices on that node; empty for none.
        argv: Program and arguments, never a shell line of our own values; may hold tokens.
        env: Added to the scrubbed environment; may hold tokens.
        needs: Names of processes that must be ready (a task: done) before this one is started.
        probe: None means ready as soon as it has been started.
        ready_timeout_s: From its start to ready; beyond it the run fails.
        stop_signal: Sent for an ordered stop.
        stop_wait_s: How long it gets before SIGKILL, within the shared deadline of the whole stop.
        stop_after: Names of processes that must have ended before it is told to stop: an engine's leader ends its other
            ranks, and one that is gone before breaks what the leader is about.
        must_live: Its end, unasked, ends the run.
        restart: `never`; reserved for fault-tolerance runs.
        outputs: Files a task must have made, relative to its working directory.
        worker: Name of the worker it is a rank of, empty otherwise.
        setup: Argv of a command that runs in the same place first; its failure is this process's failure.
        container: False for what always runs on the bare node.
        image: Another image than the servers'; empty for the same.
        programs: Those that it starts itself, which must be there as its own must.
        version_argv: Prints the program's version (checked in the job's first seconds), empty for no check.
        version_want: Regular expression that the version text must match.
        version_needed: The same for people, such as `etcd 3.4 or newer`.
    """

    name: str
    role: str
    slot: int
    argv: tuple[str, ...]
    kind: str = "service"
    gpus: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    probe: Probe | None = None
    ready_timeout_s: float = 1800.0
    stop_signal: str = "TERM"
    stop_wait_s: float = 10.0
    stop_after: tuple[str, ...] = ()
    must_live: bool = True
    restart: str = "never"
    outputs: tuple[str, ...] = ()
    worker: str = ""
    setup: tuple[str, ...] = ()
    container: bool = True
    image: str = ""
    programs: tuple[str, ...] = ()
    version_argv: tuple[str, ...] = ()
    version_want: str = ""
    version_needed: str = ""


@dataclass(frozen=True)
class Census:
    """Who must be registered where traffic enters before anything is measured.

    Attributes:
        kind: `dynamo` (count `generate` instances in /health), `sglang-router` (/workers), `none`.
        frontends: `host:port` of every frontend.
        expect: Workers per role, zero roles left out.
        model: Name that must be listed under /v1/models.
    """

    kind: str
    frontends: tuple[str, ...]
    expect: Mapping[str, int]
    model: str


@dataclass(frozen=True)
class RenderedFile:
    """A text written into the attempt directory, tokens replaced. `path` is relative."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True)
class Plan:
    """The servers of one deployment: the whole input of the orchestrator, with the points' steps beside it.

    Attributes:
        endpoint: `host:port` where clients send requests (tokens).
        public_port: Name of the port request behind `endpoint`.
        model: Served model name.
        flush_paths: HTTP POST paths, tried on every frontend between two points to empty the workers' caches.
        flush_workers: Likewise, of the workers themselves: `host:port/path`.
        pass_environment: Names of variables whose values reach the processes from the submitter's environment.
        scrub: Prefixes of inherited variables that no process may see.
        denominators: GPUs by role and in all: `prefill`, `decode`, `aggregated`, `all`.
        flag_sources: Worker role -> flag -> where it came from.
        provenance: What is known at submission: versions, model path, backend, engine.
        executor: `local` (processes of this machine) or `slurm` (steps of the job that this is).
        network_interface: The nodes' interface whose address is used; None for the default route's.
        directories: Made on every node before anything else, where they are not there.
        srun_options: Further options of every step: name -> value, None for one without a value.
    """

    name: str
    deployment_id: str
    backend: str
    frontend: str
    model: str
    slots: tuple[Slot, ...]
    workers: tuple[Worker, ...]
    processes: tuple[Process, ...]
    ports: tuple[PortRequest, ...]
    census: Census
    endpoint: str
    public_port: str
    files: tuple[RenderedFile, ...] = ()
    container: Container = Container()
    budgets: Budgets = Budgets()
    flush_paths: tuple[str, ...] = ()
    flush_workers: tuple[str, ...] = ()
    pass_environment: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ("SLURM_", "SBATCH_", "SRUN_", "PMIX_", "PMI_", "OMPI_", "DYN_", "ETCD_", "NATS_")
    denominators: Mapping[str, int] = field(default_factory=dict)
    flag_sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    executor: str = "local"
    network_interface: str | None = None
    srun_options: Mapping[str, Any] = field(default_factory=dict)
    profiler: Profiler = Profiler()
    directories: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    def process(self, name: str) -> Process:
        """The process called `name`; KeyError if there is none."""
        for process in self.processes:
            if process.name == name:
                return process
        raise KeyError(name)


@dataclass(frozen=True)
class Step:
    """One measurement of a point: a client to run and how to read what it leaves.

    Attributes:
        name: Directory under `measurements/`, unique in the point, such as `c0008`.
        benchmark: Registry name; its parser turns the directory into rows.
        argv: Client command (tokens); working directory is the measurement's own.
        env: As for a process.
        slot: Node it runs on.
        outputs: Files it must leave, relative to its working directory.
        timeout_s: None for no limit of its own.
        expected_requests: Measured requests it will send; None when not known.
        settings: What was asked for, copied into the rows: concurrency, isl, osl, …
        hold: No client at all: keep the servers up until told to stop (`manual`).
        container: False to run on the bare node.
        image: Another image than the servers'; empty for the same.
    """

    name: str
    benchmark: str
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    slot: int = 0
    outputs: tuple[str, ...] = ()
    timeout_s: float | None = None
    expected_requests: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    hold: bool = False
    container: bool = True
    image: str = ""


@dataclass(frozen=True)
class PointSteps:
    """The workload of one point; written as `points/NNNN/steps.json`.

    Attributes:
        windows: Worker role -> steps that the plan's profiler records in every measurement.
    """

    config_id: str
    benchmark: str
    steps: tuple[Step, ...]
    files: tuple[RenderedFile, ...] = ()
    unset_env: tuple[str, ...] = ()
    windows: Mapping[str, Window] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
