"""`sglang-bench`: `sglang.bench_serving` with options of its own, from the engine's image or environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Type

from srtctl.benchmarks import sglang_client
from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.ladder import client_seed, pairs
from srtctl.benchmarks.load import LIMITS, LadderConfig, chosen, ladder_problems, missing
from srtctl.benchmarks.options import canonical, owned
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

_OWNED = {
    "base-url": "requests go to the job's own frontends",
    "host": "requests go to the job's own frontends",
    "port": "requests go to the job's own frontends",
    "model": "set model.served_name",
    "served-model-name": "set model.served_name",
    "tokenizer": "set benchmark.custom_tokenizer",
    "output-file": "its file is in the measurement's directory",
    "output-details": "the records of requests are always written",
    "disable-stream": "first tokens are only seen in streamed answers",
    "seed": "set benchmark.seed",
    "random-input-len": "set benchmark.isl",
    "random-output-len": "set benchmark.osl",
    "random-range-ratio": "set benchmark.random_range_ratio",
    "num-prompts": "set benchmark.num_prompts",
    "max-concurrency": "benchmark.concurrencies takes a list",
    "request-rate": "benchmark.req_rate takes a list",
    "warmup-requests": "set benchmark.warmup_requests",
    "dataset-name": "set benchmark.dataset_name",
    "dataset-path": "set benchmark.dataset_path",
}
_OF_TEXTS = ("random", "sharegpt")  # take their texts from a ShareGPT file, which the client downloads without a path


@dataclass
class SglangBenchConfig(LadderConfig):
    """`sglang-bench`: SGLang's own client."""

    type: str = key("sglang-bench", "Prompts sent by sglang.bench_serving.", allowed=("sglang-bench",))
    isl: Optional[int] = key(None, "Longest prompt.", unit="tokens", minimum=1)
    osl: Optional[int] = key(None, "Longest answer.", unit="tokens", minimum=1)
    num_prompts: int = key(128, "Requests of a measurement.", minimum=1)
    warmup_requests: int = key(1, "Warm-up requests; all carry the first prompt.", minimum=0)
    random_range_ratio: float = key(
        1.0, "Lengths are drawn from ratio x length to length; 1 for fixed ones.", minimum=0
    )
    dataset_name: str = key(
        "random-ids",
        "Where prompts come from; `random` and `sharegpt` need dataset_path, `custom` also SGLang 0.5.8 or newer.",
        allowed=("random-ids", "random", "sharegpt", "custom", "generated-shared-prefix"),
    )
    dataset_path: Optional[str] = key(None, "File of the data set, as the client sees it.")
    download: bool = key(False, "Let the client download its ShareGPT file, while the servers wait.")
    container_image: Optional[str] = key(None, "Image that has the client; default: the servers' image.")
    sglang_args: Dict[str, Any] = key({}, "Further options of the client: name -> value; true for one without a value.")


class SglangBench:
    """Registry entry."""

    type = "sglang-bench"
    params: Type[BenchmarkConfig] = SglangBenchConfig
    programs = ("sglang_python",)

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        problems = owned("benchmark.sglang_args", params.sglang_args, _OWNED, {})
        own_lengths = params.dataset_name in ("sharegpt", "custom", "generated-shared-prefix")
        names = [name for name in ("isl", "osl") if getattr(params, name) is None and not own_lengths]
        problems += [missing(self.type, name, f"give benchmark.{name}=…") for name in names]
        problems += ladder_problems(params)
        if params.dataset_path is None and params.dataset_name == "custom":
            problems.append(missing(self.type, "dataset_path", "give the file: benchmark.dataset_path=…"))
        if params.dataset_path is None and params.dataset_name in _OF_TEXTS and not params.download:
            message = "the client would download its texts while the servers wait"
            hint = "give a ShareGPT file: benchmark.dataset_path=…; or allow it: benchmark.download=true"
            problems.append(Problem("download", message, "benchmark.dataset_name", params.dataset_name, hint=hint))
        return problems

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step for each pair of concurrency and request rate."""
        made = pairs(params.concurrencies, params.req_rate)
        return PointSteps(context.config_id, self.type, tuple(_step(params, context, *pair) for pair in made))

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurement of the step."""
        return [sglang_client.parse(directory, step.name, step.settings)]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """The client writes nothing before its end."""
        return None


def _step(params: Any, context: ClientContext, concurrency: int | None, rate: float | str, name: str) -> Step:
    given = {canonical(name, {}): value for name, value in params.sglang_args.items()}
    settings = {
        "concurrency": concurrency,
        "req_rate": rate,
        "requests": params.num_prompts,
        "client": "sglang-bench",
        **chosen(params, "isl", "osl", "warmup_requests", "random_range_ratio", "dataset_name", "dataset_path"),
        **chosen(params, "seed", "ignore_eos", "use_chat_template", *LIMITS),
        **({"sglang_args": given} if given else {}),
        "client_seed": client_seed(params.seed, concurrency, rate, params.isl, params.osl),
    }
    return Step(
        name=name,
        benchmark=SglangBench.type,
        argv=sglang_client.command(
            context, params, settings, {"dataset-path": params.dataset_path} | given, dataset=params.dataset_name
        ),
        slot=context.slot,
        outputs=sglang_client.OUTPUTS,
        timeout_s=params.timeout_s,
        expected_requests=params.num_prompts,
        settings=settings,
        image=params.container_image or "",
    )
