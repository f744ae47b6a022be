"""What is in a tools directory, read from names and first bytes: nothing is started."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

INCOMPLETE_MARK = ".installing"  # in an environment that an interrupted installation left behind
_COMPILED = re.compile(r"^Tag: .*linux\S*_(x86_64|aarch64)$", re.MULTILINE)  # in a wheel's metadata

MACHINE_MARK = ".machine"  # in an environment that was fetched for another machine: that machine's architecture


def releases(directory: Path, environment: str) -> dict[str, Path]:
    """Release -> environment directory of every complete `<environment>-<release>` in the tools directory."""
    found = {}
    prefix = f"{environment}-"
    for entry in entries(directory):
        if entry.startswith(prefix) and not (directory / entry / INCOMPLETE_MARK).exists():
            found[entry[len(prefix) :]] = directory / entry
    return found


def version_in(root: Path, distribution: str) -> str:
    """Release of a distribution in the environment at `root`; empty if it isn't there."""
    for site in root.glob("lib/python3*/site-packages"):
        version = dist_version(site, distribution)
        if version:
            return version
    return ""


def inside(root: Path, patterns: tuple[str, ...], site: Path) -> str:
    """The first file in an environment that one of the patterns names and that can be started; empty for none."""
    for pattern in patterns:
        in_site = pattern.startswith("{site}/")
        base, relative = (site, pattern[len("{site}/") :]) if in_site else (root, pattern)
        candidates = sorted(base.glob(relative)) if "*" in relative else [base / relative]
        for candidate in candidates:
            if executable(candidate):
                return str(candidate)
    return ""


def executable(path: Path) -> bool:
    """Whether it can be started; some installers drop the mode bits of files in a wheel, which is repaired here."""
    if path.is_symlink() and (path.parent.parent / MACHINE_MARK).exists():
        return True  # to an interpreter of the nodes, which need not be here
    if not path.is_file():
        return False
    if os.access(path, os.X_OK):
        return True
    try:
        path.chmod(path.stat().st_mode | 0o111)
    except OSError:
        return False
    return True


def dist_version(site: Path, distribution: str) -> str:
    """Release of a distribution in a site-packages directory; empty if it isn't there."""
    prefix = f"{distribution}-"
    for entry in entries(site):
        if entry.startswith(prefix) and entry.endswith(".dist-info"):
            return entry[len(prefix) : -len(".dist-info")]
    return ""


def machine_of_environment(root: Path) -> str:
    """For which architecture the compiled packages of an environment are; empty where it has none or is none.

    Its programs are scripts, and its interpreter a link into another directory, which on this machine may hold another
    one than on the nodes: only what was installed tells.
    """
    for wheel in sorted(root.glob("lib/python3*/site-packages/*.dist-info/WHEEL")):
        try:
            match = _COMPILED.search(wheel.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if match:
            return match[1]
    return ""


def entries(directory: Path) -> Iterator[str]:
    """Names in a directory, sorted; none where it isn't there."""
    try:
        yield from sorted(os.listdir(directory))  # noqa: PTH208 - names are enough, and this is the quick way
    except OSError:
        return


def order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sort key of releases: numbers by value, and a final release after its pre-releases."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            return tuple(numbers), False, version
    return tuple(numbers), True, version
