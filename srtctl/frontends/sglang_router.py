"""SGLang's router: is told the addresses of plain SGLang servers and needs no services beside it."""

from __future__ import annotations

from collections.abc import Sequence

from srtctl.backends.base import engine_python
from srtctl.backends.flags import canonical, to_argv
from srtctl.errors import Problem
from srtctl.frontends.base import FrontendCommand, owned_args
from srtctl.plan.model import Probe, Worker
from srtctl.plan.ports import address, port_token
from srtctl.plan.programs import Programs
from srtctl.schema import FrontendConfig, JobConfig

OWNED = ("host", "port", "pd-disaggregation", "prefill", "decode", "worker-urls")


class SglangRouter:
    type = "sglang-router"
    params = FrontendConfig
    discovery = False
    flush_paths = ("/flush_cache",)

    def check(self, job: JobConfig) -> list[Problem]:
        return owned_args(job, OWNED)

    def command(
        self, job: JobConfig, listen: str, port_name: str, slot: int, workers: Sequence[Worker], programs: Programs
    ) -> FrontendCommand:
        argv = [engine_python(job, programs, "sglang_python"), "-m", "sglang_router.launch_router"]
        argv += _worker_addresses(workers)
        argv += ["--host", listen, "--port", port_token(port_name)]
        args = {canonical(name, {}): value for name, value in job.frontend.args.items()}
        health = job.health_check
        # It gives up on workers that load weights for longer than this; ours is the deadline that counts.
        args.setdefault("worker-startup-timeout-secs", int(health.max_attempts * health.interval_seconds))
        # /health is 200 without a single worker; /readiness counts them.
        return FrontendCommand((*argv, *to_argv(args)), {}, Probe("http", address(slot, port_name), "/readiness"))


def _worker_addresses(workers: Sequence[Worker]) -> list[str]:
    urls = {worker.name: f"http://{address(worker.ranks[0].slot, f'{worker.name}/http')}" for worker in workers}
    aggregated = [urls[worker.name] for worker in workers if worker.role == "aggregated"]
    if aggregated:
        return ["--worker-urls", *aggregated]
    argv = ["--pd-disaggregation"]
    for worker in workers:
        argv += [f"--{worker.role}", urls[worker.name]]
        if worker.role == "prefill":
            argv.append(port_token(f"{worker.name}/bootstrap"))
    return argv
