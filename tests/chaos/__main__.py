"""Many rounds, one after another: `python -m tests.chaos --rounds 200 [--slurm] [--seed N]`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.rounds import Here, Place, play
from tests.slurm.testcluster import why_unavailable
from tests.system.conftest import User


@contextmanager
def _place(user: User, slurm: bool) -> Iterator[Place]:
    if not slurm:
        yield Here(user)
        return
    from tests.chaos.slurm import OnSlurm
    from tests.slurm.testcluster import Cluster

    with Cluster(user.home / "cluster", nodes=2, gpus=2, shared_dirs=(str(user.home),)) as cluster:
        yield OnSlurm(cluster)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slurm", action="store_true", help="on a Slurm cluster of two nodes on this machine (root)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copies what rounds have written that went wrong")
    arguments = parser.parse_args()
    if arguments.slurm and (reason := why_unavailable()):
        print(f"omitted: {reason}")
        return 0
    bad = 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as base:
        user = User(Path(base), f"chaos-{os.getpid()}")
        with _place(user, arguments.slurm) as place:
            for seed in range(arguments.seed, arguments.seed + arguments.rounds):
                (user.home / "tmp").mkdir(exist_ok=True)
                verdict = play(user, place, seed)
                bad += bool(verdict.wrong)
                words = "; ".join(verdict.wrong) or "whole and clean"
                print(f"round {seed}: {verdict.action}: {words} ({verdict.seconds:.1f} s)", flush=True)
                if verdict.wrong and arguments.keep is not None:
                    shutil.copytree(user.home / "outputs", arguments.keep / f"round-{seed}", symlinks=True)
                shutil.rmtree(user.home / "outputs", ignore_errors=True)
    print(f"{arguments.rounds - bad} of {arguments.rounds} rounds whole and clean")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
