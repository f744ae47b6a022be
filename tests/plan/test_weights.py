"""Where workers and clients find the model, and the tasks that get it there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from srtctl.benchmarks import BENCHMARKS
from srtctl.plan.build import build_plan, build_steps
from srtctl.plan.model import Plan, Process, Step
from srtctl.plan.weights import PREPARE_S, hub_id_of
from srtctl.schema import JobConfig

from .jobs import MODEL, PROGRAMS, disagg


def sglang(**values: Any) -> JobConfig:
    return disagg(backend="sglang", **values)


def plan_of(made: JobConfig, model: str = MODEL, tokenizer: str | None = None) -> Plan:
    return build_plan(made, PROGRAMS, "d0", model_path=model, tokenizer_path=tokenizer or model)


def tasks(plan: Plan) -> dict[str, Process]:
    return {process.name: process for process in plan.processes if process.name.startswith("weights")}


def order(task: Process) -> Any:
    return json.loads(task.argv[-1])


def path_of(plan: Plan, name: str) -> str:
    argv = plan.process(name).argv
    return argv[argv.index("--model-path") + 1]


def client(made: JobConfig, plan: Plan, tokenizer: str, kind: str = "sglang-bench") -> str:
    made.benchmark = BENCHMARKS["sa-bench"].params(isl=8, osl=8, concurrencies=[1], client=kind)  # type: ignore[call-arg]
    step: Step = build_steps(made, plan, PROGRAMS, "c0", tokenizer_path=tokenizer).steps[0]
    return step.argv[step.argv.index("--tokenizer") + 1]


def test_a_directory_needs_nothing() -> None:
    plan = plan_of(sglang())
    assert tasks(plan) == {}
    assert path_of(plan, "prefill0") == MODEL
    assert plan.process("prefill0").env["HF_HUB_OFFLINE"] == "1"
    assert plan.budgets.prepare_s == 3600


def test_a_model_of_the_hub_is_fetched_once_a_node_and_by_the_first_node_first() -> None:
    made = sglang(prefill_workers=2, gpus_per_prefill=2)
    made.environment = {"HF_HOME": "/shared/hf"}
    made.model.revision = "v2"
    plan = plan_of(made, "acme/big")
    found = tasks(plan)
    assert sorted(found) == ["weights0", "weights1"]
    assert found["weights0"].argv[:3] == ("/opt/sglang/bin/python", "@allocation@/orchestrator.pyz", "--fetch")
    assert (found["weights0"].needs, found["weights1"].needs) == ((), ("weights0",))
    assert order(found["weights0"])["models"] == [
        {"repo": "acme/big", "revision": "v2", "weights": True, "link": "@scratch:slot0@/models/big",
         "tokenizer": "@scratch:slot0@/tokenizers/big"},
    ]  # fmt: skip
    assert order(found["weights1"])["models"] == [
        {"repo": "acme/big", "revision": "v2", "weights": True, "link": "@scratch:slot1@/models/big"},
    ]
    assert found["weights0"].env["HF_HOME"] == "/shared/hf"
    assert "HF_HUB_OFFLINE" not in found["weights0"].env
    for name, slot in (("prefill0", 0), ("prefill1", 0), ("decode0", 1)):
        process = plan.process(name)
        assert path_of(plan, name) == f"@scratch:slot{slot}@/models/big"
        assert f"weights{slot}" in process.needs
        assert process.env["HF_HUB_OFFLINE"] == process.env["TRANSFORMERS_OFFLINE"] == "1"
    assert plan.budgets.prepare_s == PREPARE_S
    assert client(made, plan, "acme/big") == "@scratch:slot0@/tokenizers/big"


def test_a_simulated_engine_needs_only_the_small_files() -> None:
    (task, *_) = tasks(plan_of(disagg(), "acme/big")).values()
    assert task.argv[0] == "/opt/dynamo/bin/python"
    assert "weights" not in order(task)["models"][0]


def test_a_tokenizer_of_the_hub_for_a_model_on_disk() -> None:
    made = sglang()
    plan = plan_of(made, MODEL, "acme/words")
    (task,) = tasks(plan).values()
    assert order(task)["models"] == [{"repo": "acme/words", "tokenizer": "@scratch:slot0@/tokenizers/words"}]
    assert client(made, plan, "acme/words") == "@scratch:slot0@/tokenizers/words"


def test_draft_models_are_fetched_too_because_workers_ask_nobody() -> None:
    made = sglang()
    made.backend.sglang_config.decode = {"speculative-draft-model-path": "acme/draft"}
    found = tasks(plan_of(made))
    assert sorted(found) == ["weights0", "weights1"]
    assert order(found["weights1"])["models"] == [{"repo": "acme/draft", "weights": True}]


def test_staging_copies_once_a_node_on_the_bare_node() -> None:
    made = sglang(prefill_workers=2, gpus_per_prefill=2)
    made.model.stage_dir = "/raid/models/"
    plan = plan_of(made)
    found = tasks(plan)
    assert sorted(found) == ["weights0", "weights1"]
    assert found["weights0"].argv[:5] == ("@python@", "-I", "-S", "@allocation@/orchestrator.pyz", "--stage")
    assert not found["weights0"].container
    target = order(found["weights0"])["target"]
    assert target.startswith("/raid/models/tiny-")
    assert order(found["weights1"])["target"] == target
    assert order(found["weights0"])["source"] == MODEL
    assert {path_of(plan, name) for name in ("prefill0", "prefill1", "decode0")} == {target}
    assert "weights1" in plan.process("decode0").needs
    assert client(made, plan, MODEL) == MODEL
    other = order(tasks(plan_of(made, "/elsewhere/tiny"))["weights0"])["target"]
    assert other != target  # another model of the same name


def test_a_model_of_the_hub_is_staged_from_the_cache() -> None:
    made = sglang()
    made.model.stage_dir = "/raid"
    plan = plan_of(made, "acme/big")
    (model,) = order(tasks(plan)["weights1"])["models"]
    assert model == {"repo": "acme/big", "weights": True, "stage": path_of(plan, "decode0")}
    assert path_of(plan, "decode0").startswith("/raid/big-")


def contained(**values: Any) -> JobConfig:
    made = sglang(**values)
    made.cluster.container_runtime, made.model.container = "pyxis", "/image.sqsh"
    return made


@pytest.mark.parametrize(
    ("tokenizer", "inside", "mounts"),
    [
        (MODEL, "/model", {(MODEL, "/model")}),
        ("/tok", "/tokenizer", {(MODEL, "/model"), ("/tok", "/tokenizer")}),
        ("acme/words", "@scratch:slot0@/tokenizers/words", {(MODEL, "/model")}),
    ],
)
def test_a_client_finds_the_tokenizer_inside_and_outside(tokenizer: str, inside: str, mounts: set[Any]) -> None:
    made = contained()
    plan = plan_of(made, MODEL, tokenizer)
    assert set(plan.container.mounts) == mounts
    assert client(made, plan, tokenizer) == inside
    assert client(made, plan, tokenizer, "aiperf") == (tokenizer if tokenizer.startswith("/") else inside)


def test_in_containers() -> None:
    made = contained()
    made.model.stage_dir = "/raid"
    plan = plan_of(made)
    assert {("/raid", "/raid"), (MODEL, "/model")} <= set(plan.container.mounts)
    assert plan.directories == ("/raid",)  # a mount of what isn't there would fail, and nodes have it not at first
    assert "image0" not in tasks(plan)["weights0"].needs, "it copies while the image is imported"
    assert {"image0", "weights0"} <= set(plan.process("prefill0").needs)
    fetched = tasks(plan_of(contained(), "acme/big"))["weights0"]
    assert fetched.argv[0] == "python3"
    assert fetched.needs == ("image0",)


@pytest.mark.parametrize(
    ("value", "found"),
    [("acme/big", "acme/big"), ("hf:acme/big", "acme/big"), ("/models/big", None), ("./a/b", None), ("big", None),
     ("a/b/c", None), (3, None), (None, None)],
)  # fmt: skip
def test_names_of_the_hub(value: object, found: str | None) -> None:
    assert hub_id_of(value) == found


@pytest.mark.parametrize("tokenizer", [MODEL, "acme/words"])
def test_a_trace_is_replayed_with_the_tokenizer_in_a_cache_of_its_own(tokenizer: str) -> None:
    """aiperf's processes that make texts refuse a directory; see `with_cached_tokenizer`."""
    made = sglang()
    made.benchmark = BENCHMARKS["trace-replay"].params(trace_file="/traces/t.jsonl")  # type: ignore[call-arg]
    plan = plan_of(made, MODEL, tokenizer)
    (step,) = build_steps(made, plan, PROGRAMS, "c0", tokenizer_path=tokenizer).steps
    where = tokenizer if tokenizer.startswith("/") else "@scratch:slot0@/tokenizers/words"
    assert step.argv[4] == where
    assert step.argv[step.argv.index("--tokenizer") + 1] == "srtctl/tokenizer"
