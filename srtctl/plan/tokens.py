"""Texts in a plan hold tokens where only the allocation knows the answer:

    @host:slot1@            address of the node in slot 1
    @node:slot1@            name of that node, as Slurm (or this machine) calls it
    @port:decode0/http@     the port called `decode0/http` (see `PortRequest`)
    @iface:slot1@           name of the network interface that has that address
    @scratch:slot1@         a private directory on that node's local disk, removed at the end
    @allocation@            the allocation directory, for a program that must be given an absolute path
    @python@                the interpreter that runs the orchestrator, on every node
    @attempt@               the attempt directory of the allocation: every process's working directory
    @point@                 the attempt directory of the point that is being measured (steps only)

Paths without a token are relative to the attempt directory, which is every process's working directory;
rendered files are written there with their tokens replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

ORCHESTRATOR = "@allocation@/orchestrator.pyz"  # also runs single tasks on the nodes, by flags of its own

TOKEN = re.compile(
    r"@(?:(?P<kind>host|node|port|iface|scratch):(?P<name>[A-Za-z0-9._/-]+)|(?P<dir>allocation|attempt|point|python))@"
)


def tokens_in(text: str) -> Iterator[tuple[str, str]]:
    """Every token of a text as (kind, name); the name of those without a colon is empty."""
    for match in TOKEN.finditer(text):
        yield (match["dir"], "") if match["dir"] else (match["kind"], match["name"])


def replace_tokens(text: str, table: Mapping[str, str]) -> str:
    """`text` with each token replaced by `table["kind:name"]`.

    Raises:
        KeyError: A token is not in the table.
    """
    return TOKEN.sub(lambda m: table[m.group(0).strip("@")], text)
