"""Writes a sweep to disk: all of it, or nothing."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from srtctl.errors import ExitCode, Problem, SrtctlError
from srtctl.invocation import Invocation
from srtctl.manifest import extended, manifest
from srtctl.plan.codec import to_json
from srtctl.prepare import PreparedPoint
from srtctl.rundir import LOCK, AllocationDir, SweepDir, output_directory, write_json, write_text
from srtctl.schema import JobConfig
from srtctl.sweep import Allocation, Sweep, problem_record
from srtctl.yamltext import dump_sections

# Slurm replaces %j and the like in paths of logs, a backslash switches that off, a line break ends a line of squeue.
_UNFIT_FOR_SLURM = re.compile(r"[%\\\x00-\x1f\x7f]")


def write(sweep: Sweep, dry_run: bool = False) -> SweepDir:
    """Write the whole sweep, into a new directory unless it is resumed; on any failure nothing of it stays.

    Raises:
        SrtctlError: The output directory can't be written, or the disk is full.
    """
    if sweep.resumed is not None and not dry_run:
        return _append(sweep)
    base = output_directory_of(sweep.invocation, sweep.points[0].job)
    if sweep.executor == "slurm" and (unfit := _UNFIT_FOR_SLURM.search(str(base))):
        raise SrtctlError(_unfit(base, unfit[0]))
    try:
        directory = _new_directory(base / "dry-runs" / sweep.name if dry_run else base / sweep.name)
    except OSError as error:
        raise SrtctlError(_cannot_write(base, error), ExitCode.UNAVAILABLE) from error
    with _all_or_nothing(directory.path, [directory.path]):
        _write_allocations(directory, sweep)
        for point in sweep.points:
            _write_point(directory, point)
        write_json(directory.manifest, manifest(sweep, directory))
    return directory


def output_directory_of(invocation: Invocation, job: JobConfig) -> Path:
    """Where the sweep of this command goes; absolute."""
    return output_directory(invocation.output_dir, job.cluster.output_dir).absolute()


def lock(directory: SweepDir) -> int:
    """Keep others from submitting allocations of this sweep, until the descriptor is closed or this process ends.

    Raises:
        SrtctlError: Somebody does so now.
    """
    try:
        descriptor = os.open(directory.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SrtctlError(_cannot_write(directory.path, error), ExitCode.UNAVAILABLE) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        message = f"another command submits allocations of {directory.sweep_id} at this moment"
        raise SrtctlError(
            Problem("locked", message, hint="try again when it has ended"), ExitCode.UNAVAILABLE
        ) from error
    except OSError:
        pass  # a file system without locks
    return descriptor


def _append(sweep: Sweep) -> SweepDir:
    """Write what a resumed sweep runs now into its directory: new allocations, missing and added points."""
    assert sweep.resumed is not None
    directory = sweep.resumed.directory
    made = [directory.allocation(allocation.index).path for allocation in sweep.allocations]
    made += [path for point in sweep.points if not (path := directory.point(point.index).path).exists()]
    with _all_or_nothing(directory.path, made):
        _write_allocations(directory, sweep)
        for point in sweep.points:
            _write_point(directory, point)
        write_json(directory.manifest, extended(sweep.resumed.manifest, sweep, sweep.resumed.withdrawn))
    return directory


@contextlib.contextmanager
def _all_or_nothing(directory: Path, made: list[Path]) -> Iterator[None]:
    """Remove the directories `made` on any failure; one to write is shown as the user's to mend."""
    try:
        yield
    except BaseException as error:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, OSError):
            raise SrtctlError(_cannot_write(directory, error), ExitCode.UNAVAILABLE) from error
        raise


def _write_allocations(directory: SweepDir, sweep: Sweep) -> None:
    first: AllocationDir | None = None
    for allocation in sweep.allocations:
        first = _write_allocation(directory, allocation, first)


def _write_allocation(directory: SweepDir, allocation: Allocation, first: AllocationDir | None) -> AllocationDir:
    """Write one allocation's files; the orchestrator is copied once and linked for the others."""
    from srtctl.pyz import write_pyz

    here = directory.allocation(allocation.index)
    here.rendered.mkdir(parents=True)
    write_text(here.plan, to_json(allocation.plan))
    here.batch.write_text(allocation.batch, encoding="utf-8")
    write_json(here.points, [f"points/{index:04d}" for index in allocation.points])
    for file in allocation.plan.files:
        path = here.rendered / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, file.text, file.mode)
    if first is None:
        write_pyz(here.pyz)
        return here
    try:
        os.link(first.pyz, here.pyz)
    except OSError:  # a file system without hard links
        shutil.copyfile(first.pyz, here.pyz)
    return first


def _write_point(directory: SweepDir, point: PreparedPoint) -> None:
    here = directory.point(point.index)
    here.overrides.parent.mkdir(parents=True, exist_ok=True)
    here.config.write_text(dump_sections(point.config), encoding="utf-8")
    write_text(here.steps, to_json(point.steps))
    here.overrides.write_text(
        "".join(f"- {dump_sections(text)}" for text in point.overrides) or "[]\n", encoding="utf-8"
    )
    if point.setup_script is not None:
        (here.path / "setup_script.sh").write_text(point.setup_script, encoding="utf-8")
    if point.problems:
        write_json(here.warnings, [problem_record(problem) for problem in point.problems])


def _new_directory(parent: Path) -> SweepDir:
    """A directory of our own under `parent`; two commands in the same second get different ones."""
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = datetime.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        path = parent / f"{stamp}-{secrets.token_hex(3)}"
        try:
            path.mkdir()
            return SweepDir(path)
        except FileExistsError:
            continue


def _cannot_write(path: Path, error: OSError) -> Problem:
    allowed = "a directory on a file system with space left that you may write to"
    return _unusable(path, f"can't be written: {error.strerror or error}", allowed)


def _unfit(path: Path, character: str) -> Problem:
    what = f"has the character {character!r}, which Slurm would not take as it is"
    return _unusable(path, what, "a path without %, backslashes and line breaks")


def _unusable(path: Path, what: str, allowed: str) -> Problem:
    hint = "name another directory with -o DIR, or set cluster.output_dir"
    return Problem("output-directory", what, "-o", str(path), allowed, hint)
