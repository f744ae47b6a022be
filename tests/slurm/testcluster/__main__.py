"""For people: a Slurm cluster on this machine to try srtctl on."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from .cluster import Cluster
from .packages import UnavailableError

_HELLO = """\
Slurm with {nodes} nodes of {gpus} GPUs runs in {directory}. In this shell:

  export PATH={directory}/bin:$PATH
  sinfo
  srtctl apply cluster=slurm mode=disagg model=tiny backend=mocker benchmark=sa-bench
  squeue

{python} -m tests.slurm.testcluster exec {directory} n2 bash     a shell on node n2
{python} -m tests.slurm.testcluster status {directory}           its nodes and jobs
{python} -m tests.slurm.testcluster down {directory}             ends all of it (or: make slurm-down)

The nodes have a /tmp of their own; everything else, this directory too, they share.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except (UnavailableError, RuntimeError, TimeoutError, ValueError) as error:
        print(f"slurm testcluster: {error}", file=sys.stderr)
    except FileNotFoundError as error:
        print(f"slurm testcluster: no cluster in {options.directory} ({error})", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.testcluster", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="up|down|status|exec")
    up = verbs.add_parser("up", help="start a cluster that runs until `down`")
    up.set_defaults(act=_up)
    up.add_argument("directory", type=Path)
    up.add_argument("--nodes", type=int, default=4)
    up.add_argument("--gpus", type=int, default=8, help="of each node")
    up.add_argument("--dbd", action="store_true", help="with accounting, for sacct")
    up.add_argument("--plugin", metavar="PATH", help="a SPANK plug-in")
    up.add_argument("--conf", type=Path, metavar="FILE", help="more lines for slurm.conf")
    down = verbs.add_parser("down", help="end it, with all that runs in it")
    down.set_defaults(act=_down)
    down.add_argument("directory", type=Path)
    status = verbs.add_parser("status", help="its nodes and jobs")
    status.set_defaults(act=_status)
    status.add_argument("directory", type=Path)
    execute = verbs.add_parser("exec", help="run a command on the login host or a node")
    execute.set_defaults(act=_exec)
    execute.add_argument("directory", type=Path)
    execute.add_argument("host", help="`login`, or a node's name")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser


def _up(options: argparse.Namespace) -> int:
    lines = options.conf.read_text() if options.conf else ""
    plugstack = [f"required {Path(options.plugin).absolute()}"] if options.plugin else []
    cluster = Cluster(
        options.directory,
        options.nodes,
        options.gpus,
        slurm_conf_lines=lines,
        dbd=options.dbd,
        plugstack=plugstack,
        shared_dirs=[Path.cwd()],
    )
    if cluster.running():
        cluster = Cluster.at(options.directory)
        print("It runs already.")
    else:
        cluster.start(detached=True)
    python = os.path.relpath(sys.executable) if Path(sys.executable).is_relative_to(Path.cwd()) else sys.executable
    print(
        _HELLO.format(nodes=cluster.spec.nodes, gpus=cluster.spec.gpus, directory=cluster.directory, python=python),
        end="",
    )
    return 0


def _down(options: argparse.Namespace) -> int:
    Cluster.at(options.directory).stop()
    return 0


def _status(options: argparse.Namespace) -> int:
    cluster = Cluster.at(options.directory)
    if not cluster.running():
        print("stopped")
        return 1
    for argv in (["sinfo", "-N", "-O", "NodeList,StateLong,NodeAddr,Gres,CPUsState"], ["squeue"]):
        print(cluster.run(argv).stdout)
    return 0


def _exec(options: argparse.Namespace) -> int:
    cluster = Cluster.at(options.directory)
    argv = [*cluster.prefix(options.host), *(options.argv or ["bash"])]
    os.execvpe(argv[0], argv, cluster.environment(wrappers=False))


if __name__ == "__main__":
    raise SystemExit(main())
