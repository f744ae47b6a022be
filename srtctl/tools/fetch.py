"""Fetch tools for machines of another kind than this one: wheels for their architecture, unpacked and never started.

A fetched environment looks like an installed one: `<directory>/<name>-<release>`. Its `bin/python` is a link to an
interpreter of the nodes, which need not be here; a mark file says for which architecture it is.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from srtctl.errors import ExitCode, Problem, SrtctlError
from srtctl.orchestrator.machinecode import machine_of
from srtctl.tools.install import (
    FAILED_HINT,
    LOCKS,
    Release,
    Say,
    find_uv,
    is_complete,
    locked,
    parse,
    run,
)
from srtctl.tools.installed import INCOMPLETE_MARK, MACHINE_MARK

ARCHITECTURES = ("aarch64", "x86_64")
ANY_PYTHON = "3.12"  # for programs that need none
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
_INTERPRETER = re.compile(r"/.*/python(3\.\d+)")

_SHEBANG = "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"  # a shell's first line, and a text to Python


def fetch(request: str, architecture: str, directory: Path, say: Say, python: str | None = None) -> Path:
    """Make sure that a tool for an architecture is in a directory.

    Args:
        request: As `install.parse` takes it.
        architecture: One of `ARCHITECTURES`.
        directory: Made if needed; of one architecture only.
        say: Takes one line of progress at a time.
        python: Path of the nodes' interpreter, for tools that need one; its name says its release.

    Returns:
        The environment's directory.

    Raises:
        SrtctlError: It can't be fetched; what was tried is in the message.
    """
    name, releases = parse(request)
    failures: list[str] = []
    with locked(directory, say):
        for release in releases:
            root = directory / release.name
            if is_complete(root, release, foreign=True) and _machine(root) == architecture:
                say(f"{release.name}: already in {root}")
                return root
            version = _python_version(release, python)
            failure = _make(release, root, architecture, version, python, say)
            if not failure:
                return root
            failures.append(f"{release.name}: {failure}")
            say(failures[-1])
    where = f"srtctl tools install {name} --directory {directory}"
    hint = f"{FAILED_HINT}; or make it on a node of that kind: `{where}`"
    message = f"{request} for {architecture} could not be fetched: {'; '.join(failures)}"
    raise SrtctlError(Problem("fetch-failed", message, hint=hint), ExitCode.UNAVAILABLE)


def _python_version(release: Release, python: str | None) -> str:
    """The release of the nodes' interpreter.

    Raises:
        SrtctlError: It is not told, or does not fit.
    """
    if release.environment == "services":
        return ANY_PYTHON
    match = _INTERPRETER.fullmatch(python or "")
    oldest, newest = (f"{major}.{minor}" for major, minor in release.pythons)
    if match is None:
        message = f"{release.name} needs an interpreter of the nodes, and its path must say its release"
        hint = "a link of such a name does where the interpreter is just python3"
        raise SrtctlError(Problem("node-python", message, "--python", python, "such as /usr/bin/python3.12", hint))
    if not release.pythons[0] <= tuple(int(part) for part in match[1].split(".")) <= release.pythons[1]:
        message = f"{release.name} runs on Python {oldest} to {newest}"
        raise SrtctlError(Problem("node-python", message, "--python", python))
    return match[1]


def _make(release: Release, root: Path, architecture: str, version: str, python: str | None, say: Say) -> str:
    """Fill the environment; the text of what went wrong, empty when nothing did."""
    shutil.rmtree(root, ignore_errors=True)
    site = root / f"lib/python{version}/site-packages"
    site.mkdir(parents=True)
    (root / INCOMPLETE_MARK).touch()
    say(f"{release.name}: fetching for {architecture} into {root}")
    failures = []
    for command in _ways(release, site, architecture, version):
        failure = run(command)
        if not failure:
            break
        failures.append(failure)
    else:
        return "; ".join(failures)
    (root / MACHINE_MARK).write_text(f"{architecture}\n")
    _move_programs(site / "bin", root / "bin", root / "bin/python")
    if python and release.environment != "services":
        (root / "bin/python").symlink_to(python)
        home = python.rpartition("/")[0]
        text = f"home = {home}\ninclude-system-site-packages = false\nversion = {version}\n"
        (root / "pyvenv.cfg").write_text(text)
    other = next(_of_another(root, architecture), None)
    if other is not None:
        return f"{other} is for {machine_of(str(other))}"
    (root / INCOMPLETE_MARK).unlink()
    return "" if is_complete(root, release, foreign=True) else f"{root} does not hold what its lock file says"


def _ways(release: Release, site: Path, architecture: str, version: str) -> Iterator[list[str]]:
    """Commands that unpack the wheels: with uv if there is one, then with pip, which alone knows pip.conf."""
    # The lock lists everything, so nothing is resolved here.
    what = ["--quiet", "--target", str(site), "--python-version", version, "--only-binary", ":all:", "--no-deps"]
    what += ["-r", str(LOCKS / f"{release.name}.txt")]
    uv = find_uv()
    if uv:
        yield [uv, "pip", "install", "--python", sys.executable, "--python-platform",
               f"{architecture}-{_PLATFORMS[0]}", *what]  # fmt: skip
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_{architecture}")]
    yield [sys.executable, "-m", "pip", "install", "--implementation", "cp", *platforms, *what]


def _move_programs(found: Path, place: Path, python: Path) -> None:
    """Put programs where an environment has them; those in Python were written for the interpreter that is here."""
    place.mkdir(exist_ok=True)
    for path in sorted(found.iterdir()) if found.is_dir() else ():
        target = place / path.name
        shutil.move(str(path), target)
        data = target.read_bytes()
        first, _, rest = data.partition(b"\n")
        if first.startswith(b"#!") and b"python" in first:
            target.write_bytes(_SHEBANG.format(python=python).encode() + rest)
        target.chmod(0o755)


def _of_another(root: Path, architecture: str) -> Iterator[Path]:
    """Programs and extension modules for another architecture."""
    for pattern in ("bin/*", "lib/**/*.so", "lib/**/bin/**/*", "lib/**/etcdbin/*"):
        for path in root.glob(pattern):
            if path.is_file() and not path.is_symlink() and machine_of(str(path)) not in ("", architecture):
                yield path


def _machine(root: Path) -> str:
    mark = root / MACHINE_MARK
    return mark.read_text().strip() if mark.exists() else ""
