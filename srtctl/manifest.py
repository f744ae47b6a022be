"""sweep.json: what a sweep is meant to be, and the ids of its allocations; never their state."""

from __future__ import annotations

import datetime
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srtctl import __version__
from srtctl.invocation import Invocation
from srtctl.rundir import SweepDir, write_text

if TYPE_CHECKING:
    from srtctl.prepare import PreparedPoint
    from srtctl.sweep import Allocation, Sweep

MANIFEST_VERSION = 1


def manifest(sweep: Sweep, directory: SweepDir) -> dict[str, Any]:
    """The manifest of a new sweep."""
    invocation = sweep.invocation
    return {
        "schema_version": MANIFEST_VERSION,
        "sweep_id": directory.sweep_id,
        "name": sweep.name,
        "created_at": _now(),
        **_command_record(invocation),
        "versions": {"srtctl": __version__, **sweep.points[0].versions},
        "git": git_state(Path.cwd()) if invocation.verb == "apply" else None,
        "tags": list(sweep.points[0].job.tags),
        "executor": sweep.executor,
        "output_dir": str(directory.path.parent.parent),
        "points": point_records(sweep),
        "allocations": [allocation_record(allocation, sweep.executor) for allocation in sweep.allocations],
    }


def extended(manifest: dict[str, Any], sweep: Sweep, withdrawn: frozenset[int]) -> dict[str, Any]:
    """The manifest of a resumed sweep: its missing points have new allocations, points may have been added.

    Args:
        manifest: As it was.
        sweep: What is submitted now.
        withdrawn: Indices of points that have no result and that nobody asks for any more.
    """
    records = {int(record["index"]): dict(record) for record in manifest["points"]}
    for index in withdrawn:
        records[index]["withdrawn"] = True
    for record in point_records(sweep):
        records[record["index"]] = {**records.get(record["index"], {}), **record}
        records[record["index"]].pop("withdrawn", None)
    added = [allocation_record(allocation, sweep.executor) for allocation in sweep.allocations]
    again = {"at": _now(), **_command_record(sweep.invocation), "allocations": [record["index"] for record in added]}
    return {
        **manifest,
        "points": [records[index] for index in sorted(records)],
        "resumed": [*manifest.get("resumed", []), again],
        "allocations": [*manifest["allocations"], *added],
    }


def point_records(sweep: Sweep) -> list[dict[str, Any]]:
    """The points that run now, with the allocation of each."""
    home = {index: a.index for a in sweep.allocations for index in a.points}
    return [_point_record(point, home[point.index]) for point in sweep.points]


def _point_record(point: PreparedPoint, allocation: int) -> dict[str, Any]:
    return {
        "index": point.index,
        "dir": f"points/{point.index:04d}",
        "overrides": list(point.overrides),
        "config_id": point.config_id,
        "deployment_id": point.deployment_id,
        "allocation": allocation,
        "name": point.job.name,
        "benchmark": point.job.benchmark.type,
        "summary": point.summary,
    }


def allocation_record(allocation: Allocation, executor: str) -> dict[str, Any]:
    """An allocation before it is submitted.

    `intent_at` is set before the submission, `job_id` and `submitted_at` after it, `refused` (why) instead of them
    where it was refused. An intent with neither is a submission that was cut off: see `srtctl.reconcile`.
    """
    return {
        "index": allocation.index,
        "dir": f"allocations/{allocation.index:04d}",
        "deployment_id": allocation.plan.deployment_id,
        "nodes": len(allocation.plan.slots),
        "gpus": allocation.gpu_count,
        "points": list(allocation.points),
        "executor": executor,
        "job_id": None,
        "intent_at": None,
        "submitted_at": None,
    }


class Ledger:
    """The manifest while its allocations are submitted one after the other.

    On disk it is true before each submission and after it. Whatever does not change is turned into text once: a
    manifest of a thousand allocations is written a thousand times.
    """

    def __init__(self, directory: SweepDir, manifest: dict[str, Any]):
        self._path = directory.manifest
        self._records = {int(record["index"]): record for record in manifest["allocations"]}
        fixed = {key: value for key, value in manifest.items() if key != "allocations"}
        self._head = _json(fixed).removesuffix("\n}") + ',\n  "allocations": [\n'
        self._texts = {index: _json(record, 4) for index, record in self._records.items()}

    def intend(self, index: int) -> None:
        """On disk: all ids so far, and that this allocation is about to be submitted."""
        self._change(index, intent_at=time.time())
        self.save()

    def accepted(self, index: int, job_id: str, cluster: str = "") -> None:
        """The id of an allocation; on disk with the next intent or `save`."""
        self._change(index, job_id=job_id, submitted_at=time.time(), **({"slurm_cluster": cluster} if cluster else {}))

    def refused(self, index: int, why: str) -> None:
        """On disk: this allocation was refused, so nothing runs there."""
        self._change(index, refused=why)
        self.save()

    def save(self) -> None:
        """Write all of it, atomically."""
        write_text(self._path, self._head + ",\n".join(self._texts.values()) + "\n  ]\n}\n")

    @property
    def job_ids(self) -> list[str]:
        """The ids so far, in the order of allocations."""
        return [str(record["job_id"]) for record in self._records.values() if record["job_id"] is not None]

    def _change(self, index: int, **values: Any) -> None:
        self._records[index].update(values)
        self._texts[index] = _json(self._records[index], 4)


def _json(value: Any, indent: int = 0) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(" " * indent + line for line in text.splitlines()) if indent else text


def _command_record(invocation: Invocation) -> dict[str, Any]:
    return {"argv": list(invocation.argv), "cwd": str(Path.cwd()), "recipe": _recipe_record(invocation)}


def _recipe_record(invocation: Invocation) -> dict[str, Any] | None:
    if invocation.recipe is None:
        return None
    import hashlib

    path = invocation.recipe.absolute()
    if invocation.recipe_text is not None:
        content = invocation.recipe_text.encode()
        path = invocation.recipe
    elif invocation.recipe_files:  # one line for each file of the directory, as sha256sum prints them
        sums = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in invocation.recipe_files}
        names = {file: file.relative_to(invocation.recipe) for file in sums}
        content = "".join(f"{digest}  {names[file]}\n" for file, digest in sums.items()).encode()
    else:
        content = path.read_bytes()
    return {"path": str(path), "sha256": hashlib.sha256(content).hexdigest(), "selector": invocation.selector}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def git_state(directory: Path) -> dict[str, Any] | None:
    """Commit and cleanness of the checkout around `directory`; None outside of one, or without git."""
    if not any((parent / ".git").exists() for parent in (directory, *directory.parents)):
        return None
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=directory, capture_output=True, text=True, check=True, timeout=5).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(changes)}
