"""Models of the hub on the nodes of a cluster: got by one node for all, before anything else starts."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import srtctl
from tests.hub import downloads
from tests.slurm.spank import host_image
from tests.slurm.testcluster import Cluster
from tests.slurm.testcluster.node import ROOT

DYNAMO = (ROOT / ".venv/tools/dynamo-1.6.1").resolve()
TINY = Path(srtctl.__file__).parent / "assets" / "tiny-model"
TOKEN = "hf_PlantedToken"

RECIPE = """
name: job
cluster: {{name: test, executor: slurm, gpus_per_node: 2{cluster}}}
model: {{path: "hf:acme/tiny"{model}}}
resources: {{prefill_nodes: 1, decode_nodes: 1, prefill_workers: 2, decode_workers: 1, gpus_per_decode: 1}}
backend: {{type: mocker, speedup_ratio: 100}}
frontend: {{type: dynamo, count: 1}}
benchmark: {{type: custom, command: "echo '{{\\"answer\\": 42}}' > result.json"}}
environment: {{HF_HOME: {cache}, HF_ENDPOINT: "{url}"}}
pass_environment: [HF_TOKEN]
slurm: {{time_limit: "00:10:00"}}
"""


@contextlib.contextmanager
def hub_of(cluster: Cluster, home: Path) -> Iterator[str]:
    """A hub on the login host, which wants the token; its address as nodes see it. It notes what it is asked for."""
    shutil.copytree(TINY, home / "hub/acme/tiny")
    argv = [*cluster.prefix("login", ROOT), sys.executable, "-m", "tests.hub", "0.0.0.0"]
    with subprocess.Popen([*argv, home / "requests", home / "hub", TOKEN], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://login:{int(server.stdout.readline())}"
        finally:
            server.kill()


def asked_for(home: Path) -> list[str]:
    """Names of the files that were downloaded, once for each time."""
    lines = (home / "requests").read_text().splitlines()
    found = downloads((line.split()[0], line.split()[1]) for line in lines)
    return sorted(path.rpartition("/")[2] for path in found)


def files_with(text: str, directory: Path) -> list[str]:
    paths = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in paths if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("contained", [False, True], ids=["bare", "in-containers"])
def test_one_node_downloads_for_all(
    request: pytest.FixtureRequest, at_home: Any, tmp_path_factory: pytest.TempPathFactory, contained: bool
) -> None:
    cluster: Cluster = request.getfixturevalue("container_slurm" if contained else "slurm")
    user = at_home(cluster)
    words = {"cluster": "", "model": "", "cache": f"{user.home}/hf"}
    if contained:
        image = host_image(tmp_path_factory.mktemp("hub-image") / "work", "work", more=[DYNAMO]).path
        (user.home / "hf").mkdir()
        inside = f"tools: {{dynamo_python: {DYNAMO}/bin/python}}, default_mounts: {{{user.home}/hf: /cache}}"
        words = {
            "cluster": f", container_runtime: pyxis, {inside}",
            "model": f", container: {image}",
            "cache": "/cache",
        }
    with hub_of(cluster, user.home) as url:
        recipe = user.write("job.yaml", RECIPE.format(url=url, **words))
        done = user.srtctl("apply", "-f", str(recipe), "--wait", timeout_s=150, env={"HF_TOKEN": TOKEN})
    attempt = user.sweep() / "allocations/0000/attempt-0"
    said = "".join(path.read_text() for path in sorted((attempt / "logs").glob("weights*.log")))
    assert done.returncode == 0, done.stdout + done.stderr + said
    assert asked_for(user.home) == sorted(path.name for path in TINY.iterdir())
    ends = {one["name"]: (one["started_at"], one["exited_at"]) for one in user.status()["processes"]}
    assert ends["weights0"][1] <= ends["weights1"][0], "the second node waits until the first has filled the cache"
    assert all(ends["weights0"][1] <= ends[worker][0] for worker in ("prefill0", "prefill1", "decode0"))
    shutil.rmtree(user.home / "hub")
    assert files_with(TOKEN, user.home) == []
    assert TOKEN not in done.stdout + done.stderr
    cluster.wait_clean(15)


def test_a_refusal_is_said_before_any_engine_starts(slurm: Cluster, at_home: Any) -> None:
    user = at_home(slurm)
    with hub_of(slurm, user.home) as url:
        recipe = user.write("job.yaml", RECIPE.format(cluster="", model="", cache=f"{user.home}/hf", url=url))
        done = user.srtctl("apply", "-f", str(recipe), "--wait", timeout_s=150, env={"HF_TOKEN": "hf_WrongToken"})
    assert done.returncode == 1
    status = user.status()
    cause = status["root_cause"]
    assert (cause["process"], status["points"][0]["state"]) == ("weights0", "not_run")
    (line,) = [line for line in cause["log_tail"] if line.startswith("error: ")]
    assert line.startswith("error: acme/tiny could not be downloaded: GatedRepoError: 401"), line
    assert "pass_environment: [HF_TOKEN]" in line
    assert "acme/tiny could not be downloaded" in done.stdout + done.stderr, done.stdout + done.stderr
    states = {one["name"]: one["state"] for one in status["processes"]}
    assert {states[name] for name in ("prefill0", "prefill1", "decode0")} == {"PENDING"}
    shown = done.stdout + done.stderr + json.dumps(status)
    assert "WrongToken" not in shown
    assert files_with("WrongToken", user.home) == []
    slurm.wait_clean(15)
