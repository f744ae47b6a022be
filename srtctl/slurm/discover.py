"""What a cluster is like, asked from its login node: Slurm, and one short step on a node."""

from __future__ import annotations

import getpass
import re
import sys
from dataclasses import dataclass

from srtctl.errors import SrtctlError
from srtctl.slurm.command import run
from srtctl.slurm.messages import last_message
from srtctl.slurm.partitions import Partition, partitions
from srtctl.slurm.version import version_text

PROBE_WAIT_S = 20  # for a free node; a busy cluster is described without
_MINUTES = 2

# One line for each fact. $1 is the interpreter that srtctl itself runs on.
_PROBE = r"""
echo "host $(hostname)"; echo "architecture $(uname -m)"
for p in "$1" python3 python3.13 python3.12 python3.11 python3.10; do
  q=$(command -v "$p") && v=$("$q" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) &&
    echo "python $v $q"
done
if command -v ip >/dev/null; then
  ip -o -4 addr show scope global | while read -r n name f address rest; do echo "interface $name $address"; done
  ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/route \1/p' | head -n 1
fi
command -v nvidia-smi >/dev/null &&
  nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits | sed 's/^/gpu /'
exit 0
"""


@dataclass(frozen=True)
class NodeFacts:
    """What one node says of itself.

    Attributes:
        pythons: (release, path) of interpreters; the first is srtctl's own if the node has it.
        interfaces: (name, address with its prefix length).
        route: Interface of the default route; empty without one.
        gpus: (name, memory in MiB) of each.
    """

    host: str
    architecture: str
    pythons: tuple[tuple[str, str], ...] = ()
    interfaces: tuple[tuple[str, str], ...] = ()
    route: str = ""
    gpus: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class SlurmFacts:
    """What Slurm says of itself.

    Attributes:
        name: The cluster's.
        version: Of the client programs.
        partitions: All of them.
        accounts: Which the user may charge, as far as Slurm keeps account of that.
        default_account: Which it charges unasked; empty for none.
        accounting: Slurm's word for where it keeps account of jobs; empty for nowhere.
        pyxis: Whether srun has the options of the container plug-in.
        segment: Whether sbatch can ask for a block of nodes.
    """

    name: str
    version: str
    partitions: tuple[Partition, ...]
    accounts: tuple[str, ...]
    default_account: str
    accounting: str
    pyxis: bool
    segment: bool


def ask_slurm() -> SlurmFacts:
    """Ask Slurm about itself.

    Raises:
        SrtctlError: There is no Slurm here, or it doesn't answer.
    """
    settings = parse_settings(run(["scontrol", "show", "config"]).stdout)
    kind = settings.get("AccountingStorageType", "").rpartition("/")[2]
    accounting = "" if kind in ("none", "(null)", "") else kind
    accounts, default = _accounts() if accounting else ((), "")
    return SlurmFacts(
        name=settings.get("ClusterName", "slurm"),
        version=version_text(),
        partitions=partitions(),
        accounts=accounts,
        default_account=default,
        accounting=accounting,
        pyxis="--container-image" in run(["srun", "--help"], check=False).stdout,
        segment="--segment" in run(["sbatch", "--help"], check=False).stdout,
    )


def parse_settings(text: str) -> dict[str, str]:
    """`scontrol show config` as a table."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def ask_node(partition: str | None, account: str | None) -> tuple[NodeFacts | None, str]:
    """Run a short step on a node that is free now; gives what it says, or why there is nothing.

    Args:
        partition: Where; None for the default partition.
        account: Whom it is charged to; None for the default account.
    """
    argv = ["srun", "--nodes=1", "--ntasks=1", f"--time={_MINUTES}", f"--immediate={PROBE_WAIT_S}", "--quiet",
            "--job-name=srtctl-init", "--chdir=/", "--input=none"]  # fmt: skip
    argv += [f"--partition={partition}"] if partition else []
    argv += [f"--account={account}"] if account else []
    try:
        answer = run([*argv, "sh", "-c", _PROBE, "sh", sys.executable], timeout_s=PROBE_WAIT_S + 60, check=False)
    except SrtctlError as error:
        return None, error.problems[0].message
    if answer.returncode != 0 or "host " not in answer.stdout:
        return None, last_message(answer.stderr) or f"srun ended with {answer.returncode}"
    return parse_node(answer.stdout), ""


def parse_node(text: str) -> NodeFacts:
    """What the step printed."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value.strip())
    pairs = [value.partition(" ") for value in found.get("python", [])]
    interfaces = [value.partition(" ") for value in found.get("interface", [])]
    gpus = [re.fullmatch(r"(.+), *([0-9.]+)", value) for value in found.get("gpu", [])]
    return NodeFacts(
        host=found.get("host", [""])[0],
        architecture=found.get("architecture", [""])[0],
        pythons=tuple((release, path) for release, _, path in pairs),
        interfaces=tuple((name, address) for name, _, address in interfaces),
        route=found.get("route", [""])[0],
        gpus=tuple((one[1], float(one[2])) for one in gpus if one is not None),
    )


def _accounts() -> tuple[tuple[str, ...], str]:
    user = getpass.getuser()
    argv = ["sacctmgr", "--noheader", "--parsable2", "show"]
    try:
        mine = run([*argv, "assoc", f"user={user}", "format=account"]).stdout.split()
        default = run([*argv, "user", user, "format=defaultaccount"]).stdout.split()
    except SrtctlError:
        return (), ""
    return tuple(dict.fromkeys(mine)), default[0] if default else ""
