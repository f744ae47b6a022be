"""A secret that is passed by name: in the environment of what needs it on every node, and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.slurm.testcluster.processes import until

from .conftest import SlurmUser

RECIPE = """
name: job
cluster: {name: test, executor: slurm, gpus_per_node: 8}
model: {path: "builtin:tiny"}
resources: {prefill_nodes: 1, decode_nodes: 1, prefill_workers: 1, decode_workers: 1}
backend: {type: mocker, speedup_ratio: 100}
frontend: {type: dynamo, count: 2}
benchmark: {type: custom, command: "while [ ! -e %s/go ]; do sleep 0.1; done; echo '{\\"answer\\": 42}' > result.json"}
slurm: {partition: batch}
setup_script: setup.sh
pass_environment: [PLANTED]
"""


def test_a_secret_reaches_every_worker_and_is_written_nowhere(slurm_user: SlurmUser) -> None:
    """Looked for in every command line and every file of all nodes while the job runs, and again afterwards."""
    secret = f"planted-{os.getpid()}-{time.time_ns()}"
    slurm_user.write("setup.sh", 'test -n "$PLANTED" && echo it is there\n')
    recipe = str(slurm_user.write("job.yaml", RECIPE % slurm_user.home))
    shown = []
    for words in (["dry-run", "-f", recipe, "--check-cluster"], ["apply", "-f", recipe]):
        done = slurm_user.srtctl(*words, env={"PLANTED": secret})
        assert done.returncode == 0, done.stderr
        shown += [done.stdout, done.stderr]
    log = slurm_user.sweep() / "allocations/0000/attempt-0/events.jsonl"
    until(lambda: log.exists() and "measurement_started" in log.read_text(), 90, "it measures")
    with_it = {name for name, path in _processes(slurm_user) if secret in _text(path / "environ")}
    assert {"n1", "n2"} <= with_it
    assert not [_text(path / "cmdline") for _, path in _processes(slurm_user) if secret in _text(path / "cmdline")]
    assert not [str(path) for path in _files(slurm_user) if secret in _text(path)]
    shown += [slurm_user.srtctl(*words.split()).stdout for words in ("status", "status --json", "logs", "ssh decode0")]
    (slurm_user.home / "go").touch()
    slurm_user.wait_for("the end", lambda status: status["phase"] == "done")
    assert slurm_user.status()["outcome"] == "ok"
    shown += [slurm_user.srtctl("results").stdout]
    assert not [text for text in shown if secret in text]
    assert not [str(path) for path in _files(slurm_user) if secret in _text(path)]
    for worker in ("prefill0", "decode0"):
        assert "it is there" in (log.parent / f"logs/{worker}.log").read_text()


def _processes(user: SlurmUser) -> Iterator[tuple[str, Path]]:
    """(node, directory below /proc) of everything on all nodes, and of whatever else runs on this machine."""
    nodes = {one.pid: name for name in user.cluster.names for one in user.cluster.processes_on(name)}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield nodes.get(int(entry.name), "login"), entry


def _files(user: SlurmUser) -> Iterator[Path]:
    """All that the user and jobs can have written: the home directory, and each node's own directories.

    Slurm's spool has the environment of jobs; it is not among them, nor is what its controller saves.
    """
    yield from (path for path in user.home.rglob("*") if path.is_file())
    yield from (path for path in (user.cluster.directory / "log").rglob("*") if path.is_file())
    for name in user.cluster.names:
        node = user.cluster.node(name)
        for found in node.leftovers().files:
            place = Path(f"/proc/{node.init_pid()}/root{found}")
            yield from (path for path in [place, *place.rglob("*")] if path.is_file())


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""
