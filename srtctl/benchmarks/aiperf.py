"""`aiperf`: synthetic prompts of a mean length, or a data set, sent by aiperf with options of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Type

from srtctl.benchmarks import aiperf_client
from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.ladder import client_seed, pairs, rates_of
from srtctl.benchmarks.load import (
    LIMITS,
    AiperfArguments,
    LadderConfig,
    aiperf_step,
    argument_problems,
    arguments,
    chosen,
    ladder_problems,
    missing,
)
from srtctl.benchmarks.options import Options
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_DATA = frozenset({"input-file", "custom-dataset-type", "public-dataset", "hf-weka-dataset"})
_PACE = frozenset({"concurrency", "request-rate", "request-rate-series", "user-centric-rate", "fixed-schedule"})
_COUNT = frozenset({"request-count", "benchmark-duration", "conversation-num", "fixed-schedule"})


@dataclass
class AiperfConfig(AiperfArguments, LadderConfig):
    """`aiperf`: aiperf with options of its own."""

    type: str = key("aiperf", "Synthetic prompts or a data set, sent by aiperf.", allowed=("aiperf",))
    isl: Optional[int] = key(None, "Mean length of synthetic prompts.", unit="tokens", minimum=1)
    osl: Optional[int] = key(None, "Mean length of answers.", unit="tokens", minimum=1)
    num_requests: Optional[int] = key(None, "Requests of a measurement; default: 10 x concurrency.", minimum=1)
    num_warmup_requests: Optional[int] = key(None, "Warm-up requests; default: 2 x concurrency.", minimum=0)


class Aiperf:
    """Registry entry."""

    type = "aiperf"
    params: Type[BenchmarkConfig] = AiperfConfig
    programs = ("aiperf",)

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        given = arguments(params)
        problems = argument_problems(params)
        if not _DATA & given.keys():
            hint = "give benchmark.{0}=…, or a data set: benchmark.aiperf_args.input-file=…"
            names = [name for name in ("isl", "osl") if getattr(params, name) is None and name not in given]
            problems += [missing(self.type, name, hint.format(name)) for name in names]
        ladder = ladder_problems(params)
        problems += ladder
        if params.concurrencies is None and not ladder and not _PACE & given.keys():
            if "inf" in rates_of(params.req_rate):
                hint = "give benchmark.concurrencies=[4,8], or a request rate: benchmark.req_rate=20"
                problems.append(missing(self.type, "concurrencies", hint))
            elif params.num_requests is None and not _COUNT & given.keys():
                hint = "give benchmark.num_requests=…: without a concurrency nothing says how many to send"
                problems.append(missing(self.type, "num_requests", hint))
        return problems

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step for each pair of concurrency and request rate."""
        steps = []
        for concurrency, rate, name in pairs(params.concurrencies, params.req_rate):
            settings = _settings(params, concurrency, rate)
            steps.append(aiperf_step(self.type, params, context, name, settings, _options(params, settings)))
        return PointSteps(context.config_id, self.type, tuple(steps), unset_env=aiperf_client.UNSET_ENV)

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurement of the step."""
        return [aiperf_client.parse(directory, step.name, step.settings)]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Measured requests done so far."""
        return aiperf_client.progress(directory, state)


def _settings(params: Any, concurrency: int | None, rate: float | str) -> dict[str, Any]:
    given = arguments(params)
    concurrency = concurrency or _whole(given.get("concurrency"))
    warmup = params.num_warmup_requests
    if warmup is None:
        warmup = 2 * (concurrency or 0)
    return {
        "concurrency": concurrency,
        "req_rate": given.get("request-rate", rate),
        "requests": _requests(params, given, concurrency),
        "warmup_requests": _whole(given.get("warmup-request-count", warmup)),
        "client": "aiperf",
        **{name: given.get(name, getattr(params, name)) for name in ("isl", "osl")},
        **chosen(params, "seed", "ignore_eos", "use_chat_template", *LIMITS),
        **({"aiperf_args": given} if given else {}),
        "client_seed": client_seed(params.seed, concurrency, rate, params.isl, params.osl),
    }


def _requests(params: Any, given: Mapping[str, Any], concurrency: int | None) -> int | None:
    """How many will be measured; None where only the client knows."""
    if "request-count" in given:
        return _whole(given["request-count"])
    if _COUNT & given.keys():
        return None
    return int(params.num_requests or 10 * (concurrency or 1))


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _options(params: Any, settings: Mapping[str, Any]) -> Options:
    synthetic = not _DATA & arguments(params).keys()
    chat, requests, warmup = params.use_chat_template, settings["requests"], settings["warmup_requests"] or 0
    made: Options = {
        **aiperf_client.endpoint(chat),
        "use-server-token-count": True,
        "concurrency": settings["concurrency"],
        "request-rate": None if settings["req_rate"] == "inf" else settings["req_rate"],
        "request-count": requests,
        "warmup-request-count": warmup or None,
        "extra-inputs": "ignore_eos:true" if params.ignore_eos else None,
        "random-seed": settings["client_seed"],
    }
    if not synthetic:
        return made
    prompts = requests + warmup if requests else None
    texts = {"apply-chat-template": chat, "isl": params.isl, "osl": params.osl, "num-dataset-entries": prompts}
    return made | texts | {"dataset-sampling-strategy": "sequential"}
