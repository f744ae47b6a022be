"""`router`: how much of a shared prefix the router turns into cache hits, for several parts that are shared.

For each ratio r, prompts of `isl` tokens begin with one of a few common prefixes of r x `isl` tokens. Routing that
knows the caches sends equal prefixes to the same worker: the cache hits rise and the time to the first token falls
as r rises. Every ratio has texts of its own, so that no measurement finds what an earlier one left in the caches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Type

from srtctl.benchmarks import aiperf_client
from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.ladder import client_seed
from srtctl.benchmarks.load import AiperfArguments, LoadConfig, aiperf_step, argument_problems, arguments, chosen
from srtctl.benchmarks.options import Options
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_FORMS = "numbers from 0 to 1: a list such as [0.1, 0.5, 0.9], one number, or a text such as 0.1x0.5x0.9"


@dataclass
class RouterConfig(AiperfArguments, LoadConfig):
    """`router`: prompts that share prefixes."""

    type: str = key(
        "router", "Prompts that share a part of their text, one measurement for each part.", allowed=("router",)
    )
    isl: int = key(14000, "Length of a prompt, its prefix included.", unit="tokens", minimum=1)
    osl: int = key(200, "Length of an answer.", unit="tokens", minimum=1)
    prefix_ratios: Any = key(
        [0.1, 0.3, 0.5, 0.7, 0.9], "Shared part of a prompt, one measurement each: a list, or a text such as 0.1x0.5."
    )
    num_prefix_prompts: int = key(20, "Common prefixes that the prompts begin with.", minimum=1)
    num_requests: int = key(200, "Requests of a measurement.", minimum=1)
    concurrency: int = key(20, "Requests in flight.", minimum=1)


class Router:
    """Registry entry."""

    type = "router"
    params: Type[BenchmarkConfig] = RouterConfig
    programs = ("aiperf",)

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        problems = argument_problems(params)
        try:
            ratios_of(params.prefix_ratios)
        except ValueError as error:
            name, value = "benchmark.prefix_ratios", params.prefix_ratios
            problems.append(Problem("benchmark-list", str(error), name, value, _FORMS))
        return problems

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step for each ratio, in the order given."""
        steps = []
        for ratio in ratios_of(params.prefix_ratios):
            settings = {
                **chosen(params, "concurrency", "isl", "osl"),
                "req_rate": "inf",
                "requests": params.num_requests,
                "prefix_ratio": ratio,
                "client": "aiperf",
                **chosen(params, "num_prefix_prompts", "seed", "ignore_eos", "use_chat_template"),
                **({"aiperf_args": arguments(params)} if params.aiperf_args else {}),
                "client_seed": client_seed(params.seed, ratio, params.isl, params.osl),
            }
            options = _options(params, ratio, settings["client_seed"])
            steps.append(aiperf_step(self.type, params, context, f"p{ratio:g}", settings, options))
        return PointSteps(context.config_id, self.type, tuple(steps), unset_env=aiperf_client.UNSET_ENV)

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurement of one ratio."""
        return [aiperf_client.parse(directory, step.name, step.settings)]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Measured requests done so far."""
        return aiperf_client.progress(directory, state)


def ratios_of(value: Any) -> list[float]:
    """The ratios, in the order given.

    Raises:
        ValueError: It is none of the accepted forms; the text says why.
    """
    entries = value.replace("x", " ").replace(",", " ").split() if isinstance(value, str) else value
    entries = list(entries) if isinstance(entries, (list, tuple)) else [entries]
    if not entries:
        raise ValueError("is an empty list")
    found = [_ratio(entry) for entry in entries]
    if len(set(found)) != len(found):
        raise ValueError("names a ratio twice")
    return found


def _ratio(entry: Any) -> float:
    try:
        ratio = float(entry) if not isinstance(entry, bool) else -1.0
    except (TypeError, ValueError):
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(f"{entry!r} is no part of a prompt")
    return ratio


def _options(params: Any, ratio: float, seed: int) -> Options:
    # Something is always a prompt's own: the client makes no empty ones.
    prefix = min(round(params.isl * ratio), params.isl - 1)
    return {
        **aiperf_client.endpoint(params.use_chat_template),
        "apply-chat-template": params.use_chat_template,
        "use-server-token-count": True,
        "isl": params.isl - prefix,
        "osl": params.osl,
        "prompt-prefix-length": prefix or None,
        "prompt-prefix-pool-size": params.num_prefix_prompts if prefix else None,
        "num-dataset-entries": params.num_requests,
        "dataset-sampling-strategy": "sequential",
        "concurrency": params.concurrency,
        "request-count": params.num_requests,
        "extra-inputs": "ignore_eos:true" if params.ignore_eos else None,
        "random-seed": seed,
    }
