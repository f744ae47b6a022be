"""Plans as a whole: commands, environment, order, ports."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srtctl.backends import BACKENDS
from srtctl.backends.sglang_command import DIST_INIT_SPAN
from srtctl.plan.build import build_steps, served_name
from srtctl.plan.codec import from_json, to_json
from srtctl.plan.model import Plan, PortRequest, Process
from srtctl.plan.programs import needed
from srtctl.plan.tokens import tokens_in
from srtctl.schema import FrontendConfig, JobConfig, RoleFlags
from tests.plan.jobs import MODEL, PROGRAMS, agg, disagg, job, plan_of


def preferred(plan: Plan) -> dict[str, int]:
    return {request.name: request.preferred for request in plan.ports}


def after(process: Process, flag: str) -> str:
    return process.argv[process.argv.index(flag) + 1]


def two_per_node() -> JobConfig:
    return disagg(backend="sglang", prefill_workers=2, decode_workers=2, backend__kv_events_config=True)


OLDER = {"enable-dp-attention": True}


@pytest.mark.parametrize("flags", [{"dp-size": 8, **OLDER}, {"data-parallel-size": "8", **OLDER}, {"attn-dp-size": 8}])
def test_every_data_parallel_rank_has_its_ports(flags: dict[str, Any]) -> None:
    """The newer spelling of DP attention has as many ranks as the older one."""
    made = agg(backend="sglang", agg_nodes=2, gpus_per_agg=8, backend__kv_events_config=True)
    made.backend.sglang_config = RoleFlags(aggregated={"tp-size": 8, **flags})
    counts = {request.name: request.count for request in plan_of(made).ports}
    assert counts["aggregated0/kv-events"] == 8
    assert counts["aggregated0/dist-init"] == DIST_INIT_SPAN + 8


def test_attention_ranks_meet_where_they_are_told_on_one_node_too() -> None:
    """Unsaid, SGLang counts up from the HTTP port, where the next worker of the node may have been put."""
    made = agg(backend="sglang", gpus_per_node=8, agg_workers=2, gpus_per_agg=4)
    made.backend.sglang_config = RoleFlags(aggregated={"tp-size": 4, "attn-dp-size": 4})
    plan = plan_of(made)
    ports = {request.name: request for request in plan.ports}
    for number, name in enumerate(("aggregated0", "aggregated1")):
        assert after(plan.process(name), "--dist-init-addr") == f"@host:slot0@:@port:{name}/dist-init@"
        assert "--nnodes" not in plan.process(name).argv
        assert ports[f"{name}/dist-init"].preferred == 8300 + number * 18
        assert ports[f"{name}/dist-init"].count == 18  # up to the 13th after the first, and 4 ranks
    plain = plan_of(agg(backend="sglang", backend__sglang_config=RoleFlags({"tp-size": 4})))
    assert "--dist-init-addr" not in plain.process("aggregated0").argv


def test_replicas_find_their_own_rendezvous() -> None:
    """SGLang gives one --nccl-port to every replica, and only the first could listen there."""
    made = agg(backend="sglang", backend__kv_events_config=True)
    made.backend.sglang_config = RoleFlags(aggregated={"tp-size": 2, "dp-size": 2})
    plan = plan_of(made)
    assert not {"--nccl-port", "--dist-init-addr"} & set(plan.process("aggregated0").argv)
    assert {r.name: r.count for r in plan.ports}["aggregated0/kv-events"] == 2


@pytest.mark.parametrize(
    ("version", "args", "flags", "each"),
    [
        ("0.5.23", {}, {"tp-size": 2, "dp-size": 2}, 1),
        ("0.5.23", {"dp-aware": True}, {"tp-size": 2, "dp-size": 2}, 2),
        ("0.5.23", {"dp_aware": True}, {"tp-size": 4}, 1),
        # 0.5.22 and later say dp_size 1 of a server with attention ranks, earlier ones have one number for both
        ("0.5.23", {"dp-aware": True}, {"tp-size": 4, "attn-dp-size": 4}, 1),
        ("0.5.23", {"dp-aware": True}, {"tp-size": 4, "dp-size": 4, "enable-dp-attention": True}, 1),
        ("0.5.21", {"dp-aware": True}, {"tp-size": 4, "dp-size": 4, "enable-dp-attention": True}, 4),
        ("0.5.21", {"dp-aware": True}, {"tp-size": 2, "dp-size": 2}, 2),
    ],
)
def test_how_many_entries_the_router_will_have(
    version: str, args: dict[str, Any], flags: dict[str, Any], each: int
) -> None:
    """sglang-router 0.3.2 with --dp-aware lists `http://host:port@0`, `@1`, … in place of a server with replicas."""
    made = agg(backend="sglang", frontend="sglang-router", agg_workers=3, agg_nodes=3, frontend__args=args)
    made.backend.version, made.backend.sglang_config = version, RoleFlags(aggregated=flags)
    assert plan_of(made).census.expect == {"aggregated": 3 * each}


def test_preferred_ports_of_workers() -> None:
    found = preferred(plan_of(two_per_node()))
    purposes = ("http", "bootstrap", "kv-events", "system", "nccl")
    assert {
        w: tuple(found.get(f"{w}/{p}") for p in purposes) for w in ("prefill0", "prefill1", "decode0", "decode1")
    } == {
        "prefill0": (6100, 7200, 5200, 7500, 17500),
        "prefill1": (6132, 7201, 5201, 7501, 17501),
        "decode0": (6100, None, 5202, 7502, 17502),
        "decode1": (6132, None, 5203, 7503, 17503),
    }
    assert (found["nginx/http"], found["frontend0/http"], found["etcd/client"], found["nats/client"]) == (
        8000,
        8180,
        2379,
        4222,
    )


def multi_node() -> JobConfig:
    return disagg(backend="sglang", prefill_nodes=2, decode_nodes=2, backend__sglang_config=RoleFlags({"tp-size": 8}))


def test_ranks_of_a_worker_that_spans_nodes() -> None:
    plan = plan_of(multi_node())
    leader, follower = plan.process("prefill0"), plan.process("prefill0-rank1")
    for rank, process in enumerate((leader, follower)):
        assert after(process, "--nnodes") == "2"
        assert after(process, "--node-rank") == str(rank)
        assert after(process, "--dist-init-addr") == "@host:slot0@:@port:prefill0/dist-init@"
        assert after(process, "--disaggregation-bootstrap-port") == "@port:prefill0/bootstrap@"
        assert after(process, "--host") == f"@host:slot{rank}@"
        assert process.worker == "prefill0"
        assert "CUDA_VISIBLE_DEVICES" not in process.env
    assert leader.probe is not None
    assert follower.probe is None
    # dynamo.sglang's other ranks don't end by SIGTERM; behind the router the leader ends them.
    assert (leader.stop_signal, leader.stop_after) == ("TERM", ())
    assert (follower.stop_signal, follower.stop_after) == ("HUP", ("prefill0",))
    system = {name: f"@host:slot{slot}@:@port:{name}/system@" for name, slot in (("prefill0", 0), ("decode0", 2))}
    assert plan_of(multi_node()).flush_workers == tuple(f"{place}/engine/flush_cache" for place in system.values())
    plain = plan_of(replace(multi_node(), frontend=FrontendConfig(type="sglang-router"))).process("prefill0-rank1")
    assert (plain.stop_signal, plain.stop_after) == ("TERM", ("prefill0",))
    assert "--disaggregation-bootstrap-port" not in plan.process("decode0").argv
    assert plan.census.expect == {"prefill": 1, "decode": 1}


def test_only_a_part_of_a_node_is_made_visible() -> None:
    plan = plan_of(two_per_node())
    assert plan.process("prefill1").env["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert "CUDA_VISIBLE_DEVICES" not in plan_of(disagg()).process("prefill0").env
    half = disagg(resources__gpus_per_node=2)  # two of the node's four
    assert plan_of(half).process("prefill0").env["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_services_that_nobody_uses_are_not_started() -> None:
    router = plan_of(agg(backend="sglang", frontend="sglang-router", frontend__count=1))
    assert [process.name for process in router.processes] == ["aggregated0", "frontend0"]
    assert all(not process.needs for process in router.processes)
    assert not any(name.startswith(("ETCD", "NATS", "DYN")) for p in router.processes for name in p.env)
    assert router.endpoint == "@host:slot0@:@port:frontend0/http@"
    assert preferred(router)["frontend0/http"] == 8000


def test_the_router_is_told_where_the_workers_are() -> None:
    plan = plan_of(disagg(backend="sglang", frontend="sglang-router", decode_nodes=2, decode_workers=2))
    argv = " ".join(plan.process("frontend0").argv)
    url = "http://@host:slot{}@:@port:{}/http@"
    told = f"--prefill {url.format(0, 'prefill0')} @port:prefill0/bootstrap@ "
    told += f"--decode {url.format(1, 'decode0')} --decode {url.format(2, 'decode1')}"
    assert f"--pd-disaggregation {told}" in argv
    assert plan.process("prefill0").argv[2] == "sglang.launch_server"
    assert plan.census.kind == "sglang-router"


def test_order_of_start() -> None:
    plan = plan_of(disagg(frontend__count=2))
    needs = {process.name: process.needs for process in plan.processes}
    assert needs == {
        "etcd": (),
        "nats": (),
        "nginx": (),
        **dict.fromkeys(("prefill0", "decode0", "frontend0", "frontend1"), ("etcd", "nats")),
    }


def test_what_each_release_of_dynamo_needs_to_be_found() -> None:
    plan = plan_of(disagg(infra__etcd_nats_dedicated_node=True))
    env = plan.process("decode0").env
    assert env["DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS"] == '["generate"]'
    assert env["DYN_TCP_RESPONSE_STREAM_HOST"] == "@iface:slot2@"
    assert env["DYN_TCP_RPC_HOST"] == "@host:slot2@"
    assert env["ETCD_ENDPOINTS"] == "http://@host:slot0@:@port:etcd/client@"
    assert env["HF_HUB_OFFLINE"] == "1"
    system = [request for request in plan.ports if request.name.endswith("/system")]
    assert system
    assert all(request.max_port <= 32767 for request in system)
    assert {"DYN_EVENT_PLANE": "nats", "ETCD_LEASE_TTL": "10"}.items() <= plan.process("frontend0").env.items()


def test_whose_variables_win() -> None:
    made = disagg(cluster__environment={"A": "site", "B": "site", "C": "site", "DYN_LOG": "debug"})
    made.backend.prefill_environment = {"B": "role", "C": "role", "WHERE": "{node}:{node_id}", "DYN_SYSTEM_PORT": "1"}
    made.environment = {"C": "job", "ETCD_ENDPOINTS": "elsewhere"}
    env = plan_of(made).process("prefill0").env
    assert (env["A"], env["B"], env["C"], env["DYN_LOG"]) == ("site", "role", "job", "debug")
    assert env["WHERE"] == "@node:slot0@:0"
    assert env["DYN_SYSTEM_PORT"] == "@port:prefill0/system@"
    assert env["ETCD_ENDPOINTS"].startswith("http://@host")
    assert "WHERE" not in plan_of(made).process("decode0").env
    keys = {problem.key for problem in BACKENDS["mocker"].check(made)}
    assert keys == {"backend.prefill_environment.DYN_SYSTEM_PORT", "environment.ETCD_ENDPOINTS"}


def test_a_setup_script_runs_before_every_worker_only() -> None:
    plan = plan_of(disagg(), setup_script_text="echo hello\n")
    assert {p.name for p in plan.processes if p.setup} == {"prefill0", "decode0"}
    assert plan.process("prefill0").setup == ("bash", "setup_script.sh")
    assert {file.path: file.text for file in plan.files}["setup_script.sh"] == "echo hello\n"


def test_mocker_commands() -> None:
    plan = plan_of(disagg(backend__num_workers=2))
    prefill, decode = plan.process("prefill0"), plan.process("decode0")
    assert prefill.argv[:3] == ("/opt/dynamo/bin/python", "-m", "dynamo.mocker")
    assert after(prefill, "--engine-type") == "sglang"
    assert after(prefill, "--bootstrap-ports") == "@port:prefill0/bootstrap@,@port:prefill0/bootstrap1@"
    assert "--bootstrap-ports" not in decode.argv
    assert (after(prefill, "--disaggregation-mode"), after(decode, "--disaggregation-mode")) == ("prefill", "decode")
    assert "--disaggregation-mode" not in plan_of(agg()).process("aggregated0").argv
    assert plan.census.expect == {"prefill": 2, "decode": 2}  # each process registers as many as it simulates
    spanning = plan_of(disagg(prefill_nodes=2))
    assert [process.name for process in spanning.processes if process.worker == "prefill0"] == ["prefill0"]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "tiny"),
        ({"model__served_name": "x"}, "x"),
        ({"model__name": None}, "v1"),
        ({"model__name": None, "model__path": "r1", "cluster__model_paths": {"r1": "/models/v1"}}, "v1"),
        ({"backend__sglang_config": RoleFlags(prefill={"served_model_name": "y"})}, "y"),
    ],
)
def test_served_name(change: dict[str, Any], name: str) -> None:
    assert served_name(disagg(backend="sglang", **{"model__path": "/models/v1/", **change}), "/models/v1/") == name


def test_programs_named_by_path_are_asked_for_their_release() -> None:
    made = disagg(
        cluster__tools__etcd="/site/etcd", cluster__tools__dynamo_python="/site/python", dynamo__version="1.6.1"
    )
    plan = plan_of(made)
    assert plan.process("etcd").version_argv[1:] == ("--version",)
    assert re.search(plan.process("etcd").version_want, "etcd Version: 3.4.23\nGit SHA: Not provided")
    assert not re.search(plan.process("etcd").version_want, "etcd Version: 3.3.25")
    worker = plan.process("prefill0")
    assert re.search(worker.version_want, "ai-dynamo 1.6.1")
    assert not re.search(worker.version_want, "ai-dynamo 1.6.10")
    assert not re.search(worker.version_want, "ai-dynamo 1.4.2")
    assert plan.process("nats").version_argv == ()
    assert not any(process.version_argv for process in plan_of(disagg()).processes)


def test_an_old_etcd_gets_no_flag_that_it_lacks() -> None:
    old = replace(PROGRAMS, versions={"etcd": "3.4.23"})
    from srtctl.plan.build import build_plan

    plan = build_plan(disagg(), old, "d0", model_path=MODEL, tokenizer_path=MODEL)
    assert "--unsafe-no-fsync" not in plan.process("etcd").argv
    assert "--unsafe-no-fsync" in plan_of(disagg()).process("etcd").argv


def test_in_a_container_paths_are_the_container_s() -> None:
    made = disagg(
        backend="sglang", cluster__container_runtime="pyxis", cluster__containers={"engine": "/images/e.sqsh"}
    )
    made.model.container, made.extra_mount = "engine", ["/data:/data"]
    made.model.path = "/shared/weights"
    plan = plan_of(made)
    assert plan.process("prefill0").argv[0] == "python3"
    assert after(plan.process("prefill0"), "--model-path") == "/model"
    assert plan.container.image == "/images/e.sqsh"
    assert set(plan.container.mounts) == {(MODEL, "/model"), ("/data", "/data")}
    assert plan.process("prefill0").needs[-1] == "image0" and plan.process("image0").kind == "task"
    assert "image0" not in plan.process("etcd").needs
    assert not any(plan.process(name).container for name in ("etcd", "nats", "nginx"))
    assert plan.process("frontend0").container


def test_nginx_and_dynamo_in_containers() -> None:
    """nginx in an image of its own; the wheel installed once per node, behind its image, before all that serves."""
    made = disagg(
        cluster__container_runtime="pyxis", cluster__containers={"engine": "/images/e.sqsh", "nginx": "/images/n.sqsh"},
        frontend__count=2, prefill_workers=2, frontend__nginx_container="nginx", model__container="engine",
        dynamo__install=True, dynamo__wheel="/w/ai_dynamo.whl", cluster__tools__dynamo_python="/opt/venv/bin/python",
    )  # fmt: skip
    plan = plan_of(made)
    nginx = plan.process("nginx")
    assert (nginx.argv[0], nginx.image, nginx.container) == ("nginx", "/images/n.sqsh", True)
    assert plan.process("image0-nginx").image == "/images/n.sqsh" and "image0-nginx" in nginx.needs
    tasks = [process.name for process in plan.processes if process.kind == "task"]
    assert tasks == ["image0", "image0-nginx", "image1", "dynamo0", "dynamo1"]
    install = plan.process("dynamo1")
    assert install.setup[-5:] == ("/opt/venv/bin/python", "-m", "pip", "install", "/srtctl-wheels/ai_dynamo.whl")
    assert "--force-reinstall" in install.argv and install.needs == ("image1",)
    for name in ("prefill0", "prefill1", "decode0", "frontend0"):
        process = plan.process(name)
        assert {f"dynamo{process.slot}", f"image{process.slot}"} <= set(process.needs)
        assert process.argv[0] == "/opt/venv/bin/python"
    assert not {"dynamo0", "image0"} & set(plan.process("etcd").needs)
    assert "nginx" not in needed(made) and "nginx" in needed(disagg(frontend__count=2))


def test_dynamo_on_the_nodes_own_disks() -> None:
    made = disagg(dynamo__install=True, dynamo__version="1.6.1", cluster__python="/usr/bin/python3.12")
    plan = plan_of(made)
    install = plan.process("dynamo1")
    assert install.argv[0] == "/usr/bin/python3.12" and install.argv[-2:] == (
        "@scratch:slot1@/dynamo",
        "ai-dynamo==1.6.1",
    )
    assert plan.process("decode0").argv[0] == "@scratch:slot1@/dynamo/bin/python"
    assert plan.process("decode0").needs[-1] == "dynamo1"
    assert "dynamo_python" not in needed(made)
    assert not any(process.version_argv for process in plan.processes)


def test_nothing_of_the_workload_is_in_a_deployment() -> None:
    one, other = disagg(), disagg()
    other.benchmark.timeout_s = 77
    assert to_json(plan_of(one)) == to_json(plan_of(other))


@pytest.mark.parametrize(
    ("backend", "frontend", "purpose"),
    [("mocker", "dynamo", "system"), ("sglang", "dynamo", "system"), ("sglang", "sglang-router", "http")],
)
def test_steps_know_the_servers(backend: str, frontend: str, purpose: str) -> None:
    made = disagg(backend=backend, benchmark__client_dedicated_node=True)
    made.frontend = FrontendConfig(type=frontend)
    from srtctl.benchmarks import BENCHMARKS

    made.benchmark = BENCHMARKS["custom"].params(client_dedicated_node=True)
    made.benchmark.command = "true"  # type: ignore[attr-defined]
    plan = plan_of(made)
    (step,) = build_steps(made, plan, PROGRAMS, "c0", tokenizer_path=MODEL).steps
    assert step.slot == 2
    assert step.env["SRTCTL_ENDPOINT"] == plan.endpoint
    assert step.env["SRT_PREFILL_ENDPOINTS"] == f"@host:slot0@:@port:prefill0/{purpose}@"  # where it answers
    assert step.env["SRTCTL_FRONTENDS"] == ",".join(plan.census.frontends)


def test_the_budget_follows_the_health_check() -> None:
    plan = plan_of(
        disagg(health_check__max_attempts=3, health_check__interval_seconds=2.5, slurm__time_limit="1:00:00")
    )
    assert plan.budgets.ready_s == 7.5
    assert plan.process("prefill0").ready_timeout_s == 7.5
    assert plan.budgets.time_limit_s == 3600


@st.composite
def jobs(draw: st.DrawFn) -> JobConfig:
    backend, frontend = draw(st.sampled_from([("mocker", "dynamo"), ("sglang", "dynamo"), ("sglang", "sglang-router")]))
    per_node = draw(st.sampled_from([1, 4, 8]))
    size = st.one_of(st.integers(1, per_node), st.integers(1, 3).map(lambda n: n * per_node))
    values: dict[str, Any] = {"gpus_per_node": per_node, "spread_workers": draw(st.booleans())}
    if draw(st.booleans()):
        values |= {"prefill_workers": draw(st.integers(1, 6)), "decode_workers": draw(st.integers(1, 6))}
        values |= {"gpus_per_prefill": draw(size), "gpus_per_decode": draw(size)}
    else:
        values |= {"agg_workers": draw(st.integers(1, 9)), "gpus_per_agg": draw(size)}
    for flag in ("infra__etcd_nats_dedicated_node", "frontend__dedicated_node", "benchmark__client_dedicated_node"):
        values[flag] = draw(st.booleans())
    values["frontend__count"] = draw(st.sampled_from([None, 1, 2, 7]))
    values["cluster__nodes_share_host"] = draw(st.booleans())
    if backend == "sglang":
        values["backend__kv_events_config"] = True
        values["backend__sglang_config"] = RoleFlags({"dp-size": draw(st.integers(1, 4))})
    return job(backend=backend, frontend=frontend, **values)


def numbers(request: PortRequest) -> range:
    return range(request.preferred, request.preferred + request.count)


@settings(max_examples=150, deadline=None)
@given(jobs())
def test_every_plan_is_sound(made: JobConfig) -> None:
    plan = plan_of(made)
    assert from_json(Plan, to_json(plan)) == plan
    shared = made.cluster.nodes_share_host
    wanted = [(0 if shared else r.slot, number) for r in plan.ports for number in numbers(r)]
    assert len(wanted) == len(set(wanted)), "two requests for one port on one node"
    names = [process.name for process in plan.processes]
    assert len(names) == len(set(names))
    assert len({request.name for request in plan.ports}) == len(plan.ports)
    by_name = {request.name: request for request in plan.ports}
    prefill = {worker.name for worker in plan.workers if worker.role == "prefill"}
    assert {name.partition("/")[0] for name in by_name if name.endswith("/bootstrap")} == prefill
    for name, request in by_name.items():
        assert name.partition("/")[0] in names
        assert request.slot == plan.process(name.partition("/")[0]).slot, "a port lies where its process runs"
        assert request.preferred + request.count - 1 <= request.max_port
    for process in plan.processes:
        assert set(process.needs) <= set(names)
        texts = [*process.argv, *process.env.values(), *process.setup]
        texts += [process.probe.address] if process.probe else []
        known_tokens(plan, texts)
    known_tokens(plan, [file.text for file in plan.files])
    assert not any(MODEL_RUN_PATH.search(text) for p in plan.processes for text in p.argv)


MODEL_RUN_PATH = re.compile(r"outputs/|attempt-\d")


def known_tokens(plan: Plan, texts: list[str]) -> None:
    ports, slots = {request.name for request in plan.ports}, {f"slot{slot.index}" for slot in plan.slots}
    for text in texts:
        for kind, name in tokens_in(text):
            assert name in (ports if kind == "port" else slots), (kind, name)


GOLDEN = Path(__file__).parent / "golden"


def shapes() -> dict[str, JobConfig]:
    return {
        "mocker-agg-one-node": agg(gpus_per_node=8, frontend__count=1, cluster__nodes_share_host=True),
        "mocker-disagg-shared-node": job(
            gpus_per_node=8,
            prefill_workers=1,
            decode_workers=1,
            prefill_nodes=1,
            decode_nodes=0,
            gpus_per_prefill=1,
            gpus_per_decode=1,
            frontend__count=2,
            cluster__nodes_share_host=True,
        ),
        "sglang-multi-node": multi_node(),
        "sglang-router-2p2d": disagg(
            backend="sglang",
            frontend="sglang-router",
            prefill_workers=2,
            decode_workers=2,
            backend__kv_events_config=True,
        ),
    }


@pytest.mark.parametrize("shape", shapes())
def test_commands_of_the_usual_shapes(shape: str, golden: Any) -> None:
    plan = plan_of(shapes()[shape])
    lines = []
    for process in plan.processes:
        lines.append(f"{process.name}  slot {process.slot}  gpus {list(process.gpus)}  needs {list(process.needs)}")
        lines.append("  " + " ".join(process.argv))
        lines += [f"  {key}={value}" for key, value in sorted(process.env.items())]
        if process.probe:
            lines.append(f"  ready: {process.probe.address}{process.probe.path}")
    lines += [f"{r.name} slot{r.slot} {r.preferred}" + (f" +{r.count - 1}" * (r.count > 1)) for r in plan.ports]
    golden(GOLDEN / f"{shape}.txt", "\n".join(lines) + "\n")
