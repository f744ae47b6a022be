"""How a run finds out, on the node, that a program named by its path is one that works."""

from __future__ import annotations

import re
from dataclasses import replace

from srtctl.plan.model import Process
from srtctl.plan.programs import Programs
from srtctl.schema import JobConfig

# Role of the process -> (key under cluster.tools, arguments that print the release, releases that work, in words).
_SERVICES = {
    "etcd": ("etcd", ("--version",), r"etcd Version: 3\.([4-9]|\d{2,})\.", "etcd 3.4 or newer"),
    "nats": ("nats_server", ("--version",), r"v2\.(9|\d{2,})\.", "nats-server 2.9 or newer"),
    "nginx": ("nginx", ("-v",), r"nginx/1\.(19\.([5-9]|\d{2,})|[2-9]\d|\d{3,})", "nginx 1.19.5 or newer"),
}
_PRINT_RELEASE = """\
import importlib.metadata as m
try:
    print('{0}', m.version('{0}'))
except m.PackageNotFoundError:
    raise SystemExit('{0} is not installed there')
"""


def with_version_checks(job: JobConfig, process: Process, programs: Programs) -> Process:
    """The process with its check, where the site named the program by its path; programs we install need none."""
    if process.image or not process.argv:
        return process
    if process.role in _SERVICES:
        key, arguments, works, needed = _SERVICES[process.role]
        if getattr(job.cluster.tools, key) is None:
            return process
        return replace(
            process, version_argv=(programs.path(key), *arguments), version_want=works, version_needed=needed
        )
    if job.cluster.container_runtime != "none" or job.dynamo.install:
        return process
    package, wanted = ("ai-dynamo", job.dynamo.version)
    key = "dynamo_python"
    if process.argv[0] == programs.path("sglang_python") and process.argv[0] != programs.path(key):
        key, package, wanted = "sglang_python", "sglang", job.backend.version
    if getattr(job.cluster.tools, key) is None:
        return process
    works = rf"{package} {re.escape(wanted)}(\s|$|\+)" if wanted else rf"{package} \d"
    return replace(
        process,
        version_argv=(process.argv[0], "-c", _PRINT_RELEASE.format(package)),
        version_want=works,
        version_needed=f"{package} {wanted}" if wanted else package,
    )
