"""`sa-bench`: random prompts at a ladder of concurrencies and request rates, one measurement for each pair."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Type

from srtctl.benchmarks import aiperf, sglang_client
from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.params import SaBenchConfig
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig

_CONCURRENCY_FORMS = "whole numbers from 1: a list such as [4, 8], one number, or a text such as 4x8"
_RATE_FORMS = "inf, a number above 0, or a list of these"


class SaBench:
    """Registry entry."""

    type = "sa-bench"
    params: Type[BenchmarkConfig] = SaBenchConfig

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        problems = [_missing(key) for key in ("isl", "osl", "concurrencies") if getattr(params, key) is None]
        if params.concurrencies is not None:
            problems += _list_problems("concurrencies", params.concurrencies, concurrencies_of, _CONCURRENCY_FORMS)
        problems += _list_problems("req_rate", params.req_rate, rates_of, _RATE_FORMS)
        if not 0 <= params.random_range_ratio <= 1:
            problems.append(
                Problem(
                    "range-ratio",
                    "is the shortest length as a part of the longest",
                    key="benchmark.random_range_ratio",
                    value=params.random_range_ratio,
                    allowed="0 to 1",
                )
            )
        return problems

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step for each pair of concurrency and request rate; fewer requests in flight come first."""
        rates = rates_of(params.req_rate)
        name_rates = len(rates) > 1 or rates != ["inf"]
        steps = [
            _step(params, context, concurrency, rate, name_rates)
            for concurrency, rate in itertools.product(concurrencies_of(params.concurrencies), rates)
        ]
        unset = aiperf.UNSET_ENV if params.client == "aiperf" else ()
        return PointSteps(context.config_id, self.type, tuple(steps), unset_env=unset)

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurement of the step's client."""
        client = sglang_client if step.settings.get("client") == "sglang-bench" else aiperf
        return [client.parse(directory, step.name, step.settings)]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Measured requests done so far."""
        return None if step.settings.get("client") == "sglang-bench" else aiperf.progress(directory, state)


def concurrencies_of(value: Any) -> list[int]:
    """The ladder, in the order given.

    Raises:
        ValueError: It is none of the accepted forms; the text says why.
    """
    entries = value.split("x") if isinstance(value, str) else [value] if isinstance(value, int) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ValueError("is no list of whole numbers")
    found = [_concurrency(entry) for entry in entries]
    if len(set(found)) != len(found):
        raise ValueError("names a concurrency twice")
    return found


def _concurrency(entry: Any) -> int:
    if isinstance(entry, str) and entry.strip().isdecimal():
        entry = int(entry)
    if isinstance(entry, bool) or not isinstance(entry, int) or entry < 1:
        raise ValueError(f"{entry!r} is no whole number from 1")
    return entry


def rates_of(value: Any) -> list[float | str]:
    """The request rates, in the order given; `inf` for no limit.

    Raises:
        ValueError: It is none of the accepted forms; the text says why.
    """
    entries = value.split("x") if isinstance(value, str) else value
    entries = list(entries) if isinstance(entries, (list, tuple)) else [entries]
    if not entries:
        raise ValueError("is an empty list")
    found = [_rate(entry) for entry in entries]
    if len(set(found)) != len(found):
        raise ValueError("names a rate twice")
    return found


def _rate(entry: Any) -> float | str:
    if entry is None or isinstance(entry, bool):
        raise ValueError(f"{entry!r} is no request rate")
    try:
        rate = float(entry)
    except (TypeError, ValueError):
        raise ValueError(f"{entry!r} is no request rate") from None
    if rate == math.inf:
        return "inf"
    if not rate > 0:
        raise ValueError(f"{entry!r} is not above 0")
    return int(rate) if rate.is_integer() else rate


def _missing(key: str) -> Problem:
    hint = f"give benchmark.{key}=…, or choose a benchmark that has it, such as benchmark=sa-1k1k"
    return Problem("benchmark-key", "sa-bench needs it", key=f"benchmark.{key}", hint=hint)


def _list_problems(key: str, value: Any, read: Any, allowed: str) -> list[Problem]:
    try:
        read(value)
    except ValueError as error:
        hint = f"write a list: benchmark.{key}=[4,8]" if isinstance(value, str) and "," in value else ""
        return [Problem("benchmark-list", str(error), key=f"benchmark.{key}", value=value, allowed=allowed, hint=hint)]
    return []


def _step(params: SaBenchConfig, context: ClientContext, concurrency: int, rate: float | str, name_rate: bool) -> Step:
    settings = _settings(params, concurrency, rate)
    url = f"http://{context.endpoint}"
    if params.client == "sglang-bench":
        python = context.programs.paths.get("sglang_python", "python3")
        argv = sglang_client.command(python, params, settings, url, context.model, context.tokenizer)
        env: Mapping[str, str] = {}
        outputs: tuple[str, ...] = sglang_client.OUTPUTS
    else:
        program = context.programs.path("aiperf")
        argv = aiperf.command(program, params, settings, url, context.model, context.tokenizer)
        env = aiperf.environment(context.slot, concurrency)
        outputs = aiperf.OUTPUTS
    return Step(
        name=f"c{concurrency:04d}" + (f"-r{rate}" if name_rate else ""),
        benchmark=SaBench.type,
        argv=argv,
        env=env,
        slot=context.slot,
        outputs=outputs,
        timeout_s=params.timeout_s,
        expected_requests=settings["requests"],
        settings=settings,
        container=params.client == "sglang-bench",  # aiperf has an environment of its own, outside the engine's image
    )


def _settings(params: SaBenchConfig, concurrency: int, rate: float | str) -> dict[str, Any]:
    names = ("isl", "osl", "random_range_ratio", "seed", "ignore_eos", "dataset_name", "use_chat_template")
    limits = ("slo_ttft_ms", "slo_tpot_ms", "slo_e2el_ms")
    return {
        "concurrency": concurrency,
        "req_rate": rate,
        "requests": max(params.num_prompts_mult * concurrency, params.num_prompts or 0),
        "warmup_requests": params.num_warmup_mult * concurrency,
        "client": params.client,
        "reuse_http_connections": params.reuse_http_connections,
        **{name: getattr(params, name) for name in names},
        **{name: getattr(params, name) for name in limits if getattr(params, name) is not None},
        "client_seed": _client_seed(params, concurrency, rate),
    }


def _client_seed(params: SaBenchConfig, concurrency: int, rate: float | str) -> int:
    """The same for the same workload everywhere, and another one for every measurement of a server.

    With one seed for all, a measurement's prompts would begin as those of the one before: the server has these cached.
    """
    text = f"{params.seed}/{concurrency}/{rate}/{params.isl}/{params.osl}"
    return zlib.crc32(text.encode()) & 0x7FFFFFFF
