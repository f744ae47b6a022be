"""`lm-eval`: tasks of lm-evaluation-harness, asked over HTTP; one measurement for each, one row for each of its scores.

The harness brings its own prompts, examples and scoring, so its scores may be laid beside published ones. Its data sets
come from a directory of task files (`include_path`), or from a cache of the hub's that was filled before (`hf_home`).

It asks again when a request fails, and says so in its log only. Tries that failed are counted from there: a row whose
requests needed a second one is as invalid as any other row with failed requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Type

from srtctl.benchmarks.base import ClientContext, DataFile
from srtctl.benchmarks.load import chosen, missing
from srtctl.benchmarks.measurement import summarise_errors
from srtctl.benchmarks.options import canonical, owned, words
from srtctl.errors import Problem, Severity
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig
from srtctl.schema.fields import key

DIRECTORY = "lm_eval"
LOG = "client.log"
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE", "TRANSFORMERS_OFFLINE")
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FAILED_TRY = re.compile(r"\] Exception:(.*), retrying\.$", re.MULTILINE)
_REQUEST = re.compile(r"RequestInfo\(.*\), \(\), |, headers=<.*")  # of a failed try's text, what says nothing about it
_OWNED = {
    "model": "benchmark.use_chat_template decides between chats and plain completions",
    "model-args": "set benchmark.model_args",
    "gen-kwargs": "set benchmark.gen_kwargs",
    "tasks": "set benchmark.tasks",
    "include-path": "set benchmark.include_path",
    "num-fewshot": "set benchmark.num_fewshot",
    "limit": "set benchmark.limit",
    "apply-chat-template": "benchmark.use_chat_template decides it",
    "output-path": "its files are in the measurement's directory",
    "log-samples": "every answer is always written",
    "config": "every option has a name of its own",
    "use-cache": "an answer from a cache says nothing about these servers",
    "predict-only": "then there is no score",
}
_ALIASES = {
    "M": "model", "a": "model-args", "t": "tasks", "L": "limit", "f": "num-fewshot", "o": "output-path",
    "s": "log-samples", "c": "use-cache", "C": "config", "x": "predict-only",
}  # fmt: skip
_MODEL_OWNED = {
    "base-url": "requests go to the job's own frontends",
    "model": "set model.served_name",
    "pretrained": "set model.served_name",
    "num-concurrent": "set benchmark.num_concurrent",
    "max-retries": "set benchmark.max_retries",
    "timeout": "set benchmark.request_timeout_s",
    "max-gen-toks": "set benchmark.max_tokens",
}


@dataclass
class LmEvalConfig(BenchmarkConfig):
    """`lm-eval`: tasks of lm-evaluation-harness."""

    type: str = key("lm-eval", "Tasks of lm-evaluation-harness, for their scores.", allowed=("lm-eval",))
    tasks: List[str] = key([], "Tasks or groups of tasks, one measurement each, such as gsm8k.")
    include_path: Optional[str] = key(None, "Directory of further task files, on the client's node.")
    hf_home: Optional[str] = key(None, "Directory on the client's node where the hub's libraries keep what they got.")
    download: bool = key(False, "Let the harness download data sets at the beginning, while the servers wait.")
    num_fewshot: Optional[int] = key(None, "Solved examples before each question; unset: the task's own.", minimum=0)
    limit: Optional[float] = key(
        None, "Questions of a task, or the part of them when below 1; unset for all.", minimum=0
    )
    num_concurrent: int = key(64, "Requests in flight.", minimum=1)
    use_chat_template: bool = key(True, "Send chat requests; false sends plain completions.")
    max_tokens: Optional[int] = key(None, "Longest answer where the task names none.", unit="tokens", minimum=1)
    max_retries: int = key(3, "How often a request is tried before the measurement fails.", minimum=1)
    request_timeout_s: int = key(3600, "Longest time of a request.", unit="s", minimum=1)
    gen_kwargs: Dict[str, Any] = key({}, "Sampling, in the place of the task's own, such as temperature: 0.6.")
    model_args: Dict[str, Any] = key({}, "Further arguments of the harness's client: name -> value.")
    lm_eval_args: Dict[str, Any] = key(
        {}, "Further options of the harness: name -> value; true for one without a value."
    )


class LmEval:
    """Registry entry."""

    type = "lm-eval"
    params: Type[BenchmarkConfig] = LmEvalConfig
    programs = ("lm_eval",)

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        problems = owned("benchmark.lm_eval_args", params.lm_eval_args, _OWNED, _ALIASES)
        problems += owned("benchmark.model_args", params.model_args, _MODEL_OWNED, {})
        if not params.tasks:
            problems.append(missing(self.type, "tasks", "give benchmark.tasks=[gsm8k]; `lm_eval ls tasks` lists them"))
        for number, task in enumerate(params.tasks):
            if not _TASK.fullmatch(task) or task in params.tasks[:number]:
                message = "stands there twice" if task in params.tasks[:number] else "is no name of a task or a group"
                hint = "for a task file of your own give its directory: benchmark.include_path=…"
                problems.append(Problem("task-name", message, "benchmark.tasks", task, hint=hint))
        return problems + self._data_problems(params)

    def _data_problems(self, params: Any) -> list[Problem]:
        if params.download:
            message = "the harness downloads what it has not got, while the servers wait"
            return [Problem("download", message, "benchmark.download", True, severity=Severity.WARNING)]
        if not (params.hf_home or params.include_path):
            hint = (
                "give benchmark.hf_home=… that was filled before (docs: Benchmarks), or "
                "benchmark.include_path=… with tasks whose data are files; or set benchmark.download=true"
            )
            return [missing(self.type, "hf_home", hint)]
        return []

    def data_files(self, params: Any) -> list[DataFile]:
        """Directories of tasks and of data sets."""
        wanted = {"include_path": _fault_of_tasks, "hf_home": _fault_of_directory}
        if params.download:
            del wanted["hf_home"]  # made when needed
        return [
            DataFile(f"benchmark.{name}", getattr(params, name), fault)
            for name, fault in wanted.items()
            if getattr(params, name)
        ]

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step for each task."""
        steps = tuple(_step(params, context, task) for task in params.tasks)
        return PointSteps(context.config_id, self.type, steps, unset_env=OFFLINE if params.download else ())

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """One measurement for each score of the task; see `_measurements`.

        Raises:
            ValueError: The harness left no result, or none of the task.
        """
        files = sorted(directory.glob(f"{DIRECTORY}/*/results_*.json"))
        if not files:
            raise ValueError(f"{directory}/{DIRECTORY} holds no results_*.json: nothing was scored; see the log")
        try:
            result = json.loads(files[-1].read_text(encoding="utf-8"))
            failed = _failed_tries(directory / LOG)
            found = [one | failed for one in _measurements(files[-1].parent, step.name, result)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{files[-1]}: not a result of lm-eval ({error!r})") from error
        if not found:
            raise ValueError(f"{files[-1]} holds no score of {step.name}")
        return found

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """The harness writes nothing before its end."""
        return None


def _fault_of_directory(path: Path) -> str:
    return "" if path.is_dir() else "is no directory"


def _fault_of_tasks(path: Path) -> str:
    if not path.is_dir():
        return "is no directory"
    return "" if next(path.glob("**/*.yaml"), None) else "holds no task: no .yaml file is in it"


def _step(params: Any, context: ClientContext, task: str) -> Step:
    chat = params.use_chat_template
    client = {
        "model": context.model,
        "base_url": f"http://{context.endpoint}/v1/{'chat/completions' if chat else 'completions'}",
        "num_concurrent": params.num_concurrent,
        "max_retries": params.max_retries,
        "timeout": params.request_timeout_s,
        "max_gen_toks": params.max_tokens,
        "tokenizer_backend": "none",  # texts are sent as they are; the server counts tokens
        **params.model_args,
    }
    options = {
        "model": "local-chat-completions" if chat else "local-completions",
        "model_args": _values(client),
        "tasks": task,
        "include_path": params.include_path,
        "num_fewshot": params.num_fewshot,
        "limit": params.limit,
        "apply_chat_template": chat,
        "gen_kwargs": _values(params.gen_kwargs) if params.gen_kwargs else None,
        "output_path": DIRECTORY,
        "log_samples": True,
        **{name.lstrip("-").replace("-", "_"): value for name, value in params.lm_eval_args.items()},
    }
    names = ("num_fewshot", "limit", "use_chat_template", "max_tokens", "max_retries", "include_path", "hf_home")
    further = {name: getattr(params, name) for name in ("gen_kwargs", "model_args", "lm_eval_args")}
    settings = {"task": task, "concurrency": params.num_concurrent, "client": "lm-eval", **chosen(params, *names)}
    return Step(
        name=task,
        benchmark=LmEval.type,
        argv=(context.programs.path("lm_eval"), "run", *words(options)),
        env=_environment(params, context),
        slot=context.slot,
        timeout_s=params.timeout_s,
        settings=settings | {name: value for name, value in further.items() if value},
        container=False,  # it has an environment of its own, outside the engine's image
    )


def _environment(params: Any, context: ClientContext) -> dict[str, str]:
    found = {"TMPDIR": f"@scratch:slot{context.slot}@"}
    if params.hf_home:
        found["HF_HOME"] = params.hf_home
    return found if params.download else found | dict.fromkeys(OFFLINE, "1")


def _values(values: Mapping[str, Any]) -> str:
    """As one JSON object, which keeps commas, lists and types."""
    named = {canonical(name, {}).replace("-", "_"): value for name, value in values.items() if value is not None}
    return json.dumps(named, ensure_ascii=False)


def _measurements(directory: Path, task: str, result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A score is a metric after a filter, such as `exact_match,strict-match`; a group has those that it sums up."""
    scores: Mapping[str, Any] = {**result["results"], **result.get("groups", {})}
    members = [name for name in _members(result.get("group_subtasks", {}), task) if name in result["n-samples"]]
    samples = [sample for name in members for sample in _samples(directory, name)]
    asked = sum(result["n-samples"][name]["effective"] for name in members)
    for name, value in scores[task].items():
        metric, _, chain = name.partition(",")
        if not chain or metric.endswith("_stderr") or isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        error = scores[task].get(f"{metric}_stderr,{chain}")
        each = {m: scores[m][name] for m in members if name in scores.get(m, {})}
        yield {
            "measurement": task,
            "score_name": metric if chain == "none" else f"{metric} ({chain})",
            "score": value,
            "score_stderr": error if isinstance(error, (int, float)) else None,
            "score_n": asked,
            "answers_unreadable": sum(_unreadable(s) for s in samples if s.get("filter") == chain),
            "requests_completed": sum(_requests(s) for s in samples if s.get("filter") == chain),
            "client": {"name": "lm-eval", "version": result.get("lm_eval_version")},
            "settings": {
                "questions_in_dataset": sum(result["n-samples"][name]["original"] for name in members),
                "num_fewshot": result.get("n-shot", {}).get(task),
                "task_version": result.get("versions", {}).get(task),
                **({"score_by_category": each} if len(each) > 1 else {}),
            },
        }


def _members(groups: Mapping[str, Any], task: str) -> Iterator[str]:
    """The tasks of a group, through the groups in it; a task alone is its own."""
    below = groups.get(task) or ()
    if not below:
        yield task
    for name in below:
        yield from _members(groups, name)


def _samples(directory: Path, task: str) -> Iterator[dict[str, Any]]:
    """The answers to a task, one for each question and filter."""
    name = re.sub(r"\W", "_", task)  # as the harness names its files
    for path in directory.glob(f"samples_{name}_2[0-9][0-9][0-9]-*.jsonl"):
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _requests(sample: Mapping[str, Any]) -> int:
    """How many answers are behind it: one for each repetition, and for each choice where likelihoods are asked for."""
    return sum(len(answers) for answers in sample.get("resps") or ())


def _failed_tries(log: Path) -> dict[str, Any]:
    try:
        found = _FAILED_TRY.findall(log.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return {"errors": []}
    return {"requests_failed": len(found), "errors": summarise_errors(_REQUEST.sub("", text) for text in found)}


def _unreadable(sample: Mapping[str, Any]) -> bool:
    return all(answer == "[invalid]" for answer in sample.get("filtered_resps") or ())
