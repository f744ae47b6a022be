"""The published shapes: their command lines as golden texts, and some of them read by hand."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from srtctl.backends.sglang_releases import release, releases
from srtctl.plan.model import Plan, Process, Worker
from tests.groups.modes import config_of, plan_of, published

GOLDEN = Path(__file__).parent / "golden"
PER_PROCESS = {"--host", "--port", "--nccl-port", "--dist-init-addr", "--node-rank", "--disaggregation-bootstrap-port"}


@cache
def plan_for(mode: str) -> Plan:
    return plan_of(config_of(mode))


def engines(plan: Plan) -> list[Process]:
    return [process for process in plan.processes if process.worker]


@pytest.mark.parametrize("mode", published())
def test_command_lines(mode: str, golden: Any) -> None:
    """Where every process runs; the whole command and environment of the first worker of each role."""
    plan, shown = plan_for(mode), []
    lines = [f"{process.name}: node {process.slot}, GPUs {list(process.gpus)}" for process in plan.processes]
    for process in engines(plan):
        if process.role not in shown:
            shown.append(process.role)
            lines += ["", f"== {process.name}", *_options(process)]
            lines += [f"{key}={value}" for key, value in sorted(process.env.items()) if not key.startswith("DYN_")]
    golden(GOLDEN / f"{mode}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("mode", published())
def test_every_option_is_one_of_the_newest_release(mode: str) -> None:
    newest = release(releases()[-1])
    taken = {*newest.spellings, *(f"no-{name}" for name in newest.flags if newest.is_toggle(name))}
    for process in engines(plan_for(mode)):
        said = {word[2:].partition("=")[0] for word in process.argv if word.startswith("--")}
        assert len(said) > 8 and said <= taken, (process.name, said - taken)


def _options(process: Process) -> list[str]:
    """The command, an option a line."""
    lines: list[str] = []
    for word in process.argv:
        if word.startswith("--") or not lines:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


@pytest.mark.parametrize("mode", published())
def test_the_config_file_says_what_the_command_lines_say(mode: str) -> None:
    plan = plan_for(mode)
    (text,) = (file.text for file in plan.files if file.path == "sglang_config.yaml")
    file = yaml.safe_load(text)
    assert set(file) == {worker.role for worker in plan.workers}
    for process in engines(plan):
        said: dict[str, Any] = {}
        for line in _options(process)[1:]:
            option, _, rest = line.partition(" ")
            if option not in PER_PROCESS:
                said[option.removeprefix("--")] = yaml.safe_load(rest) if rest else True
        written = {name: _as_said(value) for name, value in file[process.role].items()}
        assert written == said, process.name
        assert not any(isinstance(value, dict) for value in file[process.role].values())  # old releases read none


def _as_said(value: Any) -> Any:
    """A list stands on a command line as words; read as YAML again, they are one text. JSON is a text in both."""
    if isinstance(value, list):
        return yaml.safe_load(" ".join(map(str, value)))
    return yaml.safe_load(value) if isinstance(value, str) else value


def ports_of(plan: Plan) -> dict[str, int]:
    return {request.name: request.preferred for request in plan.ports}


def read(plan: Plan, process: Process, worker: Worker) -> str:
    """What the command line of one rank says about its place, with the port numbers it would like to have."""
    argv, ports = list(process.argv), ports_of(plan)

    def number(option: str) -> str:
        value = argv[argv.index(option) + 1]
        for name, port in ports.items():
            value = value.replace(f"@port:{name}@", str(port))
        return value.replace("@host:slot", "n").replace("@", "")

    gpus = f"{process.gpus[0]}-{process.gpus[-1]}"
    system = ports[process.name + "/system"]
    text = f"n{process.slot} GPUs {gpus} http {number('--host')}:{number('--port')} system {system}"
    text += f" nccl {number('--nccl-port')}"
    if "--nnodes" in argv:
        text += f" rank {number('--node-rank')} of {number('--nnodes')} at {number('--dist-init-addr')}"
    if "--disaggregation-bootstrap-port" in argv:
        text += f" bootstrap {number('--disaggregation-bootstrap-port')}"
    assert worker.name == process.worker
    return text


def reading(mode: str) -> dict[str, str]:
    plan = plan_for(mode)
    workers = {worker.name: worker for worker in plan.workers}
    return {process.name: read(plan, process, workers[process.worker]) for process in engines(plan)}


FOUR_NODES_OF_8 = {
    "prefill0": "n0 GPUs 0-7 http n0:6100 system 7500 nccl 17500 rank 0 of 2 at n0:8300 bootstrap 7200",
    "prefill0-rank1": "n1 GPUs 0-7 http n1:6100 system 7501 nccl 17501 rank 1 of 2 at n0:8300 bootstrap 7200",
    "decode0": "n2 GPUs 0-7 http n2:6100 system 7502 nccl 17502 rank 0 of 2 at n2:8300",
    "decode0-rank1": "n3 GPUs 0-7 http n3:6100 system 7503 nccl 17503 rank 1 of 2 at n2:8300",
}
GB200_2P1D = {
    "prefill0": "n0 GPUs 0-3 http n0:6100 system 7500 nccl 17500 rank 0 of 2 at n0:8300 bootstrap 7200",
    "prefill0-rank1": "n1 GPUs 0-3 http n1:6100 system 7501 nccl 17501 rank 1 of 2 at n0:8300 bootstrap 7200",
    "prefill1": "n2 GPUs 0-3 http n2:6100 system 7502 nccl 17502 rank 0 of 2 at n2:8300 bootstrap 7200",
    "prefill1-rank1": "n3 GPUs 0-3 http n3:6100 system 7503 nccl 17503 rank 1 of 2 at n2:8300 bootstrap 7200",
    "decode0": "n4 GPUs 0-3 http n4:6100 system 7504 nccl 17504 rank 0 of 8 at n4:8300",
    "decode0-rank1": "n5 GPUs 0-3 http n5:6100 system 7505 nccl 17505 rank 1 of 8 at n4:8300",
    "decode0-rank2": "n6 GPUs 0-3 http n6:6100 system 7506 nccl 17506 rank 2 of 8 at n4:8300",
    "decode0-rank3": "n7 GPUs 0-3 http n7:6100 system 7507 nccl 17507 rank 3 of 8 at n4:8300",
    "decode0-rank4": "n8 GPUs 0-3 http n8:6100 system 7508 nccl 17508 rank 4 of 8 at n4:8300",
    "decode0-rank5": "n9 GPUs 0-3 http n9:6100 system 7509 nccl 17509 rank 5 of 8 at n4:8300",
    "decode0-rank6": "n10 GPUs 0-3 http n10:6100 system 7510 nccl 17510 rank 6 of 8 at n4:8300",
    "decode0-rank7": "n11 GPUs 0-3 http n11:6100 system 7511 nccl 17511 rank 7 of 8 at n4:8300",
}
DSV4_4P1D = {
    "prefill0": "n0 GPUs 0-3 http n0:6100 system 7500 nccl 17500 rank 0 of 2 at n0:8300 bootstrap 7200",
    "prefill0-rank1": "n1 GPUs 0-3 http n1:6100 system 7501 nccl 17501 rank 1 of 2 at n0:8300 bootstrap 7200",
    "prefill1": "n2 GPUs 0-3 http n2:6100 system 7502 nccl 17502 rank 0 of 2 at n2:8300 bootstrap 7200",
    "prefill1-rank1": "n3 GPUs 0-3 http n3:6100 system 7503 nccl 17503 rank 1 of 2 at n2:8300 bootstrap 7200",
    "prefill2": "n4 GPUs 0-3 http n4:6100 system 7504 nccl 17504 rank 0 of 2 at n4:8300 bootstrap 7200",
    "prefill2-rank1": "n5 GPUs 0-3 http n5:6100 system 7505 nccl 17505 rank 1 of 2 at n4:8300 bootstrap 7200",
    "prefill3": "n6 GPUs 0-3 http n6:6100 system 7506 nccl 17506 rank 0 of 2 at n6:8300 bootstrap 7200",
    "prefill3-rank1": "n7 GPUs 0-3 http n7:6100 system 7507 nccl 17507 rank 1 of 2 at n6:8300 bootstrap 7200",
    "decode0": "n8 GPUs 0-3 http n8:6100 system 7508 nccl 17508 rank 0 of 4 at n8:8300",
    "decode0-rank1": "n9 GPUs 0-3 http n9:6100 system 7509 nccl 17509 rank 1 of 4 at n8:8300",
    "decode0-rank2": "n10 GPUs 0-3 http n10:6100 system 7510 nccl 17510 rank 2 of 4 at n8:8300",
    "decode0-rank3": "n11 GPUs 0-3 http n11:6100 system 7511 nccl 17511 rank 3 of 4 at n8:8300",
}
QWEN_6P2D = {
    "prefill0": "n0 GPUs 0-1 http n0:6100 system 7500 nccl 17500 bootstrap 7200",
    "prefill1": "n0 GPUs 2-3 http n0:6132 system 7501 nccl 17501 bootstrap 7201",
    "prefill2": "n0 GPUs 4-5 http n0:6164 system 7502 nccl 17502 bootstrap 7202",
    "prefill3": "n0 GPUs 6-7 http n0:6196 system 7503 nccl 17503 bootstrap 7203",
    "prefill4": "n1 GPUs 0-1 http n1:6100 system 7504 nccl 17504 bootstrap 7200",
    "prefill5": "n1 GPUs 2-3 http n1:6132 system 7505 nccl 17505 bootstrap 7201",
    "decode0": "n1 GPUs 4-5 http n1:6164 system 7506 nccl 17506",
    "decode1": "n1 GPUs 6-7 http n1:6196 system 7507 nccl 17507",
}
BY_HAND = {
    "h100-wideep-2p2d": FOUR_NODES_OF_8,
    "h100-1p1d-tp16": FOUR_NODES_OF_8,
    "gb200-2p1d-dep32": GB200_2P1D,
    "dsv4-gb200-4p1d-dep16": DSV4_4P1D,
    "qwen3-h100-6p2d-tp2": QWEN_6P2D,
}
SIZES = {  # of a prefill and of a decode worker: tensor parallel, attention ranks, expert parallel
    "h100-wideep-2p2d": ((16, 16, 16), (16, 16, 16)),
    "h100-1p1d-tp16": ((16, 1, 1), (16, 1, 1)),
    "gb200-2p1d-dep32": ((8, 8, 8), (32, 32, 32)),
    "dsv4-gb200-4p1d-dep16": ((8, 8, 8), (16, 16, 16)),
    "qwen3-h100-6p2d-tp2": ((2, 1, 1), (2, 1, 1)),
}


@pytest.mark.parametrize("mode", BY_HAND)
def test_who_runs_where_read_by_hand(mode: str) -> None:
    assert reading(mode) == BY_HAND[mode]
    plan = plan_for(mode)
    for role, sizes in zip(("prefill0", "decode0"), SIZES[mode], strict=True):
        argv = list(plan.process(role).argv)
        said = [argv[argv.index(o) + 1] if o in argv else "1" for o in ("--tp-size", "--attn-dp-size", "--ep-size")]
        assert said == [str(size) for size in sizes]
    visible = {process.env.get("CUDA_VISIBLE_DEVICES") for process in engines(plan)}
    assert visible == ({"0,1", "2,3", "4,5", "6,7"} if mode.startswith("qwen3") else {None})


def test_entrances_read_by_hand() -> None:
    """Ten frontends on the nodes after the first, where nginx stands; every one of them in nginx.conf."""
    plan = plan_for("gb200-2p1d-dep32")
    places = {process.name: process.slot for process in plan.processes if process.role in ("frontend", "nginx")}
    assert places == {"nginx": 0, **{f"frontend{index}": index + 1 for index in range(10)}}
    (text,) = (file.text for file in plan.files if file.path == "nginx.conf")
    assert text.count("        server @host:") == 10
    assert plan.endpoint == "@host:slot0@:@port:nginx/http@"


def test_a_dry_run_shows_the_config_file_and_keeps_it(tmp_path: Path) -> None:
    chosen = ["backend=sglang", "model=tiny", "mode=disagg", "cluster=local", "benchmark=manual"]
    chosen.append(f"cluster.tools.sglang_python={sys.executable}")  # it need not be there: nothing is started
    command = [sys.executable, "-m", "srtctl", "dry-run", *chosen, "-o", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (kept,) = tmp_path.rglob("sglang_config.yaml")
    assert set(yaml.safe_load(kept.read_text())) == {"prefill", "decode"}
    assert f"\n--- sglang_config.yaml\n{kept.read_text()}" in shown


FP4_ONLY = {"fp4-gemm-backend"}
# Mode -> the one whose flags it has, (prefill, decode) workers and GPUs of each, and what its name or file says of its
# own: of decode for H200, of both roles for the racks.
AFTER = {
    "h200-1p6d-tp8-8k1k": ("h200-1p7d-tp8", (1, 6, 8), {}),
    "h200-1p3d-tp8": ("h200-1p7d-tp8", (1, 3, 8), {"max-running-requests": 8, "cuda-graph-max-bs-decode": 8}),
    "h200-2p3d-tp8": ("h200-1p7d-tp8", (2, 3, 8), {"max-running-requests": 32, "cuda-graph-max-bs-decode": 32}),
    "h200-1p6d-tp8": ("h200-1p7d-tp8", (1, 6, 8), {"max-running-requests": 64, "cuda-graph-max-bs-decode": 64}),
    "h200-1p9d-tp8": ("h200-1p7d-tp8", (1, 9, 8), {}),
    "h200-1p6d-dep8": ("h200-1p1d-dep8", (1, 6, 8), {"max-running-requests": 64, "cuda-graph-max-bs-decode": 64}),
    "gb200-1p4d-tp8": ("gb200-fp4-1p4d-tp4", (1, 4, 8), {"tp-size": 8, "mem-fraction-static": 0.85}),
    "gb300-1p4d-tp4": ("gb300-fp4-1p4d-tp4", (1, 4, 4), {"mem-fraction-static": 0.85}),
}


@pytest.mark.parametrize("mode", AFTER)
def test_shapes_after_a_published_one(mode: str) -> None:
    sibling, (prefill, decode, gpus), own = AFTER[mode]
    workers = [(worker.role, worker.gpu_count) for worker in plan_for(mode).workers]
    assert workers == [("prefill", gpus)] * prefill + [("decode", gpus)] * decode
    mine, theirs = config_of(mode)["backend"]["sglang_config"], config_of(sibling)["backend"]["sglang_config"]
    for role in ("prefill", "decode"):
        kept = {name: value for name, value in theirs[role].items() if name not in FP4_ONLY}
        assert mine[role] == kept | (own if role == "decode" or mode.startswith("gb") else {}), role
    assert "quantization" not in "".join(engines(plan_for(mode))[0].argv)
