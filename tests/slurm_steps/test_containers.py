"""Steps in containers: the options that pyxis gets, and the whole way in a root file system of its own.

Pyxis itself can't be installed here: a plug-in of the tests' own stands in for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from srtctl.orchestrator.containers import pyxis_options
from srtctl.orchestrator.srun import Place, step_command
from srtctl.plan.model import Container, Process
from tests.slurm.testcluster import Cluster

from .conftest import Submit
from .plans import RESULT, nodes_plan, quick, witness

GOLDEN = Path(__file__).parent / "golden"
IMAGE = Container("pyxis", "/images/engine.sqsh", name="srtctl")


def test_command_lines(golden: Callable[[Path, str], None]) -> None:
    """One option a line; values of variables are in none of them."""
    ways = {
        "plain step": step_command("srun", Place("n7", "42"), "etcd", ["/opt/etcd", "--x"], workdir="/run/a b"),
        "heterogeneous job, part of the GPUs, own options": step_command(
            "/usr/bin/srun",
            Place("n7", "42", 1, ("4", "5", "6", "7")),
            "decode0",
            ["python3", "-m", "engine"],
            workdir="/run",
            extra={"mpi": "pmix", "unbuffered": None, "label": True, "time": 5, "export": False},
            visible_gpus="0,2",
        ),
        "container": in_container(IMAGE),
        "container of a registry, every choice the other way": in_container(
            Container(
                "pyxis", "nvcr.io#nvidia/sglang:1", workdir="/work", writable=False, remap_root=True,
                mount_home=True, entrypoint=True, env=("PATH",),
            )
        ),
        "another image than the servers'": in_container(IMAGE, image="docker://registry.test/client:2"),
    }  # fmt: skip
    text = "".join(f"# {name}\n" + "".join(f"{word}\n" for word in words) + "\n" for name, words in ways.items())
    golden(GOLDEN / "command-lines.txt", text)


def in_container(container: Container, image: str = "") -> list[str]:
    mounts = [("/shared/sweep", "/shared/sweep"), ("/models/big", "/model"), ("/data", "/data:ro")]
    options = pyxis_options(
        container,
        job_id="42",
        workdir=container.workdir or "/shared/sweep/x",
        mounts=mounts,
        environment=["HF_TOKEN", "A"],
        image=image,
    )
    return step_command("srun", Place("n7", "42"), "prefill0", ["python3"], workdir="/shared/sweep/x", options=options)


SEE = (
    """
import json, os
names = ("CONTESTED", "FROM_IMAGE", "SRTCTL_PROCESS", "TMPDIR")
seen = {name: os.environ.get(name) for name in names}
seen["flags"] = os.environ.get("TEST_CONTAINER_FLAGS", "")
seen["root"] = os.listdir("/")
seen["model"] = open("/model/config").read()
seen["installed"] = open("/opt/installed").read() if os.path.exists("/opt/installed") else ""
json.dump(seen, open("seen.json", "w"))
"""
    + RESULT
)


def prepared(slot: int, *argv: str) -> Process:
    return Process(f"image{slot}", "setup", slot, argv or ("true",), kind="task", container=True)


def test_the_whole_way(container_slurm: Cluster, submit: Submit, images: Path, tmp_path: Path) -> None:
    """Image once per node, then a setup command in the same container, then the worker; the client sees all of it."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "config").write_text("weights")
    container = Container("pyxis", str(images / "engine.sqsh"), ((str(model), "/model"), (str(model), "/ro:ro")))
    server = nodes_plan().processes[0]
    setup = ("sh", "-c", "echo installing; echo by setup > /opt/installed")
    worker = witness("decode0", 1, needs=("image1",), setup=setup, env={"PLAIN": "x"})
    plan = nodes_plan(prepared(0), prepared(1), worker, container=container)
    plan = replace(plan, processes=(replace(server, container=False), *plan.processes[1:]))
    point = quick(SEE, slot=1)
    point = replace(point, steps=(replace(point.steps[0], env={**point.steps[0].env, "CONTESTED": "job"}),))
    job = submit(container_slurm, plan, [point])
    status = job.ended()
    assert status["outcome"] == "ok", job.log() + job.attempt.log("decode0").read_text()
    seen = json.loads((job.measured() / "seen.json").read_text())
    assert (seen["CONTESTED"], seen["FROM_IMAGE"], seen["SRTCTL_PROCESS"]) == ("job", "yes", "client")
    assert (seen["model"], seen["installed"]) == ("weights", "by setup\n")
    assert "no-mount-home" in seen["flags"] and "no-entrypoint" in seen["flags"]
    text = job.attempt.log("decode0").read_text()
    assert text.index("installing") < text.index("host=n2") < text.index("ended in order")
    assert status["timings"]["prepare_s"] < 20
    container_slurm.wait_clean()


def test_a_setup_command_that_fails(container_slurm: Cluster, submit: Submit, images: Path) -> None:
    container = Container("pyxis", str(images / "engine.sqsh"))
    plan = nodes_plan(witness("decode0", 1, setup=("sh", "-c", "echo no network; exit 7")), container=container)
    plan = replace(plan, processes=(replace(plan.processes[0], container=False), *plan.processes[1:]))
    status = submit(container_slurm, plan, [quick()]).ended()
    assert status["root_cause"]["process"] == "decode0"
    assert "its setup command ended with exit code 7" in status["reason"]
    assert "no network" in status["root_cause"]["log_tail"]
    container_slurm.wait_clean()


def test_an_image_that_cannot_be_had(container_slurm: Cluster, submit: Submit) -> None:
    plan = nodes_plan(prepared(1), container=Container("pyxis", "docker://registry.test/absent:1"))
    plan = replace(plan, processes=(replace(plan.processes[0], container=False), *plan.processes[1:]))
    status = submit(container_slurm, plan, [quick()]).ended()
    assert status["root_cause"]["process"] == "image1"
    assert any("no such image" in line for line in status["root_cause"]["log_tail"])


def test_an_image_file_that_is_not_there(container_slurm: Cluster, submit: Submit) -> None:
    plan = nodes_plan(prepared(1), container=Container("pyxis", "/images/absent.sqsh"))
    plan = replace(plan, processes=(replace(plan.processes[0], container=False), *plan.processes[1:]))
    status = submit(container_slurm, plan, [quick()]).ended()
    assert status["reason"] == "n1, n2: the container image is not there: /images/absent.sqsh"
