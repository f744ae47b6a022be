"""Which sweep a command means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from srtctl.errors import Problem, SrtctlError, suggestion
from srtctl.rundir import MANIFEST, SweepDir, find_sweeps


def select_sweep(wanted: str | None, output_dir: Path) -> SweepDir:
    """The sweep that the user means.

    Args:
        wanted: A path (of the sweep's directory or anything in it), an id, the beginning or end of an id, or a job's
            name or its beginning; None for the latest. Of several the latest is taken.
        output_dir: Where to look.

    Raises:
        SrtctlError: There is no such sweep.
    """
    if wanted and (inside := _around(Path(wanted).expanduser())):
        return inside
    sweeps = find_sweeps(output_dir)
    if not sweeps:
        hint = (
            "start one with `srtctl apply`; where a cluster's output_dir holds them, say so with -o DIR, or once for "
            "all with `export SRTCTL_OUTPUT_DIR=DIR`"
        )
        raise SrtctlError(Problem("no-sweep", f"there is no run under {output_dir}", hint=hint))
    if not wanted:
        return sweeps[-1]
    for fits in (_is, _begins, _ends, _name_begins):
        found = [sweep for sweep in sweeps if fits(sweep, wanted)]
        if found:
            return found[-1]
    raise SrtctlError(_unknown(wanted, sweeps, output_dir))


def read_manifest(sweep: SweepDir) -> dict[str, Any]:
    """The sweep's manifest.

    Raises:
        SrtctlError: It can't be read.
    """
    try:
        manifest = sweep.read_manifest()
        if not isinstance(manifest, dict) or not isinstance(manifest.get("points"), list):
            raise ValueError("it lists no points")
    except (OSError, ValueError) as error:
        problem = Problem("manifest", f"{sweep.manifest} can't be read: {error}", hint="the directory is damaged")
        raise SrtctlError(problem) from error
    return manifest


def _around(path: Path) -> SweepDir | None:
    if not path.exists():
        return None
    path = path.resolve()
    return next((SweepDir(p) for p in (path, *path.parents) if (p / MANIFEST).is_file()), None)


def _is(sweep: SweepDir, wanted: str) -> bool:
    return wanted in (sweep.sweep_id, f"{sweep.path.parent.name}/{sweep.sweep_id}")


def _begins(sweep: SweepDir, wanted: str) -> bool:
    return sweep.sweep_id.startswith(wanted)


def _ends(sweep: SweepDir, wanted: str) -> bool:
    return sweep.sweep_id.endswith(wanted)


def _name_begins(sweep: SweepDir, wanted: str) -> bool:
    return sweep.path.parent.name.startswith(wanted)


def _unknown(wanted: str, sweeps: list[SweepDir], output_dir: Path) -> Problem:
    known = [*{s.path.parent.name for s in sweeps}, *(s.sweep_id for s in sweeps)]
    latest = f"the latest is {sweeps[-1].path.parent.name}/{sweeps[-1].sweep_id}"
    return Problem(
        "no-sweep",
        f"there is no run called {wanted!r} under {output_dir}",
        allowed="a path, an id or its beginning, a job's name or its beginning",
        hint=f"{suggestion(wanted, known)} {latest}".lstrip(),
    )
