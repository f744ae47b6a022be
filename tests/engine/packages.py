"""Published packages as folders of sources: downloaded once, without what they require, and read by the tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from .stack import ENVIRONMENT

PLATFORM = ["--platform", "any", "--platform", "manylinux_2_34_x86_64", "--python-version", "3.12"]


def unpacked(distribution: str, version: str) -> Path:
    """The folder of a release."""
    folder = ENVIRONMENT.parent / f"{distribution}-packages" / version
    if not (folder / "complete").exists():
        argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", *PLATFORM]
        subprocess.run([*argv, "-d", str(folder), f"{distribution}=={version}"], check=True, timeout=600)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".py")])
        wheel.unlink()
        (folder / "complete").touch()
    return folder
