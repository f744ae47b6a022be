"""Install Dynamo, the benchmark client and the services into environments of their own.

Their pins never meet srtctl's. Each environment is `<directory>/<name>-<release>`; a mark file inside says that it
is not complete yet, so an interrupted installation is seen and begun again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from srtctl.errors import ExitCode, Problem, SrtctlError
from srtctl.tools.find import PROGRAMS
from srtctl.tools.installed import INCOMPLETE_MARK, version_in

LOCKS = Path(__file__).resolve().parent.parent / "assets" / "locks"
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
PYTHON_VERSION = re.compile(r"(\d+)\.(\d+)")
FAILED_HINT = (
    "`pip download pip` tells whether the package index is reachable; without it set the paths in cluster.tools"
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Release:
    """One release we know how to install: pinned in `assets/locks/<environment>-<release>.txt`.

    Attributes:
        environment: First part of the environment's name.
        number: The release.
        pythons: Interpreters it runs on, oldest and newest.
    """

    environment: str
    number: str
    pythons: tuple[tuple[int, int], tuple[int, int]] = ((3, 10), (3, 13))

    @property
    def name(self) -> str:
        return f"{self.environment}-{self.number}"


# Argument of `srtctl tools install` -> releases, the preferred one first; the next one is the way out where it can't be
# installed (no interpreter that fits, a package the index doesn't have). aiperf before 0.13 can't draw lengths from a
# range, which sa-bench needs, so there is no way out for the client.
RELEASES = {
    "dynamo": (Release("dynamo", "1.6.1"), Release("dynamo", "1.4.2")),
    "client": (Release("aiperf", "0.13.0", ((3, 11), (3, 13))),),
    "lm-eval": (Release("lm-eval", "0.4.13"),),
    "services": (Release("services", "1"),),
}


def parse(request: str) -> tuple[str, tuple[Release, ...]]:
    """`dynamo` or `dynamo==1.4.2` -> its name and the releases to try, in order.

    Raises:
        SrtctlError: No such tool or release.
    """
    name, _, number = request.partition("==")
    if name not in RELEASES:
        raise SrtctlError(Problem("unknown-tool", f"there is no tool called {name}", allowed=", ".join(RELEASES)))
    if not number:
        return name, RELEASES[name]
    chosen = tuple(r for r in RELEASES[name] if r.number == number)
    if not chosen:
        have = ", ".join(f"{name}=={r.number}" for r in RELEASES[name])
        hint = f"any other release: make an environment with it and set cluster.tools.{name}_python to its interpreter"
        message = f"srtctl has no lock file for {request}"
        raise SrtctlError(Problem("unknown-release", message, allowed=have, hint=hint if name == "dynamo" else ""))
    return name, chosen


def install(request: str, directory: Path, say: Say) -> Path:
    """Make sure that a tool is in the tools directory.

    Args:
        request: As `parse` takes it.
        directory: Tools directory; made if needed.
        say: Takes one line of progress at a time.

    Returns:
        The environment's directory.

    Raises:
        SrtctlError: Nothing that was asked for could be installed; what was tried is in the message.
    """
    name, releases = parse(request)
    failures: list[str] = []
    with locked(directory, say):
        for release in releases:
            root = directory / release.name
            if is_complete(root, release):
                say(f"{release.name}: already in {root}")
                return root
            python = find_python(release.pythons) or _python_of_uv(release, say)
            if python is None:
                oldest, newest = (".".join(map(str, v)) for v in release.pythons)
                failures.append(f"{release.name} needs a Python from {oldest} to {newest}, and there is none here")
            else:
                failure = _make(release, root, python, say)
                if not failure:
                    return root
                failures.append(f"{release.name}: {failure}")
            say(failures[-1])
            if release is not releases[-1]:
                say(f"{name}: falling back to an older release")
    raise SrtctlError(
        Problem("install-failed", f"{request} could not be installed: {'; '.join(failures)}", hint=FAILED_HINT),
        ExitCode.UNAVAILABLE,
    )


def is_complete(root: Path, release: Release, *, foreign: bool = False) -> bool:
    """Whether the environment is there, whole, with the release that its name says.

    Args:
        foreign: It was fetched for other machines, whose interpreter is not here.
    """
    if (root / INCOMPLETE_MARK).exists() or not (foreign or (root / "bin" / "python").exists()):
        return False
    program = next(p for p in PROGRAMS.values() if p.environment == release.environment)
    found = version_in(root, program.distribution)
    return bool(found) and (found == release.number or release.environment == "services")


def find_python(supported: tuple[tuple[int, int], tuple[int, int]]) -> str | None:
    """An interpreter whose version lies in the range: this one if it fits, else the newest in PATH."""
    oldest, newest = supported
    if oldest <= sys.version_info[:2] <= newest:
        return getattr(sys, "_base_executable", None) or sys.executable
    for minor in range(newest[1], oldest[1] - 1, -1):
        path = shutil.which(f"python3.{minor}")
        # A version manager's shim is found even where the version is not installed; so it is asked.
        if path and _python_version(path) == (3, minor):
            return path
    return None


def _python_of_uv(release: Release, say: Say) -> str | None:
    """An interpreter outside PATH that uv knows of, or one that it downloads into the user's data directory."""
    uv = find_uv()
    if uv is None:
        return None
    (oldest, newest), name = release.pythons, release.name
    wanted = f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"
    find = [uv, "python", "find", "--system", wanted]
    answer = subprocess.run([*find, "--no-python-downloads"], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        say(f"{name}: no Python {wanted} on this machine; letting uv download one")
        run([uv, "python", "install", "--quiet", f"{newest[0]}.{newest[1]}"])
        answer = subprocess.run(find, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def _python_version(python: str) -> tuple[int, int] | None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run([python, "--version"], capture_output=True, text=True, timeout=10, check=False)
        match = PYTHON_VERSION.search(answer.stdout)
        if answer.returncode == 0 and match:
            return int(match[1]), int(match[2])
    return None


def _make(release: Release, root: Path, python: str, say: Say) -> str:
    """Build the environment; the text of what went wrong, empty when nothing did."""
    if root.exists():
        say(f"{release.name}: removing an incomplete environment")
        shutil.rmtree(root)
    root.mkdir(parents=True)
    (root / INCOMPLETE_MARK).touch()
    say(f"{release.name}: installing into {root}")
    lock = str(LOCKS / f"{release.name}.txt")
    inside = str(root / "bin" / "python")
    # The lock lists everything, so nothing is resolved here: requirements that the index can't give are left out of it.
    wanted = ["--no-deps", "-r", lock]
    failures = []
    for commands in _ways(python, root, inside, wanted):
        failure = next(filter(None, map(run, commands)), "")
        if not failure:
            break
        failures.append(failure)
    else:
        return "; ".join(failures)
    (root / INCOMPLETE_MARK).unlink()
    if not is_complete(root, release):
        return f"the environment in {root} does not hold what its lock file says"
    return ""


def _ways(python: str, root: Path, inside: str, wanted: list[str]) -> Iterator[list[list[str]]]:
    """Commands that make the environment: with uv if there is one, then with pip, which alone knows pip.conf."""
    uv = find_uv()
    if uv:
        yield [
            [uv, "venv", "--quiet", "--allow-existing", "--no-python-downloads", "--python", python, str(root)],
            [uv, "pip", "install", "--quiet", "--python", inside, *wanted],
        ]
    yield [[python, "-m", "venv", str(root)], [inside, "-m", "pip", "install", "--quiet", *wanted]]


def run(command: list[str]) -> str:
    """Run an installer; the end of what it said if it failed, else an empty text."""
    env = {"UV_HTTP_TIMEOUT": "180", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ}
    if any(Path(bundle).exists() for bundle in CERTIFICATES):
        # As pip does, trust the certificates of this machine, which may include those of a proxy.
        env = {"UV_SYSTEM_CERTS": "true", "UV_NATIVE_TLS": "true", **env}
    env.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False
        )
    except OSError as error:
        return f"`{command[0]}` can't be started: {error.strerror}"
    if done.returncode == 0:
        return ""
    last = " | ".join(done.stdout.strip().splitlines()[-5:])
    return f"`{' '.join(command)}` ended with {done.returncode}: {last}"


def find_uv() -> str | None:
    """uv in this environment, else in PATH."""
    beside = Path(sys.prefix) / "bin" / "uv"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")


@contextlib.contextmanager
def locked(directory: Path, say: Say) -> Iterator[None]:
    """Only one installation in a tools directory at a time."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = (directory / ".lock").open("w")
    except OSError as error:
        message = f"the tools directory {directory} can't be written: {error.strerror}"
        hint = "choose another with --directory, and set cluster.tools.directory to it"
        raise SrtctlError(Problem("tools-directory", message, hint=hint), ExitCode.UNAVAILABLE) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another installation in {directory}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: go on without
            say(f"{directory} is on a file system without locks; make sure that nobody else installs there now")
        yield
