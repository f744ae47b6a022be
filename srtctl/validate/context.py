"""What a rule may look at: the job, what the caller saw on this machine, and the engine flags of each role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from srtctl.backends.flags import layer
from srtctl.backends.sglang_flags import layered, role_flags
from srtctl.composed import Sources
from srtctl.errors import Problem, Severity
from srtctl.plan.model import ROLES
from srtctl.schema import JobConfig, RoleFlags


@dataclass(frozen=True)
class SiteFacts:
    """What the caller saw on this machine; nothing in `validate` looks for itself.

    Attributes:
        paths: Path -> whether it exists here. A path that is not listed was not looked at. See `paths_of`.
        setup_script: What is wrong with the setup script, such as `there is no such file`; empty when nothing is.
        environment: Names of the variables set where the command is given; None when not looked at.
        open_files_limit: Hard limit of open files of a process here; None when not known.
        data_faults: Path of a data file -> what is wrong with its content, empty when nothing is; files that are not
            here are not listed.
    """

    paths: Mapping[str, bool] = field(default_factory=dict)
    setup_script: str = ""
    environment: frozenset[str] | None = None
    open_files_limit: int | None = None
    data_faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """One engine flag of a role, after layering.

    Attributes:
        name: Canonical spelling.
        value: As written.
        key: Dotted key it was written under.
    """

    name: str
    value: Any
    key: str


@dataclass(frozen=True)
class Context:
    """The arguments of every rule."""

    job: JobConfig
    facts: SiteFacts
    sources: Sources = Sources()

    @cached_property
    def workers(self) -> dict[str, int]:
        """Role -> number of workers, roles without any left out."""
        r = self.job.resources
        counts = {"prefill": r.prefill_workers, "decode": r.decode_workers, "aggregated": r.agg_workers}
        return {role: count for role, count in counts.items() if count and count > 0}

    @cached_property
    def worker_gpus(self) -> dict[str, int]:
        """Role -> GPUs of one worker, for roles where that is known and possible."""
        from srtctl.plan.demand import demands

        return {demand.role: demand.gpus for demand in demands(self.job)[0]}

    @cached_property
    def flag_maps(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """(role or `common`, dotted key, flags) of every map of engine flags, weakest first."""
        maps = []
        for key, flags in self._role_flags:
            maps += [(role, f"{key}.{role}", getattr(flags, role)) for role in ("common", *ROLES)]
        return [entry for entry in maps if entry[2]]

    @cached_property
    def _role_flags(self) -> list[tuple[str, RoleFlags]]:
        """(dotted key, flags by role), weakest first; the model's are a real engine's and don't reach the mocker."""
        if self.job.backend.type != "mocker":
            return role_flags(self.job)
        own = getattr(self.job.backend, "mocker_config", None)
        return [("backend.mocker_config", own)] if isinstance(own, RoleFlags) else []

    @cached_property
    def _flags(self) -> dict[str, dict[str, Flag]]:
        sglang = self.job.backend.type == "sglang"
        by_role: dict[str, dict[str, Flag]] = {}
        for role in ROLES:
            found = layered(self.job, role) if sglang else layer(role, self._role_flags)
            by_role[role] = {name: Flag(name, value, found.sources[name]) for name, value in found.values.items()}
        return by_role

    def flags(self, role: str) -> Mapping[str, Flag]:
        """Canonical name -> flag of a role: the model's common, the model's, the job's common, the job's."""
        return self._flags[role]

    def integer(self, role: str, name: str) -> int | None:
        """An engine flag as an integer, None when it is not set or is none."""
        flag = self._flags[role].get(name)
        return None if flag is None else as_integer(flag.value)

    @property
    def local(self) -> bool:
        """True when the job runs on this machine, so that what is missing here is missing there."""
        return self.job.cluster.executor == "local"

    def unseen(self) -> Severity:
        """The weight of something that was not found on this machine."""
        return Severity.ERROR if self.local else Severity.NOTE

    def absent(self, key: str, path: str, elsewhere: str) -> Problem:
        """A path that is not on this machine; `elsewhere` says what that means where the job runs on other ones."""
        message = "there is no such path" if self.local else f"this path is not on this machine; {elsewhere}"
        return Problem("missing-path", message, key, path, severity=self.unseen())


Rule = Callable[[Context], Iterable[Problem]]


def as_integer(value: Any) -> int | None:
    """`8` and `"8"` as 8, anything else as None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return None


def environments(job: JobConfig) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Every map of environment variables as (dotted key, map)."""
    yield "cluster.environment", job.cluster.environment
    yield "environment", job.environment
    for role in ROLES:
        yield f"backend.{role}_environment", getattr(job.backend, f"{role}_environment")
    yield "frontend.env", job.frontend.env
    own = getattr(job.benchmark, "env", None)
    if isinstance(own, dict):
        yield "benchmark.env", own
