"""Submissions that were cut off: whether a job came of them, so that no job is ever unknown.

`apply` notes its intent before it submits an allocation, and the id after it. When it is killed in between, the id is
found in one of two places: the job writes it into its allocation's directory as its first act, and as long as the job
waits, Slurm's queue shows the directory it was submitted for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from srtctl.rundir import SweepDir, write_text
from srtctl.slurm.queue import directory_key


def open_intents(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of allocations whose submission was begun, with no known end."""
    return [
        record
        for record in manifest.get("allocations") or ()
        if record.get("intent_at") is not None and record.get("job_id") is None and record.get("refused") is None
    ]


def reconcile(sweep: SweepDir, manifest: Mapping[str, Any], queue: Iterable[tuple[str, str]]) -> dict[int, str]:
    """The ids of jobs that the manifest does not know.

    What the queue tells is kept as the allocation's file `job_id`, which the job itself would write: the manifest
    belongs to the command that submits, and to no other.

    Args:
        sweep: The sweep.
        manifest: Its manifest.
        queue: (job id, working directory) of all of the user's jobs, those included that ended a moment ago.

    Returns:
        Allocation index -> job id. An open intent that is not in it has no job that Slurm knows; within half a minute
        of the intent its submission may still be under way.
    """
    found: dict[int, str] = {}
    unknown: dict[str, int] = {}
    for record in open_intents(manifest):
        index = int(record["index"])
        own = own_job_id(sweep, index)
        if own is not None:
            found[index] = own
        elif record.get("executor") == "slurm":
            unknown[directory_key(sweep.allocation(index).path)] = index
    for job_id, directory in queue if unknown else ():
        index_or_none = unknown.get(directory_key(Path(directory)))
        if index_or_none is not None:
            found[index_or_none] = job_id.partition("+")[0]
            with contextlib.suppress(OSError):
                write_text(sweep.allocation(index_or_none).job_id, found[index_or_none] + "\n")
    return found


def own_job_id(sweep: SweepDir, index: int) -> str | None:
    """The id that the job of an allocation wrote into its directory."""
    with contextlib.suppress(OSError):
        return sweep.allocation(index).job_id.read_text(encoding="utf-8").strip() or None
    return None
