"""The shape of a cluster, and the files in which Slurm reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SUBNET = "10.99.0"  # of every cluster: each has networks of its own
FABRIC = "10.98.0"  # of a second network, which the nodes have and the login host has not
LOGIN = "login"


@dataclass(frozen=True)
class Partition:
    """A line `PartitionName=`.

    Attributes:
        name: Its name.
        nodes: Which nodes, in Slurm's notation (`n[1-2]`), or ALL.
        default: Whether jobs go there that name none.
        max_time: The longest time limit, in Slurm's notation.
        options: More of the line, such as `PriorityTier=2 PreemptMode=REQUEUE`.
    """

    name: str
    nodes: str = "ALL"
    default: bool = False
    max_time: str = "INFINITE"
    options: str = ""

    def line(self) -> str:
        default = "YES" if self.default else "NO"
        return (
            f"PartitionName={self.name} Nodes={self.nodes} Default={default} MaxTime={self.max_time} "
            f"DefMemPerCPU=100 State=UP {self.options}"
        ).rstrip()


ONE_PARTITION = (Partition("batch", default=True),)


@dataclass(frozen=True)
class Spec:
    """All that a cluster is made from.

    Attributes:
        directory: Where its files are.
        nodes: Number of nodes; they are named n1, n2, ...
        gpus: GPUs of each node; their device files exist, GPUs do not.
        cpus: What each node claims to have.
        memory_mib: What each node claims to have.
        partitions: The partitions.
        slurm_conf_lines: Lines for slurm.conf; a setting given here replaces the one made here.
        plugstack: Lines of plugstack.conf (SPANK plug-ins).
        local_dirs: Directories that every node has of its own, as real nodes have /tmp.
        shared_dirs: Directories below those that all nodes share nevertheless.
        dbd: Whether there is accounting (slurmdbd with a database).
    """

    directory: Path
    nodes: int = 4
    gpus: int = 8
    cpus: int = 64
    memory_mib: int = 500_000
    partitions: tuple[Partition, ...] = ONE_PARTITION
    slurm_conf_lines: tuple[str, ...] = ()
    plugstack: tuple[str, ...] = ()
    local_dirs: tuple[str, ...] = ()
    shared_dirs: tuple[str, ...] = ()
    dbd: bool = False

    def names(self) -> list[str]:
        return [f"n{index}" for index in range(1, self.nodes + 1)]

    def address(self, name: str) -> str:
        """The address of a node, or of the login host."""
        return f"{SUBNET}.1" if name == LOGIN else f"{SUBNET}.{10 + int(name[1:])}"

    def fabric_address(self, name: str) -> str:
        """The address of a node's second interface."""
        return f"{FABRIC}.{10 + int(name[1:])}"

    def save(self) -> None:
        self.path(self.directory).write_text(json.dumps(asdict(self), default=str, indent=1))

    @staticmethod
    def path(directory: Path) -> Path:
        return directory / "spec.json"

    @classmethod
    def load(cls, directory: Path) -> Spec:
        """Read it back.

        Raises:
            FileNotFoundError: There never was a cluster in this directory.
        """
        data: dict[str, Any] = json.loads(cls.path(directory).read_text())
        data["directory"] = Path(data["directory"])
        data["partitions"] = tuple(Partition(**one) for one in data["partitions"])
        for key in ("slurm_conf_lines", "plugstack", "local_dirs", "shared_dirs"):
            data[key] = tuple(data[key])
        return cls(**data)


def etc_files(spec: Spec, version: tuple[int, int]) -> dict[str, str]:
    """Name -> text of all files below the cluster's /etc.

    Args:
        spec: The cluster.
        version: Of Slurm, such as (22, 5).
    """
    devices = f"{spec.directory}/dev/nvidia[0-{spec.gpus - 1}]"
    # `disabled` is unknown before 23.02; the plug-in for cgroup v1 is loaded there and then used by nothing.
    cgroup = "CgroupPlugin=disabled\n" if version >= (23, 2) else "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"
    hosts = "".join(f"{spec.address(name)} {name}\n" for name in [LOGIN, *spec.names()])
    return {
        "slurm.conf": _slurm_conf(spec),
        "gres.conf": f"Name=gpu File={devices}\n" if spec.gpus else "",
        "cgroup.conf": cgroup,
        "mpi.conf": "PMIxCliTmpDirBase=/run/node-local\n",
        "plugstack.conf": "".join(f"{line}\n" for line in spec.plugstack),
        "hosts": f"127.0.0.1 localhost\n{hosts}",
        "nsswitch.conf": "".join(f"{what}: files\n" for what in ("passwd", "group", "shadow", "hosts", "services")),
        "resolv.conf": "",
    }


def _slurm_conf(spec: Spec) -> str:
    settings = _settings(spec)
    lines = []
    for line in spec.slurm_conf_lines:
        key, equals, value = line.partition("=")
        if equals and key in settings:
            settings[key] = value
        else:
            lines.append(line)
    gres = f"Gres=gpu:{spec.gpus} " if spec.gpus else ""
    shape = f"CPUs={spec.cpus} RealMemory={spec.memory_mib} {gres}State=UNKNOWN"
    nodes = [f"NodeName={name} NodeAddr={spec.address(name)} {shape}" for name in spec.names()]
    partitions = [partition.line() for partition in spec.partitions]
    text = [*(f"{key}={value}" for key, value in settings.items()), *nodes, *partitions, *lines]
    return "\n".join(text) + "\n"


def _settings(spec: Spec) -> dict[str, str]:
    place = spec.directory
    settings = {
        "ClusterName": "testcluster",
        "SlurmctldHost": f"{LOGIN}({spec.address(LOGIN)})",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        "AuthInfo": "cred_expire=5",  # a requeued job waits that long before it may start again; default 120 s
        "StateSaveLocation": f"{place}/state",
        "SlurmdSpoolDir": "/run/slurmd",  # short: sockets with at most 108 characters of path lie there
        "SlurmctldPidFile": f"{place}/run/slurmctld.pid",
        "SlurmdPidFile": "/run/slurmd.pid",
        "SlurmctldLogFile": f"{place}/log/slurmctld.log",
        "SlurmdLogFile": f"{place}/log/slurmd.%n.log",
        "LogTimeFormat": "iso8601_ms",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SwitchType": "switch/none",
        "MpiDefault": "none",
        "PropagateResourceLimits": "NONE",
        "SlurmdParameters": "config_overrides",  # nodes may claim more than this machine has
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "ReturnToService": "2",
        "JobRequeue": "1",
        "MaxArraySize": "10001",
        "EnforcePartLimits": "ALL",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "sched_interval=1,bf_interval=1,batch_sched_delay=0",
        "KillWait": "2",
        "SlurmdTimeout": "30",
        "MessageTimeout": "10",
        "UnkillableStepTimeout": "60",
        "MinJobAge": "300",
        "EpilogMsgTime": "0",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=5",
        "AccountingStorageType": "accounting_storage/none",
    }
    if spec.gpus:
        settings["GresTypes"] = "gpu"
    if spec.dbd:
        settings |= {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": spec.address(LOGIN),
            "AccountingStoreFlags": "job_comment",
        }
        if spec.gpus:
            settings["AccountingStorageTRES"] = "gres/gpu"
    return settings


def lines_of(values: Sequence[str] | str) -> tuple[str, ...]:
    """Lines of a text or of a list of lines."""
    return tuple(values.splitlines()) if isinstance(values, str) else tuple(values)
