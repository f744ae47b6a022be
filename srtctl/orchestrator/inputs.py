"""The files of an allocation, read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtctl import rundir
from srtctl.plan.codec import from_json
from srtctl.plan.model import Plan, PointSteps


@dataclass(frozen=True)
class Inputs:
    """The files of an allocation, read."""

    allocation: rundir.AllocationDir
    sweep: rundir.SweepDir
    plan: Plan
    points: tuple[tuple[rundir.PointDir, PointSteps], ...]


def read_inputs(directory: Path) -> Inputs:
    """Read the plan and the points of an allocation.

    Raises:
        ValueError: Something is missing or wrong; the text says what, and in which file.
    """
    directory = directory.absolute()
    allocation = rundir.AllocationDir(directory)
    if not directory.is_dir():
        raise ValueError(f"{directory} is not a directory")
    sweep = rundir.SweepDir(directory.parent.parent)
    plan = _read(allocation.plan, lambda text: from_json(Plan, text))
    names = _read(allocation.points, json.loads)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{allocation.points}: not a list of directory names")
    points = [rundir.PointDir(sweep.path / name) for name in names]
    steps = [_read(point.steps, lambda text: from_json(PointSteps, text)) for point in points]
    return Inputs(allocation, sweep, plan, tuple(zip(points, steps, strict=True)))


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path.parent} has no {path.name}: not an allocation directory of srtctl") from None
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
