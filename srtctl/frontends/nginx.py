"""nginx in front of several frontends: one address for clients, streams passed through chunk by chunk."""

from __future__ import annotations

import re
from collections.abc import Sequence

from srtctl.errors import Problem
from srtctl.plan.model import Probe, Process, RenderedFile
from srtctl.plan.ports import address
from srtctl.plan.programs import Programs
from srtctl.render import render_template
from srtctl.schema import JobConfig

PORT = "nginx/http"
CONFIG_FILE = "nginx.conf"
STATUS_PATH = "/nginx_status"
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_DURATION = re.compile(r"[0-9]+(ms|s|m|h|d)?")


def nginx_problems(job: JobConfig) -> list[Problem]:
    """Settings that would not be what they look like inside nginx.conf."""
    settings, problems = job.frontend, []
    if not _HEADER.fullmatch(settings.nginx_session_affinity_header):
        problems.append(Problem("nginx", "is no name of a header", "frontend.nginx_session_affinity_header",
                                settings.nginx_session_affinity_header, "letters, digits and dashes"))  # fmt: skip
    if not _DURATION.fullmatch(settings.nginx_keepalive_timeout):
        problems.append(Problem("nginx", "is no duration", "frontend.nginx_keepalive_timeout",
                                settings.nginx_keepalive_timeout, "a number with ms, s, m, h or d"))  # fmt: skip
    return problems


def nginx_file(job: JobConfig, listen: str, slot: int, frontends: Sequence[str]) -> RenderedFile:
    """nginx.conf.

    Args:
        listen: `host:port` to bind.
        frontends: `host:port` of each frontend.
    """
    header = job.frontend.nginx_session_affinity_header.lower().replace("-", "_")
    text = render_template(
        "nginx.conf.j2",
        scratch=f"@scratch:slot{slot}@",
        session_header=f"$http_{header}" if job.frontend.nginx_session_affinity else "",
        frontends=list(frontends),
        listen=listen,
        keepalive_timeout=job.frontend.nginx_keepalive_timeout,
        status_path=STATUS_PATH,
    )
    return RenderedFile(CONFIG_FILE, text)


def nginx_process(slot: int, programs: Programs, ready_timeout_s: float, image: str = "") -> Process:
    """The process, on the bare node or in an image of its own.

    Its prefix is the working directory, so that the rendered file is found by its name alone.

    Nothing here raises the limit of open files: the orchestrator raises its own to the hard limit, and everything it
    starts inherits that, while a number in nginx.conf fails wherever it lies above the hard limit.
    """
    return Process(
        name="nginx",
        role="nginx",
        slot=slot,
        argv=("nginx" if image else programs.path("nginx"), "-p", ".", "-c", CONFIG_FILE, "-e", "stderr"),
        probe=Probe("http", address(slot, PORT), STATUS_PATH),
        ready_timeout_s=ready_timeout_s,
        container=bool(image),
        image=image,
    )
