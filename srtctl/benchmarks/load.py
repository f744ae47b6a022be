"""What the benchmarks share that send a load and measure it: keys, checks, and settings for the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Dict, Optional

from srtctl.benchmarks import aiperf_client
from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.ladder import CONCURRENCY_FORMS, RATE_FORMS, concurrencies_of, list_problems, rates_of
from srtctl.benchmarks.options import Options, canonical
from srtctl.errors import Problem, Severity
from srtctl.plan.model import Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

LIMITS = ("slo_ttft_ms", "slo_tpot_ms", "slo_e2el_ms")


@dataclass
class LoadConfig(BenchmarkConfig):
    """Keys of every client that sends a load."""

    seed: int = key(1, "Seed of lengths, texts and arrivals.", minimum=0)
    ignore_eos: bool = key(True, "Make every answer as long as was asked for.")
    use_chat_template: bool = key(True, "Send chat requests; false sends plain completions.")
    custom_tokenizer: Optional[str] = key(None, "Tokenizer for the prompts, instead of the model's own.")


@dataclass
class LadderConfig(LoadConfig):
    """Keys of the clients that measure each pair of a concurrency and a request rate."""

    concurrencies: Any = key(None, "Requests in flight, one measurement each: a list, or a text such as 1x4x8.")
    req_rate: Any = key("inf", "Request rate, one measurement each: a number, inf, or a list of them.", unit="1/s")
    slo_ttft_ms: Optional[float] = key(None, "Good requests: first token within this.", unit="ms", minimum=0)
    slo_tpot_ms: Optional[float] = key(None, "Good requests: time per output token at most.", unit="ms", minimum=0)
    slo_e2el_ms: Optional[float] = key(None, "Good requests: all of it within this.", unit="ms", minimum=0)


@dataclass
class AiperfArguments:
    """Keys of the benchmarks that aiperf runs with options of the user's."""

    aiperf_args: Dict[str, Any] = key(
        {}, "Further options of aiperf, or others in the place of ours: name -> value; true for one without a value."
    )
    aiperf_package: Optional[str] = key(
        None, "Accepted from recipes; nothing is installed at run time, the installed aiperf is used."
    )
    download: bool = key(False, "Let the client download a data set that its options name, while the servers wait.")


def missing(benchmark: str, name: str, hint: str) -> Problem:
    """A key that this benchmark can't do without."""
    return Problem("benchmark-key", f"{benchmark} needs it", key=f"benchmark.{name}", hint=hint)


def ladder_problems(params: Any) -> list[Problem]:
    """What is wrong with the lists of concurrencies and request rates, and with the shortest length if there is one."""
    problems = []
    if params.concurrencies is not None:
        problems += list_problems("concurrencies", params.concurrencies, concurrencies_of, CONCURRENCY_FORMS)
    problems += list_problems("req_rate", params.req_rate, rates_of, RATE_FORMS)
    ratio = getattr(params, "random_range_ratio", 1)
    if not 0 <= ratio <= 1:
        message = "is the shortest length as a part of the longest"
        problems.append(Problem("range-ratio", message, "benchmark.random_range_ratio", ratio, "0 to 1"))
    return problems


def argument_problems(params: Any) -> list[Problem]:
    """What is wrong with `aiperf_args` and its companions."""
    problems = aiperf_client.check_arguments(params.aiperf_args, params.download)
    if params.aiperf_package:
        message = "nothing is installed at run time; the aiperf that is installed measures"
        hint = "`srtctl tools install client` installs it; cluster.tools.aiperf names another one"
        problems.append(
            Problem(
                "not-installed",
                message,
                "benchmark.aiperf_package",
                params.aiperf_package,
                hint=hint,
                severity=Severity.WARNING,
            )
        )
    return problems


def arguments(params: Any) -> dict[str, Any]:
    """The user's options under the spelling that ours have."""
    return {canonical(name, aiperf_client.ALIASES): value for name, value in params.aiperf_args.items()}


def chosen(params: Any, *names: str) -> dict[str, Any]:
    """The settings of these names, for the rows; without those that are not set."""
    return {name: value for name in names if (value := getattr(params, name)) is not None}


def aiperf_step(
    benchmark: str, params: Any, context: ClientContext, name: str, settings: Mapping[str, Any], options: Options
) -> Step:
    """A measurement by aiperf; `settings` has `requests` where their number is known."""
    return Step(
        name=name,
        benchmark=benchmark,
        argv=aiperf_client.command(context, options, params.aiperf_args, custom_tokenizer=params.custom_tokenizer),
        env=aiperf_client.environment(context.slot, settings.get("concurrency")),
        slot=context.slot,
        outputs=aiperf_client.OUTPUTS,
        timeout_s=params.timeout_s,
        expected_requests=settings.get("requests"),
        settings=settings,
        container=False,  # aiperf has an environment of its own, outside the engine's image
    )
