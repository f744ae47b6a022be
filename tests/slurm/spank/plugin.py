"""Compile the plug-in."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.slurm.testcluster import packages

_HERE = Path(__file__).parent


def build_plugin(directory: Path) -> Path:
    """Compile it into a directory; plugstack.conf takes it as `required PATH [registry=DIRECTORY]`.

    Raises:
        UnavailableError: A compiler or Slurm's headers can't be installed.
        RuntimeError: It doesn't compile; with the compiler's messages.
    """
    packages.ensure(packages.PLUGIN)
    target = directory / "container.so"
    flags = "-std=gnu17 -Wall -Wextra -Werror -O1 -fPIC -shared".split()
    sources = [str(_HERE / name) for name in ("options.c", "container.c")]
    done = subprocess.run(["gcc", *flags, "-o", str(target), *sources], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the plug-in doesn't compile:\n{done.stderr}")
    return target
