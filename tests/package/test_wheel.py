"""The wheel by itself: in a clean environment, from another directory, on both Hydras."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from srtctl.tools.install import CERTIFICATES

REPOSITORY = Path(__file__).parent.parent.parent
UV = Path(sys.prefix) / "bin" / "uv"
HYDRAS = [
    pytest.param("hydra-core==1.3.8", id="hydra-1.3"),
    pytest.param("hydra-core>=1.4.0rc1,<1.5", id="hydra-1.4"),
]


def run(*words: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command in a clean environment: nothing of this one is inherited but where programs and certificates are."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "UV_CACHE_DIR")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    if any(Path(bundle).exists() for bundle in CERTIFICATES):
        env["UV_SYSTEM_CERTS"] = "true"
    done = subprocess.run([str(w) for w in words], cwd=cwd, env=env, capture_output=True, text=True, timeout=170)
    if check and done.returncode != 0:
        pytest.fail(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", out, REPOSITORY, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module", params=HYDRAS)
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that is empty but for an environment with the wheel in it."""
    place = tmp_path_factory.mktemp("clean")
    run(UV, "venv", "--quiet", "--python", sys.executable, place / "env", cwd=place)
    options = ["--prerelease", "allow"] if "rc" in request.param else []
    python = place / "env/bin/python"
    run(UV, "pip", "install", "--quiet", "--python", python, *options, wheel, request.param, cwd=place)
    return place


def test_core_stays_small(installed: Path) -> None:
    listed = run(UV, "pip", "list", "--format", "json", "--python", installed / "env/bin/python", cwd=installed).stdout
    names = {row["name"] for row in json.loads(listed)} - {"srtctl"}
    assert len(names) <= 15, sorted(names)


def test_wheel_holds_code_conf_and_assets_and_nothing_else(wheel: Path, tmp_path: Path) -> None:
    listed = run(sys.executable, "-m", "zipfile", "-l", wheel, cwd=tmp_path).stdout
    names = re.findall(r"^(\S+)\s", listed, flags=re.MULTILINE)[1:]
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"srtctl", "hydra_plugins"}
    assert {"srtctl/conf/config.yaml", "srtctl/assets/tiny-model/tokenizer.json"} <= set(names)
    assert {"srtctl/assets/locks/dynamo-1.6.1.txt", "hydra_plugins/srtctl_launchers/launcher.py"} <= set(names)
    assert "hydra_plugins/__init__.py" not in names  # it would hide other packages' plugins


def test_help_and_version(installed: Path) -> None:
    from srtctl import __version__

    assert "srtctl apply" in run("env/bin/srtctl", "--help", cwd=installed).stdout
    assert run("env/bin/srtctl", "--version", cwd=installed).stdout == f"srtctl {__version__}\n"
    assert run("env/bin/python", "-m", "srtctl", "--version", cwd=installed).stdout == f"srtctl {__version__}\n"


def test_hydra_sees_our_plugins(installed: Path) -> None:
    listed = run("env/bin/srtctl", "--info", "plugins", cwd=installed).stdout
    assert {"SrtLocalLauncher", "SrtSlurmLauncher", "SrtPreviewLauncher", "SrtSweeper"} <= set(
        re.findall(r"\w+", listed)
    )


def test_packaged_conf_is_composed(installed: Path) -> None:
    shown = run("env/bin/srtctl", "apply", "--cfg", "job", "mode=disagg", "backend=mocker", cwd=installed).stdout
    assert re.search(r"^cluster:\n(  .*\n)*  name: local$", shown, flags=re.MULTILINE), shown


def test_dry_run_without_any_program_names_them_and_writes_nothing(installed: Path) -> None:
    done = run("env/bin/srtctl", "dry-run", "model=tiny", "mode=disagg", "backend=mocker", cwd=installed, check=False)
    assert done.returncode in (2, 3), done.stdout + done.stderr
    assert "srtctl tools install dynamo" in done.stderr
    assert sorted(p.name for p in installed.iterdir()) == ["env"]
