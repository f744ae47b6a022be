"""Install Python packages on a node's own disk, over an environment that stays as it is.

    python -I -S orchestrator.pyz --install DIRECTORY REQUIREMENT

makes an environment in DIRECTORY that sees everything of the interpreter that runs this, and installs REQUIREMENT into
it. A wheel is installed even if its release is there already. pip's settings (an index, certificates, …) hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FLAG = "--install"
_SITES = "import json, site, sysconfig; print(json.dumps([sysconfig.get_path('purelib'), *site.getsitepackages()]))"


def main() -> int:
    """Entry of `orchestrator.pyz --install`; returns the exit code of what failed."""
    directory, requirement = Path(sys.argv[2]), sys.argv[3]
    inside = directory / "bin" / "python"
    code = _run([sys.executable, "-m", "venv", "--without-pip", str(directory)])
    if code:
        return code
    _see_all_of(sys.executable, inside)
    pip = [str(inside), "-m", "pip"]
    # The interpreter's own pip is at hand, mostly; an environment made by uv has none.
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        code = _run([str(inside), "-m", "ensurepip", "--default-pip"])
    code = code or _run([*pip, "install", requirement])
    if not code and requirement.endswith(".whl"):
        code = _run([*pip, "install", "--force-reinstall", "--no-deps", requirement])
    return code


def _see_all_of(python: str, inside: Path) -> None:
    """Let an environment import what another interpreter can, after its own."""
    below, *_ = _sites(str(inside))
    paths = [path for path in _sites(python) if os.path.isdir(path)]  # noqa: PTH112
    Path(below, "srtctl-base.pth").write_text("".join(f"{path}\n" for path in dict.fromkeys(paths)))


def _sites(python: str) -> list[str]:
    import json

    done = subprocess.run([python, "-c", _SITES], capture_output=True, text=True, check=True)
    return [str(path) for path in json.loads(done.stdout)]


def _run(command: list[str]) -> int:
    print("+ " + " ".join(command), flush=True)
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    return subprocess.run(command, check=False, env={**settings, **os.environ}, stdin=subprocess.DEVNULL).returncode
