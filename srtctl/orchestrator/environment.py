"""The environment that processes get, and a record of the machine they ran on. No variable's value is ever written."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srtctl.plan.model import Plan


def base_environment(inherited: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """What every process starts from: the inherited environment without leftovers of other runs.

    A name under `pass_environment` is kept even if a scrubbed prefix matches it.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(plan.scrub)}
    kept.update({name: inherited[name] for name in plan.pass_environment if name in inherited})
    return kept


def missing_variables(inherited: Mapping[str, str], plan: Plan) -> list[str]:
    """Names under `pass_environment` that the submitter did not have."""
    return [name for name in plan.pass_environment if name not in inherited]


def without(environment: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """A copy without some variables."""
    left = set(names)
    return {name: value for name, value in environment.items() if name not in left}


def raise_open_files_limit() -> int:
    """Raise the soft limit of open files to the hard one, for every process of the run; returns the new limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return hard


def describe_machine() -> dict[str, Any]:
    """The machine that the orchestrator runs on."""
    system = os.uname()
    return {
        "host": socket.gethostname(),
        "kernel": f"{system.sysname} {system.release}",
        "architecture": system.machine,
        "os": _os_name(),
        "python": platform.python_version(),
        "python_path": sys.executable,
        "cpus": os.cpu_count(),
        "cpus_allowed": len(os.sched_getaffinity(0)),
        "cpu_model": _first_value("/proc/cpuinfo", "model name"),
        "memory_kib": _first_value("/proc/meminfo", "MemTotal").removesuffix(" kB"),
        "open_files_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "gpus": _gpus(),
    }


def _os_name() -> str:
    return _first_value("/etc/os-release", "PRETTY_NAME", "=").strip('"')


def _first_value(path: str, key: str, separator: str = ":") -> str:
    """The first value of `key` in a file of `key: value` lines; empty if there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, found, value = line.partition(separator)
                if found and name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""


def _gpus() -> list[str]:
    """Models of NVIDIA GPUs as the driver lists them, without starting a program."""
    root = "/proc/driver/nvidia/gpus"
    try:
        return [_first_value(f"{root}/{name}/information", "Model") for name in sorted(os.listdir(root))]  # noqa: PTH208
    except OSError:
        return []
