"""Where everything of a sweep lies: every file name, and the only ways these files are written.

    outputs/<name>/<YYYYmmdd-HHMMSS>-<id>/
      sweep.json                    the manifest: intent and ids, never state
      points/0000/                  config.yaml  steps.json  warnings.json  .hydra/overrides.yaml
                  attempt-0/        result.json  measurements/<name>/  profiles/<worker>/
      allocations/0000/             plan.json  batch.sh  orchestrator.pyz  rendered/<file>  submit/
                       attempt-0/   status.json  events.jsonl  logs/<process>.log  environment.json  bound files

State is derived from status.json (and from Slurm), never stored a second time.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MANIFEST = "sweep.json"
LOCK = "submitting.lock"  # in a sweep's directory: held by the command that submits allocations of it


class AttemptDir:
    """One run of the orchestrator on an allocation."""

    def __init__(self, path: Path):
        self.path = path
        self.status = path / "status.json"
        self.events = path / "events.jsonl"
        self.environment = path / "environment.json"
        self.logs = path / "logs"
        self.lock = path / "lock"

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.log"


class AllocationDir:
    """One deployment's files and its attempts."""

    def __init__(self, path: Path):
        self.path = path
        self.plan = path / "plan.json"
        self.points = path / "points.json"  # the points to run here, in order, as directory names relative to the sweep
        self.batch = path / "batch.sh"
        self.pyz = path / "orchestrator.pyz"
        self.rendered = path / "rendered"
        self.submit = path / "submit"
        self.job_id = path / "job_id"  # written by the job itself, as its first act
        self.stop = path / "stop"  # its existence asks for an ordered stop
        self.orchestrator_log = path / "orchestrator.log"

    def attempt(self, number: int) -> AttemptDir:
        return AttemptDir(self.path / f"attempt-{number}")

    def attempts(self) -> list[AttemptDir]:
        """All that exist, oldest first."""
        return [AttemptDir(p) for p in _numbered(self.path, "attempt-")]

    def latest_attempt(self) -> AttemptDir | None:
        attempts = self.attempts()
        return attempts[-1] if attempts else None


class PointAttemptDir:
    """What one attempt measured at a point."""

    def __init__(self, path: Path):
        self.path = path
        self.result = path / "result.json"
        self.measurements = path / "measurements"
        self.profiles = path / "profiles"

    def measurement(self, name: str) -> Path:
        return self.measurements / name

    def profile(self, worker: str, measurement: str = "") -> Path:
        """Where what a profiler has recorded of a worker lies; by steps each measurement has its own directory."""
        return self.profiles / worker / measurement


class PointDir:
    """One point of a sweep."""

    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.yaml"
        self.steps = path / "steps.json"
        self.warnings = path / "warnings.json"
        self.overrides = path / ".hydra" / "overrides.yaml"

    def attempt(self, number: int) -> PointAttemptDir:
        return PointAttemptDir(self.path / f"attempt-{number}")

    def attempts(self) -> list[PointAttemptDir]:
        return [PointAttemptDir(p) for p in _numbered(self.path, "attempt-")]


class SweepDir:
    """A sweep's directory; a single job is a sweep of one."""

    def __init__(self, path: Path):
        self.path = path
        self.manifest = path / MANIFEST

    def point(self, index: int) -> PointDir:
        return PointDir(self.path / "points" / f"{index:04d}")

    def allocation(self, index: int) -> AllocationDir:
        return AllocationDir(self.path / "allocations" / f"{index:04d}")

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            FileNotFoundError: `path` is no sweep's directory.
            ValueError: It is not JSON.
        """
        manifest: dict[str, Any] = json.loads(self.manifest.read_text(encoding="utf-8"))
        return manifest

    @property
    def sweep_id(self) -> str:
        return self.path.name


def output_directory(named: str | Path | None, of_cluster: str | None = None) -> Path:
    """Where sweeps are: what is named, else $SRTCTL_OUTPUT_DIR, else the cluster's, else ./outputs."""
    return Path(named or os.environ.get("SRTCTL_OUTPUT_DIR") or of_cluster or "outputs").expanduser()


def find_sweeps(output_dir: Path) -> list[SweepDir]:
    """All sweeps under `output_dir`, oldest first, dry runs left out."""
    found = [p.parent for p in output_dir.glob(f"*/*/{MANIFEST}") if p.parent.parent.name != "dry-runs"]
    return [SweepDir(p) for p in sorted(found, key=lambda p: (p.name, str(p)))]


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` atomically: a reader sees the old text or the new one, whatever happens in between."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def append_event(path: Path, event: dict[str, Any]) -> None:
    """Append one line to events.jsonl in a single write, so that lines never mix."""
    line = (json.dumps(event, ensure_ascii=False) + "\n").encode()
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events written so far; a last line cut by a crash is left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def read_json(path: Path) -> Any:
    """The file's value, or None where there is no such file (yet)."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _numbered(parent: Path, prefix: str) -> list[Path]:
    found = [p for p in parent.glob(f"{prefix}*") if p.name[len(prefix) :].isdigit()]
    return sorted(found, key=lambda p: int(p.name[len(prefix) :]))
