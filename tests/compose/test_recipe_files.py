"""Whole job files of srt-slurm: workers on GPUs, flags, variables, frontends and nodes, written down by hand.

Placements follow the format's packing rules, not our code: GPUs of a worker are its nodes' GPUs over the workers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from srtctl.errors import Severity
from srtctl.plan.model import Plan, Process
from srtctl.prepare import PreparedPoint
from tests.compose.files import FILES, HOME, RECIPES, on_cluster, prepared


@pytest.fixture(autouse=True)
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    on_cluster(monkeypatch)


def one(name: str, selector: str = "", number: int = 0) -> PreparedPoint:
    return prepared(RECIPES / f"{name}.yaml", selector)[number]


def workers(plan: Plan) -> list[str]:
    """`P0 n0{0,1}`: role and number, then each rank's node and GPUs."""
    letters = {"prefill": "P", "decode": "D", "aggregated": "A"}
    found = []
    for worker in plan.workers:
        ranks = " ".join(f"n{rank.slot}{{{_range(rank.gpus)}}}" for rank in worker.ranks)
        found.append(f"{letters[worker.role]}{worker.index} {ranks}")
    return found


def _range(gpus: tuple[int, ...]) -> str:
    whole = len(gpus) > 2 and gpus == tuple(range(gpus[0], gpus[-1] + 1))
    return f"{gpus[0]}-{gpus[-1]}" if whole else ",".join(map(str, gpus))


def process(plan: Plan, name: str) -> Process:
    return next(process for process in plan.processes if process.name == name)


def nodes(plan: Plan) -> dict[str, list[int]]:
    roles = ("head", "infra", "frontend", "client", "worker")
    return {role: [slot.index for slot in plan.slots if role in slot.serves] for role in roles}


def whole(first: int, last: int, gpus: int) -> str:
    """Ranks over whole nodes."""
    return " ".join(f"n{node}{{0-{gpus - 1}}}" for node in range(first, last + 1))


PLACEMENTS: Mapping[str, list[str]] = {
    "h200-agg-tp8": ["A0 n0{0-7}"],
    "h200-1p1d-dep-mtp": ["P0 n0{0-7}", "D0 n1{0-7}"],
    "h200-lowlat-1p7d": ["P0 n0{0-7}", *(f"D{n} n{n + 1}{{0-7}}" for n in range(7))],
    "h100-1p1d-dep16": ["P0 n0{0-7} n1{0-7}", "D0 n2{0-7} n3{0-7}"],
    "h100-blog-post": ["P0 n0{0-7} n1{0-7}", "D0 n2{0-7} n3{0-7}"],
    "gb200-fp8-max-tpt": ["P0 n0{0-3} n1{0-3}", "P1 n2{0-3} n3{0-3}", f"D0 {whole(4, 11, 4)}"],
    "gb200-fp8-8k1k": [*(f"P{n} {whole(2 * n, 2 * n + 1, 4)}" for n in range(6)), f"D0 {whole(12, 17, 4)}"],
    "gb200-fp4-max-tpt": [*(f"P{n} n{n}{{0-3}}" for n in range(10)), f"D0 {whole(10, 17, 4)}"],
    "gb200-fp4-lowlat": ["P0 n0{0-3}", *(f"D{n} n{n + 1}{{0-3}}" for n in range(4))],
    "b200-fp8-1p2d": ["P0 n0{0-7}", "D0 n1{0-7}", "D1 n2{0-7}"],
    "deepseek-v4-4p1d": [*(f"P{n} {whole(2 * n, 2 * n + 1, 4)}" for n in range(4)), f"D0 {whole(8, 11, 4)}"],
    # two nodes of eight GPUs over eight workers: two GPUs each, four workers a node
    "qwen3-agg-8xtp2": [f"A{n} n{n // 4}{{{2 * (n % 4)},{2 * (n % 4) + 1}}}" for n in range(8)],
    "qwen3-router": [f"A{n} n{n // 4}{{{2 * (n % 4)},{2 * (n % 4) + 1}}}" for n in range(8)],
    # 2 x 8 // 6 = 2 GPUs; decode has no nodes, takes prefill's size and what is left of its nodes
    "qwen3-6p2d-shared": ["P0 n0{0,1}", "P1 n0{2,3}", "P2 n0{4,5}", "P3 n0{6,7}", "P4 n1{0,1}", "P5 n1{2,3}",
                          "D0 n1{4,5}", "D1 n1{6,7}"],
    "mocker-agg": ["A0 n0{0-7}"],
    "mocker-every-key": ["P0 n0{0-3}", "P1 n0{4-7}", "D0 n1{0,1}", "D1 n1{2,3}", "D2 n1{4,5}", "D3 n1{6,7}"],
    "early-gb200": ["P0 n0{0-3}", "D0 n1{0-3} n2{0-3}"],
    "early-manual": ["A0 n0{0-3}", "A1 n1{0-3}"],
    "spread": ["P0 n0{0}", "D0 n1{0,1}", "D1 n2{0,1}"],
    "het": [*(f"P{n} n{n}{{0-3}}" for n in range(12)), *(f"D{n} n{n + 12}{{0-3}}" for n in range(10))],
    "kv-events-by-mode": ["P0 n0{0,1}", "P1 n0{2,3}", "D0 n1{0,1}", "D1 n1{2,3}"],
    "dedicated-nodes": ["P0 n2{0-7}", "D0 n3{0-7}"],
    "dedicated-together": ["P0 n1{0-7}", "D0 n2{0-7}"],
    "custom-benchmark": ["A0 n0{0-3}", "A1 n0{4-7}"],
    "profiling-torch": ["P0 n0{0-7}", "D0 n1{0-7}"],
    "locked": ["A0 n0{0-7}"],
}  # fmt: skip


@pytest.mark.parametrize("name", PLACEMENTS)
def test_workers_stand_where_they_stood(name: str) -> None:
    plan = one(name).plan
    assert workers(plan) == PLACEMENTS[name]
    for worker in plan.workers:
        part = len(worker.ranks) == 1 and worker.gpu_count < plan.slots[worker.ranks[0].slot].gpus
        seen = process(plan, worker.name).env.get("CUDA_VISIBLE_DEVICES")
        assert seen == (",".join(map(str, worker.ranks[0].gpus)) if part else None)


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_a_job(name: str) -> None:
    points = prepared(RECIPES / name)
    assert points
    for point in points:
        assert all(problem.severity is not Severity.ERROR for problem in point.problems)


@pytest.mark.parametrize(
    ("name", "frontends", "nginx"),
    [
        ("h200-agg-tp8", [0], None),  # one node: no nginx
        ("h200-1p1d-dep-mtp", [0], None),  # several frontends switched off
        ("gb200-fp8-max-tpt", [*range(1, 11)], 0),  # nine more than one, on twelve nodes
        ("gb200-fp8-8k1k", [1, 2, 3, 4, 5], 0),
        ("h100-1p1d-dep16", [1, 2, 3], 0),
        ("early-gb200", [1, 2], 0),  # one more, said where early files say it
        ("early-manual", [1], 0),
        ("qwen3-router", [0], None),
    ],
)
def test_frontends_and_nginx(name: str, frontends: list[int], nginx: int | None) -> None:
    plan = one(name).plan
    assert [p.slot for p in plan.processes if p.role == "frontend"] == frontends
    assert [p.slot for p in plan.processes if p.role == "nginx"] == ([] if nginx is None else [nginx])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dedicated-nodes", {"infra": [0], "head": [1], "frontend": [1], "worker": [2, 3], "client": [4]}),
        ("dedicated-together", {"infra": [0], "head": [0], "frontend": [0], "worker": [1, 2], "client": [0]}),
        ("beside-decode", {"infra": [0], "head": [2], "frontend": [2], "worker": [0, 1, 2, 3, 4], "client": [4]}),
        ("h200-agg-tp8", {"infra": [0], "head": [0], "frontend": [0], "worker": [0], "client": [0]}),
    ],
)
def test_nodes_with_roles(name: str, expected: dict[str, list[int]]) -> None:
    assert nodes(one(name).plan) == expected


def test_a_heterogeneous_job_has_two_components() -> None:
    plan = one("het").plan
    assert [slot.het_group for slot in plan.slots] == [0] * 12 + [1] * 10


def flags(argv: tuple[str, ...]) -> dict[str, list[str]]:
    """Flag -> its values."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for word in argv:
        if word.startswith("--"):
            current = found.setdefault(word, [])
        else:
            current.append(word)
    return found


def test_flags_of_a_worker_on_one_node() -> None:
    argv = process(one("h200-agg-tp8").plan, "aggregated0").argv
    assert argv[:3] == ("python3", "-m", "dynamo.sglang")
    found = flags(argv)
    assert found["--model-path"] == ["/model"]
    assert found["--served-model-name"] == ["deepseek-ai/DeepSeek-R1"]
    assert argv.count("--served-model-name") == 1
    assert found["--tp-size"] == ["8"]
    assert found["--disable-radix-cache"] == []
    assert found["--mem-fraction-static"] == ["0.82"]
    assert "--dist-init-addr" not in found
    assert "--disaggregation-mode" not in found


def test_flags_of_workers_over_several_nodes() -> None:
    plan = one("h100-1p1d-dep16").plan
    for rank, name in enumerate(("decode0", "decode0-rank1")):
        found = flags(process(plan, name).argv)
        assert found["--dist-init-addr"] == ["@host:slot2@:@port:decode0/dist-init@"]
        assert (found["--nnodes"], found["--node-rank"]) == (["2"], [str(rank)])
        assert found["--disaggregation-mode"] == ["decode"]
        assert found["--enable-dp-attention"] == []
        assert "--enable-metrics" not in found  # null
    prefill = process(plan, "prefill0-rank1").argv
    assert flags(prefill)["--disaggregation-bootstrap-port"] == ["@port:prefill0/bootstrap@"]
    assert prefill.count("--disaggregation-bootstrap-port") == 1  # the recipe's 30001 is not doubled
    assert "--enable-metrics" not in prefill  # false


def test_lists_and_texts_of_flags() -> None:
    decode = flags(process(one("gb200-fp8-max-tpt").plan, "decode0").argv)
    assert decode["--cuda-graph-bs"] == ["1", "2", "4", "8", "16", "24", "768"]
    agg = flags(process(one("qwen3-agg-8xtp2").plan, "aggregated0").argv)
    assert json.loads(agg["--json-model-override-args"][0]) == {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}
    custom = flags(process(one("custom-benchmark").plan, "aggregated0").argv)
    assert custom["--enable-metrics"] == []  # written enable_metrics


def test_host_and_mode_are_not_doubled() -> None:
    argv = process(one("early-gb200").plan, "decode0").argv
    assert argv.count("--host") == argv.count("--disaggregation-mode") == 1
    assert flags(argv)["--host"] == ["@host:slot1@"]


def test_variables_of_workers_and_frontends() -> None:
    plan = one("gb200-fp8-max-tpt").plan
    prefill, decode = process(plan, "prefill0").env, process(plan, "decode0").env
    assert (prefill["MC_FORCE_MNNVL"], decode["MC_FORCE_MNNVL"]) == ("1", "1")
    assert "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK" not in prefill
    assert decode["SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK"] == "768"
    assert prefill["DYN_REQUEST_PLANE"] == "nats"
    lowlat = process(one("gb200-fp4-lowlat").plan, "decode2").env
    assert (lowlat["HOSTNAME_OF_NODE"], lowlat["WHERE"]) == ("@node:slot3@-3", "3/{job}")
    assert process(one("gb200-fp4-lowlat").plan, "frontend1").env["WHERE"] == "2/{job}"
    v4 = process(one("deepseek-v4-4p1d").plan, "frontend0")
    assert v4.env["DYN_LOG"] == "warn"
    assert flags(v4.argv)["--router-kv-overlap-score-weight"] == ["0"]
    assert flags(v4.argv)["--no-kv-events"] == []


def test_key_value_events() -> None:
    plan = one("qwen3-6p2d-shared").plan
    for name in ("prefill0", "decode1"):
        events = json.loads(flags(process(plan, name).argv)["--kv-events-config"][0])
        endpoint = f"tcp://*:@port:{name}/kv-events@"
        assert events == {"publisher": "zmq", "topic": "kv-events", "endpoint": endpoint}
    by_mode = one("kv-events-by-mode").plan
    topics = {n: json.loads(flags(process(by_mode, n).argv)["--kv-events-config"][0])["topic"]
              for n in ("prefill0", "decode0")}  # fmt: skip
    assert topics == {"prefill0": "kv-events", "decode0": "decode-events"}
    agg = one("qwen3-agg-8xtp2").plan
    assert "--kv-events-config" in process(agg, "aggregated7").argv
    assert process(agg, "frontend0").env["DYN_EVENT_PLANE"] == "zmq"


def test_a_router_of_sglang_needs_no_services() -> None:
    plan = one("qwen3-router").plan
    assert not [p for p in plan.processes if p.role in ("etcd", "nats")]
    assert process(plan, "aggregated0").argv[2] == "sglang.launch_server"
    router = process(plan, "frontend0").argv
    assert router[2] == "sglang_router.launch_router"
    assert flags(router)["--policy"] == ["cache_aware"]
    assert len(flags(router)["--worker-urls"]) == 8


def test_every_key_of_the_mocker() -> None:
    found = flags(process(one("mocker-every-key").plan, "prefill0").argv)
    expected = {
        "--engine-type": "vllm", "--speedup-ratio": "10.0", "--decode-speedup-ratio": "2.0",
        "--num-gpu-blocks-override": "8192", "--max-num-seqs": "128", "--max-num-batched-tokens": "4096",
        "--block-size": "32", "--data-parallel-size": "2", "--startup-time": "0.5", "--kv-transfer-bandwidth": "64.0",
        "--kv-cache-dtype": "fp8_e4m3", "--preemption-mode": "lifo", "--stagger-delay": "0.1",
    }  # fmt: skip
    assert {flag: found[flag][0] for flag in expected} == expected
    assert found["--enable-prefix-caching"] == found["--no-enable-chunked-prefill"] == []


def test_deadline_of_the_servers() -> None:
    assert one("h100-1p1d-dep16").plan.budgets.ready_s == 3600.0  # 360 x 10 s
    assert one("h200-agg-tp8").plan.budgets.ready_s == 1800.0


def test_images_mounts_and_options_of_steps() -> None:
    point = one("custom-benchmark")
    plan = point.plan
    assert plan.container.image == "lmsysorg/sglang:v0.5.8-cu130"
    assert dict(plan.container.mounts) == {
        "/shared/models/DeepSeek-R1-0528": "/model",
        "/shared/tools": "/tools",
        f"{HOME}/data": "/data:ro",
        f"{HOME}/cache": "/cache",
    }
    assert plan.srun_options == {"mpi": "pmix", "oversubscribe": None}
    assert process(plan, "aggregated0").setup == ("bash", "setup_script.sh")
    assert process(plan, "aggregated0").env["SPECIAL"] == "a${b}c"
    step = point.steps.steps[0]
    assert (step.image, step.env["LABEL"]) == ("python:3.12", "nightly")
    assert "{isl} stays" in step.argv[2]


def test_what_the_client_is_asked_for() -> None:
    ladder = [step.settings for step in one("early-gb200").steps.steps]
    assert [(s["concurrency"], s["requests"], s["warmup_requests"]) for s in ladder] == [
        (1, 10, 2),
        (4, 40, 8),
        (8, 80, 16),
    ]
    assert [s.settings["req_rate"] for s in one("gb200-fp4-max-tpt").steps.steps] == [700]
    tokenizers = [p for p in one("deepseek-v4-4p1d").problems if p.key == "benchmark.custom_tokenizer"]
    assert [p.message for p in tokenizers] == [
        "has no effect: deepseek_v4 is code of srt-slurm's client; the model's own tokenizer is used"
    ]
    assert one("deepseek-v4-4p1d").job.benchmark.custom_tokenizer is None  # type: ignore[attr-defined]
    v4 = one("deepseek-v4-4p1d").steps.steps[0].settings
    assert (v4["requests"], v4["warmup_requests"]) == (5 * 4096, 4096)


@pytest.mark.parametrize(
    ("selector", "names", "decode_gpus"),
    [
        ("base", ["dsr1"], [64]),
        ("override_small", ["dsr1_small"], [16]),
        ("zip_override_scale", ["dsr1_scale_0", "dsr1_scale_1", "dsr1_scale_2"], [8, 16, 32]),
        ("zip_override_scale[2]", ["dsr1_scale_2"], [32]),
        ("zip_*", ["dsr1-mem-low", "dsr1-mem-high", "dsr1_scale_0", "dsr1_scale_1", "dsr1_scale_2"],
         [64, 64, 8, 16, 32]),
        ("", ["dsr1_small", "dsr1-mem-low", "dsr1-mem-high", "dsr1_scale_0", "dsr1_scale_1", "dsr1_scale_2"],
         [16, 64, 64, 8, 16, 32]),
    ],
)  # fmt: skip
def test_variants_of_a_file(selector: str, names: list[str], decode_gpus: list[int]) -> None:
    points = prepared(RECIPES / "variants.yaml", selector)
    assert [point.job.name for point in points] == names
    assert [point.plan.denominators["decode"] for point in points] == decode_gpus


def test_sweeps_of_files() -> None:
    grid = prepared(RECIPES / "sweep-grid.yaml")
    found = [
        (p.job.backend.sglang_config.aggregated["mem-fraction-static"],
         p.job.backend.sglang_config.aggregated["max-running-requests"], p.job.benchmark.isl)  # type: ignore[attr-defined]
        for p in grid
    ]  # fmt: skip
    assert found == [(m, r, i) for m in (0.8, 0.85) for r in (64, 128) for i in (1024, 8192)]
    assert grid[4].job.backend.aggregated_environment == {"RUN_LABEL": "mem-0.85"}
    # points that differ only in the workload run on the same servers
    assert len({p.deployment_id for p in grid}) == 4
    unquoted = prepared(RECIPES / "sweep-unquoted.yaml")
    assert [(p.job.backend.sglang_config.aggregated["mem-fraction-static"], p.job.benchmark.concurrencies)  # type: ignore[attr-defined]
            for p in unquoted] == [(0.8, [4]), (0.85, [8])]  # fmt: skip
