"""Dynamo's frontend: finds workers through etcd, serves the OpenAI interface."""

from __future__ import annotations

from collections.abc import Sequence

from srtctl.backends.flags import canonical, to_argv
from srtctl.errors import Problem
from srtctl.frontends.base import FrontendCommand, FrontendPlace, owned_args
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

    def check(self, job: JobConfig) -> list[Problem]:
        return owned_args(job, OWNED)

    def command(
        self, job: JobConfig, place: FrontendPlace, workers: Sequence[Worker], programs: Programs, ports: PortBook
    ) -> FrontendCommand:
        argv = [programs.path("dynamo_python"), "-m", "dynamo.frontend"]
        argv += ["--http-host", place.listen, "--http-port", port_token(place.port)]
        args = {canonical(name): value for name, value in job.frontend.args.items()}
        # Its /health says "healthy" from the first moment: it proves the process, the census proves the rest.
        return FrontendCommand((*argv, *to_argv(args)), {}, Probe("http", address(place.slot, place.port), "/health"))
