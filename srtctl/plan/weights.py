"""Where processes find the model: fetched from the hub and copied to nodes' own disks before anything else starts.

Every node that needs the model has one task for it, however many workers stand there. A model of the hub is downloaded
by the first node, and then by the others, which find it there where nodes share their cache. What a task has got ready
is a directory, whose path the workers get: none of them asks the hub.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from srtctl.backends import BACKENDS
from srtctl.plan.environment import merge
from srtctl.plan.model import ROLES, Process, Step, Worker
from srtctl.plan.ports import scratch_token
from srtctl.plan.programs import Programs
from srtctl.plan.tokens import ORCHESTRATOR
from srtctl.schema import JobConfig

PREPARE_S = 6 * 3600.0  # a task that makes no progress ends long before
FURTHER = ("speculative-draft-model-path", "tokenizer-path")  # engine flags that name another model
CONTAINER_MODEL, CONTAINER_TOKENIZER = "/model", "/tokenizer"
TOKENIZER = "@tokenizer@"  # in commands of clients, until it is known where they run

_HUB_ID = re.compile(r"(?:hf:)?([A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*)")


@dataclass(frozen=True)
class Weights:
    """Where the model is for the workers, and what gets it there.

    Attributes:
        paths: Slot of a worker's rank -> path of the model there (tokens).
        tasks: Slot -> its task.
        mounts: (host path, container path) of what containers see of model and tokenizer.
        directories: To be made on every node before anything else.
    """

    paths: Mapping[int, str]
    tasks: Mapping[int, Process] = field(default_factory=dict)
    mounts: tuple[tuple[str, str], ...] = ()
    directories: tuple[str, ...] = ()

    def needs(self, slot: int) -> tuple[str, ...]:
        """What a worker on this slot waits for."""
        return (self.tasks[slot].name,) if slot in self.tasks else ()


def weights(
    job: JobConfig, workers: Sequence[Worker], client: int, programs: Programs, model: str, tokenizer: str
) -> Weights:
    """The model of a deployment.

    Args:
        client: Slot of the client.
        programs: As seen by the workers.
        model: `model.path` with aliases resolved: an absolute path, or the name of a model on the hub.
        tokenizer: Likewise, for clients.
    """
    slots = sorted({rank.slot for worker in workers for rank in worker.ranks})
    contained = job.cluster.container_runtime != "none"
    stage = (job.model.stage_dir or "").rstrip("/")
    target = f"{stage}/{_short(model)}-{_digest(model, job.model.revision)}" if stage else ""
    mounts = [(model, CONTAINER_MODEL)] if _is_path(model) else []
    mounts += [(tokenizer, CONTAINER_TOKENIZER)] if _is_path(tokenizer) and tokenizer != model else []
    mounts += [(stage, stage)] if stage else []
    return Weights(
        paths={slot: target or _path(model, slot, contained) for slot in slots},
        tasks=_Tasks(job, programs, model, tokenizer, target).all(slots, client),
        mounts=tuple(mounts) if contained else (),
        directories=(stage,) if stage and contained else (),
    )


def tokenizer_paths(job: JobConfig, model: str, tokenizer: str, client: int) -> tuple[str, str]:
    """Where a client on the bare node finds the tokenizer, and where one in a container does; see `weights`."""
    if not _is_path(tokenizer):
        path = _tokenizer(tokenizer, client)
        return path, path
    if job.cluster.container_runtime == "none":
        return tokenizer, tokenizer
    return tokenizer, CONTAINER_MODEL if tokenizer == model else CONTAINER_TOKENIZER


def with_tokenizer(job: JobConfig, step: Step, outside: str, inside: str) -> Step:
    """The step with the path that its client can see in place of `TOKENIZER`."""
    path = inside if step.container and job.cluster.container_runtime != "none" else outside
    return replace(
        step,
        argv=tuple(argument.replace(TOKENIZER, path) for argument in step.argv),
        env={name: value.replace(TOKENIZER, path) for name, value in step.env.items()},
    )


def _path(model: str, slot: int, contained: bool) -> str:
    if not _is_path(model):
        return f"{scratch_token(slot)}/models/{_short(model)}"
    return CONTAINER_MODEL if contained else model


def _tokenizer(repo: str, slot: int) -> str:
    return f"{scratch_token(slot)}/tokenizers/{_short(repo)}"


def _is_path(named: str) -> bool:
    return named.startswith("/")


@dataclass(frozen=True)
class _Tasks:
    job: JobConfig
    programs: Programs
    model: str
    tokenizer: str
    target: str

    def all(self, slots: Sequence[int], client: int) -> dict[int, Process]:
        """One for each node that needs one; those of the hub after the first of them."""
        tasks: dict[int, Process] = {}
        for slot in sorted({*slots, client}):
            wanted = [*(self._served(slot) if slot in slots else []), *(self._told(slot) if slot == client else [])]
            if wanted:
                tasks[slot] = self._fetch(slot, _joined(wanted), [task.name for task in list(tasks.values())[:1]])
            elif self.target and _is_path(self.model) and slot in slots:
                tasks[slot] = self._stage(slot)
        return tasks

    def _served(self, slot: int) -> list[dict[str, Any]]:
        """What a worker needs of the hub: a simulated engine only the small files."""
        engine = BACKENDS[self.job.backend.type].engines_use_gpus
        wanted: list[dict[str, Any]] = []
        if not _is_path(self.model):
            where = {"stage": self.target} if self.target else {"link": _path(self.model, slot, False)}
            wanted.append({**self._asked(self.model), **({"weights": True} if engine else {}), **where})
        return wanted + [{"repo": repo, "weights": True} for repo in further_models(self.job) if engine]

    def _told(self, slot: int) -> list[dict[str, Any]]:
        """What the client needs of the hub."""
        if _is_path(self.tokenizer):
            return []
        return [{**self._asked(self.tokenizer), "tokenizer": _tokenizer(self.tokenizer, slot)}]

    def _asked(self, repo: str) -> dict[str, Any]:
        revision = self.job.model.revision if repo == self.model else None
        return {"repo": repo, "revision": revision} if revision else {"repo": repo}

    def _fetch(self, slot: int, wanted: list[dict[str, Any]], needs: Sequence[str]) -> Process:
        job = self.job
        python = self.programs.path("sglang_python" if job.backend.type == "sglang" else "dynamo_python")
        order = json.dumps({"models": wanted, "record": f"@attempt@/weights/slot{slot}.json"})
        env = merge(
            {"PYTHONUNBUFFERED": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}, job.cluster.environment, job.environment
        )
        return self._task(slot, (python, ORCHESTRATOR, "--fetch", order), env=env, needs=tuple(needs))

    def _stage(self, slot: int) -> Process:
        order = {"source": self.model, "target": self.target, "record": f"@attempt@/weights/slot{slot}.json"}
        return self._task(slot, ("@python@", "-I", "-S", ORCHESTRATOR, "--stage", json.dumps(order)), container=False)

    def _task(self, slot: int, argv: tuple[str, ...], **more: Any) -> Process:
        return Process(f"weights{slot}", "setup", slot, argv, kind="task", ready_timeout_s=PREPARE_S, **more)


def _joined(wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each model once, with all that is wanted of it."""
    models: dict[tuple[str, str], dict[str, Any]] = {}
    for one in wanted:
        known = models.setdefault((one["repo"], one.get("revision", "")), {})
        known |= {name: value for name, value in one.items() if value or name not in known}
    return list(models.values())


def hub_id_of(value: object) -> str | None:
    """`org/name` of a value that names a model of the hub, with or without our `hf:`; None for anything else."""
    match = _HUB_ID.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def further_models(job: JobConfig) -> list[str]:
    """Models of the hub that engine flags name beside the one that is served, such as a draft model."""
    found: set[str | None] = set()
    for role in ROLES:
        flags = BACKENDS[job.backend.type].flags(job, role)
        found.update(hub_id_of(flags.get(name)) for name in FURTHER)
    return sorted(repo for repo in found if repo)


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2]


def _digest(model: str, revision: str | None) -> str:
    """So that models of the same name don't meet in one directory."""
    return hashlib.sha256(f"{model}@{revision or ''}".encode()).hexdigest()[:8]
