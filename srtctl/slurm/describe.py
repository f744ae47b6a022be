"""A cluster as a file of our group `cluster`, with a comment on everything that was found."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator

from srtctl.plan.duration import format_time_limit
from srtctl.slurm.discover import NodeFacts, SlurmFacts
from srtctl.slurm.partitions import Partition

OLDEST_PYTHON = (3, 10)
# A GPU's own name -> how results call it; the first that fits.
_GPU_TYPES = ("gb300", "gb200", "b300", "b200", "h200", "h100", "gh200", "a100", "l40s")


def main_partition(facts: SlurmFacts, wanted: str | None) -> Partition | None:
    """The partition to describe: the wanted one, else the default one, else the one with the most GPUs in all."""
    if wanted:
        return next((one for one in facts.partitions if one.name == wanted), None)
    default = next((one for one in facts.partitions if one.default), None)
    open_ones = [one for one in facts.partitions if one.up] or list(facts.partitions)
    return default or max(open_ones, key=lambda one: one.gpus_per_node * one.nodes, default=None)


def describe(
    facts: SlurmFacts, partition: Partition, node: NodeFacts | None, why_no_node: str, account: str | None
) -> str:
    """The text of the file.

    Args:
        facts: What Slurm said.
        partition: Which of its partitions jobs use.
        node: What a node said; None if there was none to ask.
        why_no_node: Then the reason.
        account: The account that the user named.
    """
    lines = [
        f"# {facts.name}: Slurm {facts.version}, described by `srtctl init`. Change what you like.",
        f"name: {_text(facts.name)}",
        "executor: slurm",
        "",
        *_queue_lines(facts, partition, account),
        "",
        *_gpu_lines(partition, node),
        "",
        *_node_lines(node, why_no_node),
        "",
        *_container_lines(facts),
    ]
    return "\n".join(lines) + "\n"


def _queue_lines(facts: SlurmFacts, partition: Partition, account: str | None) -> Iterator[str]:
    for one in facts.partitions:
        limit = format_time_limit(one.time_limit_s) if one.time_limit_s is not None else "no time limit"
        state = "" if one.up else ", takes no jobs at present"
        default = ", the default" if one.default else ""
        yield f"# partition {one.name}{default}: {one.nodes} nodes, {one.gpus_per_node} GPUs each, {limit}{state}"
    # Its name is said only where Slurm would take another one by itself.
    yield f"{'# ' if partition.default else ''}partition: {_text(partition.name)}"
    if account:
        yield f"account: {_text(account)}"
    elif facts.accounts:
        yield f"# your accounts: {', '.join(facts.accounts)}; unasked Slurm charges {facts.default_account or 'none'}"
        chosen = facts.default_account or facts.accounts[0]
        yield f"{'# ' if facts.default_account else ''}account: {_text(chosen)}"
    else:
        yield "# account: NAME        (Slurm here does not say which accounts are yours)"
    yield "# time_limit: 01:00:00      (per point, for jobs that name none)"
    kept = f"kept ({facts.accounting})" if facts.accounting else "not kept; ended jobs are known for some minutes only"
    yield f"# accounting: {kept}"


def _gpu_lines(partition: Partition, node: NodeFacts | None) -> Iterator[str]:
    seen = list(node.gpus) if node is not None else []
    count = partition.gpus_per_node or len(seen)
    if count:
        yield f"gpus_per_node: {count}"
    else:
        yield "# gpus_per_node: 8      (neither Slurm nor the node knows of GPUs)"
    if not partition.gpus_per_node:
        yield "# Slurm does not hand out GPUs here, so jobs do not ask for them."
        yield "use_gpus_per_node_directive: false"
    if seen:
        name, memory_mib = seen[0]
        yield f"gpu_type: {_text(_gpu_type(name))}        # {name}"
        yield f"gpu_memory_gib: {memory_mib / 1024:.1f}"
    elif node is not None:
        yield f"# gpu_type, gpu_memory_gib: {node.host} has no nvidia-smi to ask"


def _gpu_type(name: str) -> str:
    found = (kind for kind in _GPU_TYPES if re.search(rf"\b{kind}\b", name, re.IGNORECASE))
    return next(found, name.lower().replace("nvidia ", "").replace(" ", "-"))


def _node_lines(node: NodeFacts | None, why_no_node: str) -> Iterator[str]:
    if node is None:
        yield f"# No node could be asked ({why_no_node}); `srtctl init` asks again."
        yield "# network_interface: eth0   (unset: the one of the default route)"
        yield "# python: /usr/bin/python3  (of the nodes, 3.10 or newer; unset: the one that srtctl runs on)"
        return
    yield f"# asked on node {node.host} ({node.architecture})"
    if node.architecture != os.uname().machine:
        yield f"# Programs for them: `srtctl tools fetch --arch {node.architecture} --python PATH`"
        yield f"architecture: {_text(node.architecture)}"
    for name, address in node.interfaces:
        yield f"# interface {name}: {address}" + (", default route" if name == node.route else "")
    if node.route or len(node.interfaces) != 1:
        yield "# network_interface: NAME   (unset: the one of the default route)"
    else:
        yield f"network_interface: {_text(node.interfaces[0][0])}"
    yield from _python_lines(node)


def _python_lines(node: NodeFacts) -> Iterator[str]:
    fit = [path for release, path in node.pythons if _release(release) >= OLDEST_PYTHON]
    if sys.executable in fit:
        yield "# python: unset, since the nodes have the one that srtctl runs on"
    elif fit:
        yield "# The nodes do not have the interpreter that srtctl runs on here."
        yield f"python: {_text(fit[0])}"
    else:
        older = ", ".join(release for release, _ in node.pythons) or "none"
        yield f"# python: PATH   NEEDED: the nodes have no Python 3.10 or newer in PATH (found: {older})"


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _container_lines(facts: SlurmFacts) -> Iterator[str]:
    if facts.pyxis:
        yield "container_runtime: pyxis"
        yield "# containers: {sglang: /shared/images/sglang.sqsh}   aliases for model.container"
    else:
        yield "# srun has no --container-image: there is no pyxis here"
        yield "container_runtime: none"
    yield "# model_paths: {dsr1: /shared/models/DeepSeek-R1}     aliases for model.path"
    yield "# tools: {directory: /shared/srtctl-tools}             filled by `srtctl tools install --directory`"
    if not facts.segment:
        yield "# use_segment_directive: true is not for here: this sbatch has no --segment"


def _text(value: str) -> str:
    """A text as YAML, in quotes where it would be read as something else."""
    plain = re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_./-]*", value) and value.lower() not in _WORDS
    return value if plain else json.dumps(value, ensure_ascii=False)


_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
