"""Dynamo's frontend: finds workers through etcd, serves the OpenAI interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from srtctl.backends.flags import canonical, to_argv
from srtctl.errors import Problem, Severity
from srtctl.frontends.base import FrontendCommand, FrontendPlace, owned_args
from srtctl.frontends.known import DYNAMO
from srtctl.plan.model import Probe, Worker
from srtctl.plan.ports import PortBook, address, port_token
from srtctl.plan.programs import Programs
from srtctl.schema import FrontendConfig, JobConfig

OWNED = ("http-host", "http-port", "discovery-backend", "request-plane", "event-plane")


class DynamoFrontend:
    type = "dynamo"
    params = FrontendConfig
    discovery = True
    # Releases 1.4.2 and 1.6.1 answer 404 to a POST of /clear_kv_blocks, and have nothing else for it.
    flush_paths = ()

    def entries(self, job: JobConfig, flags: Mapping[str, Any]) -> int:
        return 1  # data-parallel ranks of one engine register together

    def check(self, job: JobConfig) -> list[Problem]:
        return owned_args(job, OWNED) + DYNAMO.problems(job.frontend.args) + _events_for_the_router(job)

    def command(
        self, job: JobConfig, place: FrontendPlace, workers: Sequence[Worker], programs: Programs, ports: PortBook
    ) -> FrontendCommand:
        argv = [programs.path("dynamo_python"), "-m", "dynamo.frontend"]
        argv += ["--http-host", place.listen, "--http-port", port_token(place.port)]
        args = {canonical(name): value for name, value in job.frontend.args.items()}
        # Its /health says "healthy" from the first moment: it proves the process, the census proves the rest.
        return FrontendCommand((*argv, *to_argv(args)), {}, Probe("http", address(place.slot, place.port), "/health"))


def _events_for_the_router(job: JobConfig) -> list[Problem]:
    """Routing by caches without word of what is in them goes by load alone, whatever it is called."""
    args = {canonical(name): value for name, value in job.frontend.args.items()}
    without = any(args.get(name) is True for name in ("no-router-kv-events", "no-kv-events", "load-aware"))
    if args.get("router-mode") != "kv" or without or not hasattr(job.backend, "kv_events_config"):
        return []
    if job.backend.kv_events_config:
        return []
    text = "the router waits for the workers' cache events, and they publish none"
    hint = "backend.kv_events_config=true; or frontend.args.no-router-kv-events=true, and the router guesses"
    return [Problem("kv-events", text, "frontend.args.router-mode", "kv", hint=hint, severity=Severity.WARNING)]
