"""The flags of SGLang's workers: which release's they are, and what the layers of a job come to under its names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from srtctl.backends.flags import Layered, layer
from srtctl.backends.sglang_releases import Release, order, release, releases
from srtctl.backends.sglang_translate import ATTENTION_RANKS, ATTENTION_SWITCH, rewritten, with_attention_ranks
from srtctl.schema import JobConfig, RoleFlags

# `lmsysorg/sglang:v0.5.8.post1-cu130`, `lmsysorg+sglang+v0.5.8.sqsh`; a Dynamo image's tag is Dynamo's own release.
_TAG = re.compile(r"(?<![\d.])v?(0\.\d+\.\d+(?:\.post\d+|rc\d+)?)(?![\d.]*\d)")
_OTHERS_TAG = re.compile(r"dynamo|sglang-runtime", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """The release whose table a job is checked against, and how it came to be that one.

    Attributes:
        wanted: The release that the job names, None where it names none.
        key: Where it names it.
        sure: False where a container is named that doesn't tell its release: the table is a guess then.
    """

    release: Release
    wanted: str | None = None
    key: str = ""
    sure: bool = True

    @property
    def exact(self) -> bool:
        """Whether the release that the job names has a table of its own."""
        return self.wanted is None or order(self.wanted) == order(self.release.version)

    @property
    def how(self) -> str:
        """For people: why this table."""
        if self.wanted is None:
            return "the newest that srtctl has a table of; the job names no release"
        text = f"{self.key} says {self.wanted}"
        return text if self.exact else f"{text}, the nearest that srtctl has a table of is {self.release.version}"


def choose(job: JobConfig) -> Choice:
    """`backend.version`, else the release in the container's name, else the newest."""
    tag = container_release(job)
    wanted, key = job.backend.version, "backend.version"
    if wanted is None:
        wanted, key = tag, "model.container"
    if wanted is None:
        return Choice(release(releases()[-1]), sure=job.model.container is None)
    return Choice(release(nearest(wanted)), wanted, key)


def container_release(job: JobConfig) -> str | None:
    """The release of SGLang in the name of the job's image, where it tells one."""
    image = job.model.container or ""
    for name in (job.cluster.containers.get(image, image), image):
        found = None if _OTHERS_TAG.search(name) else _TAG.search(name.rpartition("/")[2])
        if found is not None:
            return found[1]
    return None


@cache
def nearest(version: str) -> str:
    """The newest release with a table that is not newer than `version`, else the oldest."""
    older = [known for known in releases() if order(known) <= order(version)]
    return older[-1] if older else releases()[0]


def role_flags(job: JobConfig) -> list[tuple[str, RoleFlags]]:
    """(config key, flags by role) of a job, weakest first."""
    return [("model.engine_flags", job.model.engine_flags), ("backend.sglang_config", job.backend.sglang_config)]


def layered(job: JobConfig, role: str) -> Layered:
    """A role's flags under the names of the job's release."""
    wanted = choose(job).release
    translate = job.backend.flags == "translate"

    def spell(written: str, value: Any, known: Mapping[str, Any]) -> dict[str, Any] | None:
        name = wanted.canonical(written)
        whole = name in (ATTENTION_RANKS, ATTENTION_SWITCH)  # what they come to depends on all layers
        return rewritten(name, value, known, wanted) if translate and not whole else None

    found = layer(role, role_flags(job), wanted.canonical, spell)
    return with_attention_ranks(found, wanted) if translate else found


def for_parser(flags: Mapping[str, Any], wanted: Release) -> dict[str, Any]:
    """The flags as the release's parser takes them: `false` for a toggle is its `--no-` twin, a list may be JSON."""
    found: dict[str, Any] = {}
    for name, value in flags.items():
        flag = wanted.flags.get(name)
        if value is False and wanted.is_toggle(name):
            found[f"no-{name}"] = True
        elif isinstance(value, list) and flag is not None and flag.kind == "json" and flag.nargs is None:
            found[name] = json.dumps(value)
        else:
            found[name] = value
    return found
