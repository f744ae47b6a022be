"""What a profiler changes in a plan: the wrapper is the deployment's, the steps are the workload's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from srtctl.identity import config_id, deployment_id
from srtctl.plan.build import build_plan, build_steps
from srtctl.plan.codec import from_json, to_json
from srtctl.plan.model import Budgets, Plan, PointSteps, ProfilerTarget, Window
from srtctl.schema import JobConfig, ProfilingConfig, ProfilingPhase

from .jobs import MODEL, PROGRAMS, agg, disagg, plan_of

BOTH = {"prefill": ProfilingPhase(2, 5), "decode": ProfilingPhase(100, 110)}


def profiled(kind: str, *, frontend: str = "dynamo", **values: Any) -> JobConfig:
    made = disagg(backend="sglang", frontend=frontend)
    made.profiling = ProfilingConfig(type=kind, **(values or BOTH))
    return made


def steps_of(made: JobConfig, plan: Plan) -> PointSteps:
    return build_steps(made, plan, PROGRAMS, "c0", tokenizer_path=MODEL)


def test_nothing_changes_without_one() -> None:
    plan = plan_of(disagg(backend="sglang"))
    assert plan.profiler.type == "none"
    assert plan.profiler.targets == ()
    assert plan.budgets.stop_s == 25.0  # 20 s of SGLang's own, 5 s as everywhere
    assert plan_of(disagg(backend="mocker")).budgets == Budgets(ready_s=plan.budgets.ready_s)
    assert not any("PROFILER" in name for process in plan.processes for name in process.env)


@pytest.mark.parametrize(
    ("frontend", "port", "paths"),
    [
        # dynamo.sglang registers control/start_profile with its system server (1.4.0, 1.6.1); 0.8.1, 0.9.0, 1.0.0 and
        # 1.1.0 start_profile
        ("dynamo", "system", ("/engine/control/start_profile", "/engine/start_profile")),
        ("sglang-router", "http", ("/start_profile",)),
    ],
)
def test_torch(frontend: str, port: str, paths: tuple[str, ...]) -> None:
    made = profiled("torch", frontend=frontend)
    plan = plan_of(made)
    stops = tuple(path.replace("start", "stop") for path in paths)
    assert plan.profiler.targets == tuple(
        ProfilerTarget(name, role, name, f"@host:slot{slot}@:@port:{name}/{port}@", paths, stops)
        for slot, (name, role) in enumerate((("prefill0", "prefill"), ("decode0", "decode")))
    )
    assert plan.profiler.activities == ("CPU", "GPU")
    assert plan.process("decode0").env["SGLANG_TORCH_PROFILER_DIR"] == "@attempt@/profiles/decode0"
    assert "nsys" not in " ".join(plan.process("decode0").argv)
    assert steps_of(made, plan).windows == {"prefill": Window(2, 3), "decode": Window(100, 10)}
    assert Window(100, 10).request() == {"start_step": 100, "num_steps": 10}


def test_torch_directory_of_ones_own() -> None:
    made = profiled("torch")
    made.environment = {"SGLANG_TORCH_PROFILER_DIR": "/mine"}
    assert plan_of(made).process("decode0").env["SGLANG_TORCH_PROFILER_DIR"] == "/mine"


def test_only_leaders_are_asked() -> None:
    made = replace(
        agg(backend="sglang", agg_nodes=2), profiling=ProfilingConfig("torch", aggregated=ProfilingPhase(0, 3))
    )
    plan = plan_of(made)
    assert [target.process for target in plan.profiler.targets] == ["aggregated0"]
    assert plan.process("aggregated0-rank1").env["SGLANG_TORCH_PROFILER_DIR"] == "@attempt@/profiles/aggregated0-rank1"


def test_nsys_wraps_every_rank_of_every_worker_and_nothing_else() -> None:
    made = profiled("nsys", **BOTH, extra_nsys_args=["--sample=none"])
    made.resources.prefill_nodes = 2
    plan, bare = plan_of(made), plan_of(replace(made, profiling=ProfilingConfig()))
    wrapped = {"prefill0", "prefill0-rank1", "decode0"}
    told = dict.fromkeys(wrapped, '{"stop": "TERM", "patient": false}')
    told["prefill0-rank1"] = '{"stop": "HUP", "patient": true}'  # Dynamo's ranks that don't lead are deaf to SIGTERM
    for process in plan.processes:
        own = bare.process(process.name).argv
        if process.name not in wrapped:
            assert process.argv == own
            continue
        assert process.argv[len(process.argv) - len(own) :] == own
        assert process.argv[: len(process.argv) - len(own)] == (
            own[0], "-I", "-S", "@allocation@/orchestrator.pyz", "--recorded", told[process.name],
            "nsys", "profile", "--trace=cuda,nvtx", "--cuda-graph-trace=node", "--force-overwrite=true",
            "--kill=none", "--wait=primary", "--trace-fork-before-exec=true",
            "--capture-range=cudaProfilerApi", "--capture-range-end=repeat",
            "--sample=none", f"--output=@attempt@/profiles/{process.name}/{process.name}", "--",
        )  # fmt: skip
        assert (process.stop_wait_s, process.stop_signal) == (140.0, "URG")  # 20 s of the engine, 120 s to write
        assert process.programs == ("nsys",)
    assert plan.profiler.activities == ("CUDA_PROFILER",)
    assert plan.profiler.outputs == {
        "prefill0": ("@attempt@/profiles/prefill0", "@attempt@/profiles/prefill0-rank1"),
        "decode0": ("@attempt@/profiles/decode0",),
    }
    assert plan.budgets.stop_s == bare.budgets.stop_s + 240
    assert plan.budgets.early_warning_s == bare.budgets.early_warning_s + 240  # first the leader, then the rank


def test_nsys_by_the_clock_asks_nobody() -> None:
    made = profiled("nsys-time", delay_secs=30, duration_secs=2.5)
    plan = plan_of(made)
    argv = plan.process("prefill0").argv
    assert {"--delay=30", "--duration=2.5", "--kill=none", "--wait=primary"} <= set(argv)
    assert not any(argument.startswith("--capture-range") for argument in argv)
    at_once = plan_of(profiled("nsys-time", delay_secs=0, duration_secs=2)).process("prefill0").argv
    assert not any(argument.startswith("--delay") for argument in at_once), "nsys 2022.4 says that 0 is no delay"
    assert (plan.profiler.targets, plan.profiler.delay_s, plan.profiler.duration_s) == ((), 30.0, 2.5)
    assert steps_of(made, plan).windows == {}


def test_nsys_of_the_image_and_of_the_site() -> None:
    made = profiled("nsys")
    programs = replace(PROGRAMS, paths={**PROGRAMS.paths, "nsys": "/usr/local/cuda/bin/nsys"})
    arguments: dict[str, Any] = {"model_path": MODEL, "tokenizer_path": MODEL}
    assert build_plan(made, programs, "d0", **arguments).process("decode0").argv[6] == "/usr/local/cuda/bin/nsys"
    made.cluster.container_runtime, made.model.container = "pyxis", "/image.sqsh"
    assert build_plan(made, programs, "d0", **arguments).process("decode0").argv[6] == "nsys"
    made.cluster.tools.nsys = "/opt/nsys"
    assert build_plan(made, programs, "d0", **arguments).process("decode0").argv[6] == "/opt/nsys"


def test_the_version_of_the_engine_is_still_asked() -> None:
    made = profiled("nsys")
    made.cluster.tools.sglang_python = "/opt/sglang/bin/python"
    assert plan_of(made).process("decode0").version_argv[0] == "/opt/sglang/bin/python"


def test_wrappers_belong_to_the_deployment_and_steps_to_the_workload() -> None:
    one = profiled("torch")
    other = profiled("torch", prefill=ProfilingPhase(2, 5), decode=ProfilingPhase(7, 8))
    assert deployment_id(one, file_hashes={}) == deployment_id(other, file_hashes={})
    assert config_id(one, file_hashes={}) != config_id(other, file_hashes={})
    assert plan_of(one) == plan_of(other)
    assert steps_of(one, plan_of(one)) != steps_of(other, plan_of(other))
    for made in (profiled("nsys"), profiled("none")):
        assert deployment_id(made, file_hashes={}) != deployment_id(one, file_hashes={})


def test_json() -> None:
    made = profiled("nsys")
    plan = plan_of(made)
    assert from_json(Plan, to_json(plan)) == plan
    assert from_json(PointSteps, to_json(steps_of(made, plan))) == steps_of(made, plan)
