"""Models that are not simply a directory: from a hub (a server of ours that its real library talks to), and staged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import srtctl
from tests.hub import Hub, folder, hub
from tests.system.conftest import User

TINY = Path(srtctl.__file__).parent / "assets" / "tiny-model"
WORKLOAD = (
    "benchmark=sa-bench", "benchmark.isl=16", "benchmark.osl=8", "benchmark.concurrencies=[1]",
    "benchmark.num_prompts_mult=2", "benchmark.random_range_ratio=1",
)  # fmt: skip


def events(user: User, name: str) -> list[dict[str, Any]]:
    text = (user.sweep() / "allocations/0000/attempt-0/events.jsonl").read_text()
    return [event for event in map(json.loads, text.splitlines()) if event["event"] == name]


def apply(user: User, recipe: Path, server: Hub, *more: str) -> None:
    where = {"HF_HOME": str(user.home / "hf"), "HF_ENDPOINT": server.url}
    environment = ",".join(f"{name}: '{value}'" for name, value in where.items())
    done = user.srtctl("apply", "-f", str(recipe), f"environment={{{environment}}}", "--wait", *more)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_model_of_the_hub_is_downloaded_by_one_task_and_by_no_worker(user: User, quick: Path) -> None:
    with hub({"acme/tiny": {"main": {**folder(TINY), "model.safetensors": b"w"}}}) as server:
        apply(user, quick, server, "model.path=hf:acme/tiny", *WORKLOAD)
        got = server.got()
        (row,) = user.json("results")["rows"]
        assert (row["valid"], row["provenance"]["model"]) == (True, "tiny")
        assert sorted(path.rpartition("/")[2] for path in got) == sorted(folder(TINY))  # a mocker needs no weights
        apply(user, quick, server, "model.path=hf:acme/tiny")
        assert server.got() == got
    environment = json.loads((user.sweep() / "allocations/0000/attempt-0/environment.json").read_text())
    assert environment["models"]["slot0"][0]["repo"] == "acme/tiny"
    user.assert_nothing_left()


def test_a_model_is_staged_before_the_workers_start(user: User, quick: Path) -> None:
    source = user.home / "shared" / "tiny"
    shutil.copytree(TINY, source)
    more = (f"model.path={source}", f"model.stage_dir={user.home}/raid", "--wait")
    done = user.srtctl("apply", "-f", str(quick), *more)
    assert done.returncode == 0, done.stdout + done.stderr
    (staged,) = (user.home / "raid").iterdir()
    assert staged.name.startswith("tiny-")
    assert (staged / ".srtctl-staged.json").exists()
    argv = json.loads((user.sweep() / "allocations/0000/plan.json").read_text())["processes"]
    paths = {p["argv"][p["argv"].index("--model-path") + 1] for p in argv if "--model-path" in p["argv"]}
    assert paths == {str(staged)}
    done_at = next(e["t"] for e in events(user, "process_exited") if e["process"] == "weights0")
    assert all(e["t"] >= done_at for e in events(user, "process_started") if e["process"] in ("prefill0", "decode0"))
    assert user.status()["timings"]["prepare_s"] > 0
    user.assert_nothing_left()


def test_a_model_that_is_not_on_the_hub_is_the_root_cause(user: User, quick: Path) -> None:
    with hub({}) as server:
        environment = f"environment={{HF_HOME: '{user.home}/hf', HF_ENDPOINT: '{server.url}'}}"
        done = user.srtctl("apply", "-f", str(quick), environment, "model.path=hf:acme/none", "--wait")
    assert done.returncode == 1
    cause = user.status()["root_cause"]
    assert cause["process"] == "weights0"
    assert "acme/none could not be downloaded" in cause["log_tail"][-1]
    user.assert_nothing_left()
