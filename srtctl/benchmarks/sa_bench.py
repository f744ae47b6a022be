"""`sa-bench`: random prompts at a ladder of concurrencies and request rates, one measurement for each pair."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Type

from srtctl.benchmarks import aiperf_client, sglang_client
from srtctl.benchmarks.base import ClientContext, DataFile
from srtctl.benchmarks.ladder import client_seed, pairs
from srtctl.benchmarks.load import LIMITS, chosen, ladder_problems, missing
from srtctl.benchmarks.options import Options
from srtctl.benchmarks.params import SaBenchConfig
from srtctl.benchmarks.prompt_file import prompt_fault
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig


class SaBench:
    """Registry entry."""

    type = "sa-bench"
    params: Type[BenchmarkConfig] = SaBenchConfig

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        hint = "give benchmark.{0}=…, or choose a benchmark that has it, such as benchmark=sa-1k1k"
        own = params.dataset_name == "custom"
        needed = ("osl", "concurrencies") if own else ("isl", "osl", "concurrencies")
        absent = [name for name in needed if getattr(params, name) is None]
        problems = [missing(self.type, name, hint.format(name)) for name in absent] + ladder_problems(params)
        if own and params.dataset_path is None:
            problems.append(missing(self.type, "dataset_path", "give the file: benchmark.dataset_path=…"))
        if params.dataset_path is not None and not own:
            message, hint = "prompts are made at random, so no file is read", "set benchmark.dataset_name=custom"
            problems.append(Problem("unused-file", message, "benchmark.dataset_path", params.dataset_path, hint=hint))
        return problems

    def data_files(self, params: Any) -> list[DataFile]:
        """The prompts, where they are the user's own."""
        path, client = params.dataset_path, params.client
        if path is None or params.dataset_name != "custom":
            return []
        return [DataFile("benchmark.dataset_path", path, lambda file: prompt_fault(file, client))]

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step for each pair of concurrency and request rate; fewer requests in flight come first."""
        steps = [
            _step(params, context, concurrency or 1, rate, name)
            for concurrency, rate, name in pairs(params.concurrencies, params.req_rate)
        ]
        unset = aiperf_client.UNSET_ENV if params.client == "aiperf" else ()
        return PointSteps(context.config_id, self.type, tuple(steps), unset_env=unset)

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurement of the step's client."""
        client = sglang_client if step.settings.get("client") == "sglang-bench" else aiperf_client
        return [client.parse(directory, step.name, step.settings)]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Measured requests done so far."""
        return None if step.settings.get("client") == "sglang-bench" else aiperf_client.progress(directory, state)


def _step(params: SaBenchConfig, context: ClientContext, concurrency: int, rate: float | str, name: str) -> Step:
    settings = _settings(params, concurrency, rate)
    if params.client == "sglang-bench":
        own = params.dataset_name == "custom"
        given = {"dataset-path": params.dataset_path, "sharegpt-output-len": params.osl} if own else {}
        dataset = "custom" if own else "random-ids"
        argv = sglang_client.command(context, params, settings, given, dataset=dataset) + tuple(params.extra_args)
        env: Mapping[str, str] = {}
        outputs: tuple[str, ...] = sglang_client.OUTPUTS
    else:
        argv = aiperf_client.command(
            context, _aiperf_options(params, settings), custom_tokenizer=params.custom_tokenizer
        )
        argv += tuple(params.extra_args)
        env = aiperf_client.environment(context.slot, concurrency)
        outputs = aiperf_client.OUTPUTS
    return Step(
        name=name,
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
    own = params.dataset_name == "custom"
    lengths = ("osl", "dataset_path") if own else ("isl", "osl", "random_range_ratio")
    names = (*lengths, "seed", "ignore_eos", "dataset_name", "use_chat_template")
    return {
        "concurrency": concurrency,
        "req_rate": rate,
        "requests": max(params.num_prompts_mult * concurrency, params.num_prompts or 0),
        "warmup_requests": params.num_warmup_mult * concurrency,
        "client": params.client,
        "reuse_http_connections": params.reuse_http_connections,
        **chosen(params, *names, *LIMITS),
        "client_seed": client_seed(params.seed, concurrency, rate, params.isl, params.osl),
    }


def _aiperf_options(params: SaBenchConfig, settings: Mapping[str, Any]) -> Options:
    """As many prompts as there are requests, warm-up included, taken in order.

    No prompt is sent twice, so that no worker answers from its cache.
    """
    chat, warmup = params.use_chat_template, settings["warmup_requests"]
    return {
        **aiperf_client.endpoint(chat),
        "use-server-token-count": True,
        **_prompts(params, settings["requests"] + warmup),
        "osl": params.osl,
        "dataset-sampling-strategy": "sequential",
        "concurrency": settings["concurrency"],
        "request-count": settings["requests"],
        "warmup-request-count": warmup or None,
        "request-rate": None if settings["req_rate"] == "inf" else settings["req_rate"],
        "extra-inputs": "ignore_eos:true" if params.ignore_eos else None,
        "connection-reuse-strategy": None if params.reuse_http_connections else "never",
        "random-seed": settings["client_seed"],
    }


def _prompts(params: SaBenchConfig, count: int) -> Options:
    if params.dataset_name == "custom":
        return {"input-file": params.dataset_path, "custom-dataset-type": "single_turn"}
    return {
        # makes the prompt that much shorter, so that the whole has the wanted length
        "apply-chat-template": params.use_chat_template,
        "prompt-corpus": "random",
        "random-corpus-style": "sglang",
        "isl": params.isl,
        "random-range-ratio": params.random_range_ratio,
        "num-dataset-entries": count,
    }
