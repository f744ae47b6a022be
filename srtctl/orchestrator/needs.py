"""What must be on each node before anything is started there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from srtctl.orchestrator.failures import how_to_get
from srtctl.plan.model import Plan, PointSteps

Needs = tuple[list[tuple[str, str]], list[tuple[str, str]]]


def needs_of(plan: Plan, points: Iterable[PointSteps], slot: int, attempt: Path) -> Needs:
    """Paths and programs that a node must have, each with what it is, in words; of what lies in containers none."""
    contained = plan.container.runtime != "none"
    paths = [(str(attempt), "the run's directory (is its file system mounted on this node?)")]
    programs: list[tuple[str, str]] = []
    images: set[str] = set()
    for process in plan.processes:
        if process.slot == slot:
            if contained and process.container:
                images.add(process.image or plan.container.image)
            else:
                programs += _programs(f"{process.name}{how_to_get(process.role)}", process.argv, process.setup)
                programs += _programs(process.name, *((program,) for program in process.programs))
    clients = [step for point in points for step in point.steps if step.slot == slot and step.argv]
    for step in clients:
        if contained and step.container:
            images.add(step.image or plan.container.image)
        else:
            programs += _programs(f"the benchmark client{how_to_get('client')}", step.argv)
    if any(rank.slot == slot for worker in plan.workers for rank in worker.ranks):
        paths += _path(plan.provenance.get("model_path"), "the model")
    if clients:
        paths += _path(plan.provenance.get("tokenizer_path"), "the tokenizer of the benchmark client")
    paths += [one for image in sorted(images) for one in _path(image, "the container image")]
    if images:
        paths += [one for source, _ in plan.container.mounts for one in _path(source, "what a container mounts")]
    return list(dict(reversed(paths)).items()), list(dict(reversed(programs)).items())


def _path(path: object, what: str) -> list[tuple[str, str]]:
    """An absolute path; other texts are names in a registry or on a hub, or hold tokens."""
    return [(path, what)] if isinstance(path, str) and path.startswith("/") and "@" not in path else []


def _programs(what: str, *commands: Sequence[str]) -> list[tuple[str, str]]:
    return [(command[0], what) for command in commands if command and "@" not in command[0]]
