"""The programs from outside that a plan may call, as found by `srtctl.tools`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAMES = ("etcd", "nats_server", "nginx", "dynamo_python", "sglang_python", "aiperf")


@dataclass(frozen=True)
class Programs:
    """Where programs are, and their releases.

    Attributes:
        paths: Name (one of `NAMES`) -> absolute path; a missing name was not found.
        versions: Name -> release, such as `1.6.1`; a missing name is not known from here.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """The program's path, or its bare name where it was not found (the checks have said so)."""
        return self.paths.get(name, name.replace("_", "-"))
