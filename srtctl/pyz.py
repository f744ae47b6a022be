"""Builds `orchestrator.pyz`: the modules that a compute node needs, in one file that any Python >= 3.10 can run."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parent

# What the orchestrator imports: files, and packages of which every module is taken (registries list their entries).
PLAN = ("__init__", "codec", "model", "programs", "surroundings", "tokens")
FILES = ("__init__.py", "errors.py", "rundir.py", *(f"plan/{name}.py" for name in PLAN))
PACKAGES = ("benchmarks", "orchestrator", "questions", "schema")

MAIN = """import signal
import sys

if sys.version_info < (3, 10):
    sys.exit("error: this needs Python 3.10 or newer, and %s is %s" % (sys.executable, sys.version.split()[0]))

# A stop that is asked for while the modules load is kept until there is somebody to handle it.
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))

if sys.argv[1:] == ["--node"]:
    from srtctl.orchestrator.agent import main  # a fraction of all modules
elif sys.argv[1:2] == ["--install"]:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    from srtctl.orchestrator.installing import main
elif sys.argv[1:2] == ["--questions"]:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    from srtctl.questions.main import main
elif sys.argv[1:2] == ["--stage"]:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    from srtctl.orchestrator.staging import main
elif sys.argv[1:2] == ["--fetch"]:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    from srtctl.orchestrator.fetching import main
elif sys.argv[1:2] in (["--recorded"], ["--recorded-program"]):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    from srtctl.orchestrator.recorded import main
else:
    from srtctl.orchestrator.main import main

sys.exit(main())
"""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file knows


def modules() -> list[str]:
    """Paths of the modules in the archive, relative to the package, sorted."""
    found = set(FILES)
    for package in PACKAGES:
        found.update(str(path.relative_to(PACKAGE)) for path in (PACKAGE / package).rglob("*.py"))
    return sorted(found)


@functools.cache
def pyz_bytes() -> bytes:
    """The archive: the same bytes wherever and whenever it is built from the same sources."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry("__main__.py"), MAIN)
        for name in modules():
            archive.writestr(_entry(f"srtctl/{name}"), (PACKAGE / name).read_bytes())
    return buffer.getvalue()


def write_pyz(path: Path) -> None:
    """Write the archive to `path`."""
    path.write_bytes(pyz_bytes())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = 3  # Unix, also when built elsewhere
    entry.external_attr = 0o644 << 16
    return entry
