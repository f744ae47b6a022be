"""Add releases of SGLang to the tables of their flags and environment variables.

usage: .venv/bin/python srtctl/assets/make_sglang_tables RELEASE-OR-WHEEL...

    .venv/bin/python srtctl/assets/make_sglang_tables 0.5.24

Each release is downloaded from the package index without its dependencies (or read from the wheel that is given) and
read, never imported. A release that is in the tables already is made anew. The tables are texts: read the diff.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flags import flags_of
from sources import Package
from variables import renamed_variables, variables_of

from srtctl.backends import sglang_releases as tables

PLATFORMS = ("any", "manylinux2014_x86_64", "manylinux_2_28_x86_64", "manylinux_2_34_x86_64", "manylinux_2_39_x86_64")


def download(release: str, folder: Path) -> Path:
    """The release's wheel, for any Python: nothing of it is run."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*argv, "--python-version", "3.12", *platforms, "-d", str(folder), f"sglang=={release}"], check=True)
    return next(folder.glob(f"sglang-{release}-*.whl"))


def spans(by_release: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name -> first release -> what it is from there on, null where it is gone; as short as it can be."""
    found: dict[str, dict[str, Any]] = {}
    for release in sorted(by_release, key=tables.order):
        here = by_release[release]
        for name in {**found, **here}:
            history = found.setdefault(name, {})
            last = next(reversed(history.values()), None)
            if here.get(name) != last:
                history[release] = here.get(name)
    return {name: found[name] for name in sorted(found)}


def write(path: Path, head: dict[str, Any], key: str, entries: dict[str, Any]) -> None:
    """JSON with one entry a line, so that a new release is a small diff."""
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
    path.write_text("\n".join(["{", *lines, f" {json.dumps(key)}: {{", body, " }", "}", ""]), encoding="utf-8")


def merged(read: Callable[[str], dict[str, Any]], new: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    old = {release: read(release) for release in tables.releases()} if tables.FLAGS.exists() else {}
    return spans({**old, **new})


def main(wanted: list[str]) -> None:
    if not wanted or wanted[0].startswith("-"):
        sys.exit(__doc__)
    flags: dict[str, dict[str, Any]] = {}
    variables: dict[str, dict[str, Any]] = {}
    renamed = tables.renamed_variables() if tables.VARIABLES.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for word in wanted:
            wheel = Path(word) if word.endswith(".whl") else download(word, Path(folder))
            release, package = wheel.name.split("-")[1], Package(wheel)
            flags[release] = flags_of(package)
            variables[release] = dict.fromkeys(variables_of(package), True)
            renamed |= renamed_variables(package)
            print(f"sglang {release}: {len(flags[release])} flags, {len(variables[release])} environment variables")
    flag_spans, variable_spans = merged(tables.raw_flags, flags), merged(tables.raw_variables, variables)
    known = tables.releases() if tables.FLAGS.exists() else []
    head = {"releases": sorted({*known, *flags}, key=tables.order)}
    tables.FLAGS.parent.mkdir(exist_ok=True)
    write(tables.FLAGS, head, "flags", flag_spans)
    names = {name: list(history) for name, history in variable_spans.items()}
    write(tables.VARIABLES, {"renamed": dict(sorted(renamed.items()))}, "variables", names)


if __name__ == "__main__":
    main(sys.argv[1:])
