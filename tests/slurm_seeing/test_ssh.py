"""The command that opens a shell beside a process."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from srtctl.cli import main, ssh
from srtctl.plan.codec import to_json
from srtctl.plan.model import Census, Container, Plan, Process, Slot

from .conftest import Jobs


def a_plan(**changes: object) -> str:
    usual: dict[str, object] = {
        "name": "j", "deployment_id": "d", "backend": "mocker", "frontend": "dynamo", "model": "m",
        "slots": (Slot(0, 8), Slot(1, 8)), "workers": (), "ports": (), "endpoint": "", "public_port": "",
        "census": Census("none", (), {}, "m"),
        "processes": (Process("etcd", "etcd", 0, ("etcd",), container=False), Process("decode0", "decode", 1, ("x",))),
    }  # fmt: skip
    return to_json(Plan(**(usual | changes)))  # type: ignore[arg-type]


def ready(name: str, role: str, slot: int, host: str) -> dict[str, object]:
    return {"name": name, "role": role, "slot": slot, "host": host, "state": "READY", "pid": 7}


def test_paths_in_it_are_absolute(
    jobs: Jobs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs.allocation(processes=[ready("decode0", "decode", 0, "n1")])
    jobs.sweep.allocation(0).plan.write_text(a_plan())
    jobs.until_measuring()
    command = the_command(capsys, "-o", "outputs")
    assert f"--chdir={jobs.sweep.allocation(0).attempt(0).path}" in command


def the_command(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["ssh", *words]) == 0
    return shlex.split(capsys.readouterr().out)


def test_a_shell_beside_a_worker(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    processes = [ready("etcd", "etcd", 0, "n2"), ready("decode0", "decode", 1, "n3")]
    job = jobs.allocation("-w", "n[2-3]", "-N2", processes=processes)
    jobs.sweep.allocation(0).plan.write_text(a_plan())
    jobs.until_measuring()
    command = the_command(capsys)
    assert command[:2] == ["srun", f"--jobid={job}"]
    assert {"--overlap", "--nodelist=n3", "--pty"} <= set(command)
    assert "--nodelist=n2" in the_command(capsys, "etcd")
    assert main(["ssh"]) == 0
    assert capsys.readouterr().err.startswith("decode0 is on n3;")  # its number is that of an srun on another node
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=jobs.cluster.environment()) as shell:
        os.close(theirs)
        os.write(ours, b"echo $(hostname):$(pwd); exit\n")
        said = b""
        deadline = time.monotonic() + 20
        while b"n3:/" not in said and time.monotonic() < deadline:
            said += os.read(ours, 4096)
        os.close(ours)
        shell.wait(20)
    assert f"n3:{jobs.sweep.allocation(0).attempt(0).path}".encode() in said.replace(b"\r\n", b"").replace(b"\r", b"")


def test_in_its_container(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    processes = [ready("etcd", "etcd", 0, "n1"), ready("decode0", "decode", 0, "n1")]
    job = jobs.allocation(processes=processes)
    container = Container("pyxis", "/images/x.sqsh", (("/models", "/model"), ("@allocation@", "@allocation@")))
    jobs.sweep.allocation(0).plan.write_text(a_plan(container=container, srun_options={"mpi": "pmix"}))
    jobs.until_measuring()
    command = the_command(capsys, "decode0")
    assert f"--container-name=srtctl-{job}" in command
    assert "--container-image=/images/x.sqsh" in command
    assert "--mpi=pmix" in command
    mounts = next(word for word in command if word.startswith("--container-mounts="))
    assert "/models:/model" in mounts
    assert "@" not in mounts
    assert not [word for word in the_command(capsys, "etcd") if word.startswith("--container")]


def test_nothing_runs(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation("--hold")
    assert main(["ssh"]) == 1
    assert "allocation 0 is queued" in capsys.readouterr().err


def test_a_name_that_is_none(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.allocation(processes=[ready("decode0", "decode", 0, "n1")])
    jobs.sweep.allocation(0).plan.write_text(a_plan())
    jobs.until_measuring()
    assert main(["ssh", "decod0"]) == 2
    assert "did you mean decode0?" in capsys.readouterr().err
    assert main(["ssh", "--allocation", "7"]) == 2


def test_on_this_machine_it_is_a_directory(
    jobs: Jobs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs.allocation(processes=[ready("decode0", "decode", 0, "n1")])
    jobs.until_measuring()
    state = jobs.look()
    state.allocations[0].record["executor"] = "local"
    command = ssh.shell_command(state, state.allocations[0], {"name": "decode0", "host": "n1"})
    assert command[0] == "sh"
    assert str(jobs.sweep.allocation(0).attempt(0).path) in command[2]
    assert json.loads(jobs.sweep.manifest.read_text())["executor"] == "slurm"
