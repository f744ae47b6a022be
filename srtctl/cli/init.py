"""`srtctl init`: describe the cluster once, in a file of the user's own."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from srtctl.errors import ExitCode, Problem, SrtctlError, suggestion

if TYPE_CHECKING:
    from srtctl.slurm.discover import SlurmFacts
    from srtctl.slurm.partitions import Partition

EPILOG = """\
Slurm is asked for its partitions, GPUs, accounts and plug-ins, and one node (a
step of a second, if a node is free) for its network interfaces, interpreters
and GPUs. The file is shown before it is written. As cluster/default.yaml it is
the cluster of every recipe that names none; under another name, `cluster=NAME`
chooses it.

  srtctl init                          ask, show, ask back, write
  srtctl init --partition h100 --name h100
  srtctl init --dry-run                only show it
  srtctl init --from srtslurm.yaml     from a cluster file of srt-slurm
                                       (cluster=srtslurm uses one as it is)"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def main(argv: list[str]) -> int:
    """Carry out `srtctl init`; returns the exit code.

    Raises:
        SrtctlError: There is no Slurm here, or no such partition or file; or the file can't be written.
    """
    options = _parser().parse_args(argv)
    if not _NAME.fullmatch(options.name):
        raise SrtctlError(Problem("name", "is no name of an option", "--name", options.name,
                                  "letters, digits, dots, dashes and underscores"))  # fmt: skip
    path = config_directory() / "cluster" / f"{options.name}.yaml"
    text = _from_file(Path(options.from_file)) if options.from_file else _from_slurm(options)
    print(text, end="")
    if options.dry_run:
        print(f"\nnothing was written; without --dry-run this would be {path}", file=sys.stderr)
        return ExitCode.OK
    return _write(path, text, options)


def config_directory() -> Path:
    """Where the user's options are written: the first directory of SRTCTL_CONF, else ~/.config/srtctl/conf."""
    from srtctl.composition.registration import own_directories

    return own_directories()[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl init",
        description="Describe this cluster in a file of your own.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--name", default="default", help="of the option; default: default")
    parser.add_argument("--partition", help="that jobs use; default: Slurm's default partition")
    parser.add_argument("--account", help="to charge; default: Slurm's default account")
    parser.add_argument("--from", dest="from_file", metavar="FILE", help="take a cluster file of srt-slurm instead")
    parser.add_argument("--no-node", action="store_true", help="ask no node: start nothing")
    parser.add_argument("-n", "--dry-run", action="store_true", help="show the file, write nothing")
    parser.add_argument("-y", "--yes", action="store_true", help="write without asking back")
    return parser


def _from_slurm(options: argparse.Namespace) -> str:
    from srtctl.slurm.describe import describe, main_partition
    from srtctl.slurm.discover import ask_node, ask_slurm

    facts = ask_slurm()
    partition = main_partition(facts, options.partition)
    if partition is None:
        raise SrtctlError(_no_partition(facts, options.partition))
    node, why = None, "--no-node"
    if not options.no_node:
        print(f"asking a node of partition {partition.name} ...", file=sys.stderr)
        node, why = ask_node(partition.name, options.account)
    _say_choice(facts, partition, options.partition)
    return describe(facts, partition, node, why, options.account)


def _say_choice(facts: SlurmFacts, partition: Partition, wanted: str | None) -> None:
    if not wanted and not partition.default and len(facts.partitions) > 1:
        text = f"Slurm has no default partition here; {partition.name} is the one with most GPUs (--partition NAME)"
        print(text, file=sys.stderr)


def _no_partition(facts: SlurmFacts, wanted: str | None) -> Problem:
    known = [one.name for one in facts.partitions]
    hint = suggestion(wanted or "", known) or "`sinfo -s` shows them with their limits"
    return Problem("partition", "there is no such partition", "--partition", wanted, ", ".join(known) or "none", hint)


def _from_file(path: Path) -> str:
    from srtctl.composition.plain import escaped
    from srtctl.composition.srtslurm import read
    from srtctl.errors import format_problems
    from srtctl.yamltext import dump_sections

    converted = read(path.expanduser().absolute())
    if converted.warnings:
        print(format_problems(converted.warnings), file=sys.stderr)
    return f"# From {converted.path}, by `srtctl init`. Change what you like.\n" + dump_sections(
        escaped(dict(converted.cluster))
    )


def _write(path: Path, text: str, options: argparse.Namespace) -> int:
    from srtctl.rundir import write_text

    old = path.read_text(encoding="utf-8") if path.is_file() else None
    if old == text:
        print(f"\n{path} says this already", file=sys.stderr)
        return ExitCode.OK
    if old is not None:
        print("".join(difflib.unified_diff(old.splitlines(True), text.splitlines(True), str(path), "new")))
    if not options.yes and not _agreed(path, old is not None):
        return ExitCode.USAGE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if old is not None:
            write_text(path.with_suffix(".yaml.before"), old)
        write_text(path, text)
    except OSError as error:
        problem = Problem("config-directory", f"{path} can't be written: {error.strerror or error}",
                          hint="SRTCTL_CONF=DIRECTORY names another directory")  # fmt: skip
        raise SrtctlError(problem, ExitCode.UNAVAILABLE) from error
    replaced = f" (what it was is in {path.with_suffix('.yaml.before')})" if old is not None else ""
    print(f"\nwrote {path}{replaced}", file=sys.stderr)
    use = "recipes use it without being told" if options.name == "default" else "recipes use it when they name it"
    print(f"  {use}; on the command line: cluster={options.name}", file=sys.stderr)
    print(f"  next: srtctl dry-run --check-cluster cluster={options.name} model=tiny backend=mocker", file=sys.stderr)
    return ExitCode.OK


def _agreed(path: Path, exists: bool) -> bool:
    what = "replace" if exists else "write"
    if not sys.stdin.isatty():
        print(f"\nnothing was written: --yes agrees to {what} {path}", file=sys.stderr)
        return False
    print(f"\n{what} {path}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
