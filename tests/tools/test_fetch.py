"""Tools for nodes of another kind: fetched for real, told apart by their first bytes, named when they are missing."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from srtctl.errors import Severity
from srtctl.orchestrator.agent import missing_here
from srtctl.orchestrator.machinecode import machine_of
from srtctl.schema.cluster import ToolsConfig
from srtctl.tools import check_programs, find_programs

HERE = os.uname().machine
THERE = "aarch64" if HERE == "x86_64" else "x86_64"
MACHINE_NUMBERS = {"x86_64": 62, "aarch64": 183}  # e_machine in the ELF specification
SERVICES = ["etcd", "nats_server", "nginx"]


def srtctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "srtctl", *words], capture_output=True, text=True, timeout=170, check=False
    )


def elf(path: Path, machine: str) -> Path:
    """A file that begins as a program for a machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, MACHINE_NUMBERS[machine]))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tools directory with services for the other architecture."""
    directory = tmp_path_factory.mktemp("tools")
    done = srtctl("tools", "fetch", "--arch", THERE, "--directory", str(directory))
    assert done.returncode == 0, done.stderr
    return directory


def test_fetched_services_are_for_the_other_machine(fetched: Path) -> None:
    tools = ToolsConfig(directory=str(fetched))
    programs, problems = find_programs(tools, architecture=THERE, on_nodes=True)
    assert problems == []
    for name in SERVICES:
        assert programs.paths[name].startswith(f"{fetched}/{THERE}/services-1/")
        with open(programs.paths[name], "rb") as file:
            head = file.read(20)
        assert head[:4] == b"\x7fELF" and struct.unpack("<H", head[18:20]) == (MACHINE_NUMBERS[THERE],)
        assert os.access(programs.paths[name], os.X_OK)
    assert set(programs.versions) == set(SERVICES)


def test_a_second_fetch_has_nothing_to_do(fetched: Path) -> None:
    done = srtctl("tools", "fetch", "--arch", THERE, "--directory", str(fetched))
    assert done.stdout == f"services-1: already in {fetched}/{THERE}/services-1\n"
    shown = srtctl("tools", "list", "--arch", THERE, "--directory", str(fetched)).stdout
    assert f"{fetched}/{THERE}/services-1/bin/nats-server" in shown


def test_programs_for_another_machine_are_not_taken_for_this_one(fetched: Path) -> None:
    tools = ToolsConfig(nats_server=f"{fetched}/{THERE}/services-1/bin/nats-server")
    _, (problem,) = check_programs(tools, ["nats_server"], on_nodes=True)
    assert problem.rule == "wrong-architecture" and problem.severity is Severity.ERROR
    assert f"nats-server is for {THERE}, and the nodes are {HERE}" in problem.message


def environment(root: Path, machine: str, interpreter: str) -> Path:
    """aiperf's environment as an installer leaves it: scripts, a link to an interpreter, and metadata of wheels."""
    for name, tag in (("aiperf-0.13.0", "py3-none-any"), ("orjson-3.11", f"cp312-cp312-manylinux_2_17_{machine}")):
        metadata = root / f"lib/python3.12/site-packages/{name}.dist-info/WHEEL"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
    (root / "bin").mkdir()
    (root / "bin/python").symlink_to(interpreter)
    script = root / "bin/aiperf"
    script.write_text(f"#!{root}/bin/python\n")
    script.chmod(0o755)
    return root


def test_a_client_of_this_machine_is_not_planned_for_the_other(tmp_path: Path) -> None:
    """Its program is a script, which has no architecture of its own."""
    environment(tmp_path / "aiperf-0.13.0", HERE, sys.executable)
    tools = ToolsConfig(directory=str(tmp_path))
    _, (problem,) = check_programs(tools, ["aiperf"], on_nodes=True, architecture=THERE)
    assert problem.rule == "wrong-architecture" and problem.severity is Severity.ERROR
    assert f"aiperf is for {HERE}, and the nodes are {THERE}" in problem.message
    assert f"`srtctl tools install client --directory DIR/{THERE}` on such a node" in problem.hint
    assert check_programs(tools, ["aiperf"], on_nodes=True)[1] == []


def test_a_client_that_was_made_on_a_node_is_taken(tmp_path: Path) -> None:
    """Though the interpreter that its link names is another one here."""
    environment(tmp_path / THERE / "aiperf-0.13.0", THERE, sys.executable)
    tools = ToolsConfig(directory=str(tmp_path))
    programs, problems = check_programs(tools, ["aiperf"], on_nodes=True, architecture=THERE)
    assert problems == [] and programs.paths["aiperf"] == f"{tmp_path}/{THERE}/aiperf-0.13.0/bin/aiperf"


def test_the_job_says_it_on_the_node(fetched: Path) -> None:
    program = f"{fetched}/{THERE}/services-1/bin/nats-server"
    (text,) = missing_here([], [(program, "nats")], "")
    assert text.startswith(f"the program of nats is for {THERE}, and this node is {HERE}: {program}")
    assert f"srtctl tools fetch --arch {HERE}" in text


def test_nothing_of_this_machine_is_used_for_the_other(tmp_path: Path) -> None:
    """Wheels of this environment and programs in PATH don't run there."""
    tools = ToolsConfig(directory=str(tmp_path))
    programs, problems = check_programs(tools, SERVICES, on_nodes=True, architecture=THERE)
    assert programs.paths == {}
    assert {problem.key for problem in problems} == {f"cluster.tools.{name}" for name in SERVICES}
    assert all(f"`srtctl tools fetch --arch {THERE} services`" in problem.hint for problem in problems)
    assert all(f"for nodes of {THERE}" in problem.message for problem in problems)


def test_a_dry_run_says_what_is_missing_for_the_architecture(tmp_path: Path) -> None:
    words = ["cluster=slurm", f"cluster.architecture={THERE}", f"cluster.tools.directory={tmp_path}", "mode=agg"]
    done = srtctl("dry-run", *words, "cluster.gpus_per_node=8", "backend=mocker", "-o", str(tmp_path))
    assert done.returncode == 2
    assert f"Dynamo was not found in {tmp_path}, for nodes of {THERE}" in done.stderr
    assert f"srtctl tools fetch --arch {THERE} dynamo" in done.stderr
    assert "error: cluster.python" in done.stderr


def test_an_environment_for_python_links_to_the_nodes_interpreter(tmp_path: Path) -> None:
    """With a small lock in place of Dynamo's: scripts start on the interpreter of the nodes."""
    from srtctl.tools import fetch as fetcher
    from srtctl.tools.install import Release

    found = tmp_path / "site/bin"
    found.mkdir(parents=True)
    (found / "hello").write_text("#!/the/installer's/python\nimport sys\nprint('hello from', sys.argv[1])\n")
    with_space = tmp_path / "with space"
    (with_space / "bin").mkdir(parents=True)
    (with_space / "bin/python").symlink_to(sys.executable)
    fetcher._move_programs(found, with_space / "bin", with_space / "bin/python")
    done = subprocess.run([with_space / "bin/hello", "it"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello from it\n"
    assert fetcher._python_version(Release("dynamo", "1.6.1"), "/usr/bin/python3.12") == "3.12"


@pytest.mark.parametrize("python", [None, "/usr/bin/python3", "python3.12", "/usr/bin/python3.9"])
def test_an_interpreter_that_does_not_tell_its_release(tmp_path: Path, python: str | None) -> None:
    words = ["tools", "fetch", "dynamo", "--arch", THERE, "--to", str(tmp_path)]
    done = srtctl(*words, *(["--python", python] if python else []))
    assert done.returncode == 2
    assert "--python" in done.stderr
    assert not list(tmp_path.glob("dynamo*"))


@pytest.mark.soak
def test_dynamo_for_the_other_machine(tmp_path: Path) -> None:
    done = srtctl("tools", "fetch", "dynamo", "--arch", THERE, "--to", str(tmp_path), "--python", "/usr/bin/python3.12")
    assert done.returncode == 0, done.stderr
    programs, problems = find_programs(ToolsConfig(directory=str(tmp_path)), architecture=THERE, on_nodes=True)
    assert (programs.versions["dynamo_python"], problems) == ("1.6.1", [])
    python = Path(programs.paths["dynamo_python"])
    assert python.readlink() == Path("/usr/bin/python3.12")
    modules = [str(path) for path in python.parent.parent.glob("lib/python3.12/site-packages/dynamo/**/*.so")]
    assert modules and {machine_of(path) for path in modules} == {THERE}


@pytest.mark.soak
def test_dynamo_for_this_machine_runs(tmp_path: Path) -> None:
    """What is fetched for this architecture can be tried here."""
    release = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = shutil.which(f"python{release}", path=f"{sys.base_prefix}/bin")
    done = srtctl("tools", "fetch", "dynamo", "--arch", HERE, "--to", str(tmp_path), "--python", str(python))
    assert done.returncode == 0, done.stderr
    program = tmp_path / "dynamo-1.6.1/bin/python"
    code = "import dynamo._core, sys; print(sys.prefix)"
    started = subprocess.run([program, "-c", code], capture_output=True, text=True, check=True)
    assert started.stdout.strip() == str(tmp_path / "dynamo-1.6.1")
