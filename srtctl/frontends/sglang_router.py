"""SGLang's router: is told the addresses of plain SGLang servers and needs no services beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from srtctl.backends.flags import canonical, to_argv
from srtctl.backends.sglang_command import data_parallel
from srtctl.backends.sglang_flags import choose
from srtctl.errors import Problem
from srtctl.frontends.base import FrontendCommand, FrontendPlace, owned_args
from srtctl.frontends.known import ROUTER
from srtctl.plan.model import Probe, Worker
from srtctl.plan.ports import ROUTER_METRICS, PortBook, address, host_token, port_token
from srtctl.plan.programs import Programs
from srtctl.schema import FrontendConfig, JobConfig

OWNED = ("host", "port", "pd-disaggregation", "prefill", "decode", "worker-urls", "prometheus-host", "prometheus-port",
         "service-discovery", "mini-lb")  # fmt: skip

STARTUP_CHECK_S = 1  # by default it looks for workers every 30 s, so measuring would begin so much later
# It keeps nothing, and whatever is on its way ends with the workers. Told by SIGTERM, 0.3.2 takes 3 to 7 s even when it
# has nothing to do, whatever --shutdown-grace-period-secs says; it would be killed at the end of the stop.
STOP_SIGNAL = "HUP"


class SglangRouter:
    type = "sglang-router"
    params = FrontendConfig
    discovery = False
    flush_paths = ("/flush_cache",)

    def entries(self, job: JobConfig, flags: Mapping[str, Any]) -> int:
        """Told to know of data parallelism, it lists a server `dp_size` times (`http://host:port@1`), as the server's
        /server_info has it: releases without `attn-dp-size` count attention ranks there, too."""
        args = {canonical(name): value for name, value in job.frontend.args.items()}
        if args.get("dp-aware") is not True:
            return 1
        replicas, attention_ranks = data_parallel(flags)
        return replicas if "attn-dp-size" in choose(job).release.flags else replicas * attention_ranks

    def check(self, job: JobConfig) -> list[Problem]:
        return owned_args(job, OWNED) + ROUTER.problems(job.frontend.args)

    def command(
        self, job: JobConfig, place: FrontendPlace, workers: Sequence[Worker], programs: Programs, ports: PortBook
    ) -> FrontendCommand:
        argv = [programs.path("sglang_python"), "-m", "sglang_router.launch_router"]
        argv += _worker_addresses(workers)
        argv += ["--host", place.listen, "--port", port_token(place.port)]
        # Its metrics have a fixed port by default, which a second router on the same node would not get.
        metrics = ports.request(f"{place.name}/metrics", place.slot, ROUTER_METRICS)
        argv += ["--prometheus-host", host_token(place.slot), "--prometheus-port", metrics]
        args = {canonical(name): value for name, value in job.frontend.args.items()}
        health = job.health_check
        # It gives up on workers that load weights for longer than this; ours is the deadline that counts.
        args.setdefault("worker-startup-timeout-secs", int(health.max_attempts * health.interval_seconds))
        args.setdefault("worker-startup-check-interval", STARTUP_CHECK_S)
        # /health is 200 without a single worker; /readiness counts them.
        probe = Probe("http", address(place.slot, place.port), "/readiness")
        return FrontendCommand((*argv, *to_argv(args)), {}, probe, STOP_SIGNAL)


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
