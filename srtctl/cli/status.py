"""`srtctl status`: what a sweep is doing, or how it ended."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from srtctl.errors import ExitCode

EPILOG = """\
The state is read from the run's own files, and from whether its orchestrator
still lives; Slurm is asked once for all of your jobs. A run that ended without
saying so is `lost`, never `running`.
Exit code: 0 while it is active and when all is well; 1 when a point failed, is
invalid, or has no result.

  srtctl status            the latest run
  srtctl status --watch    until it has ended; Ctrl-C ends the watching only
  srtctl status --all      one line for each run"""


def main(argv: list[str]) -> int:
    """Carry out `srtctl status`; returns the exit code.

    Raises:
        SrtctlError: There is no such sweep.
    """
    options = _parser().parse_args(argv)
    from srtctl.results.select import select_sweep
    from srtctl.results.state import as_json, read_state
    from srtctl.rundir import output_directory

    where = output_directory(options.output_dir)
    if options.all:
        return _all(where, options.json)
    sweep = select_sweep(options.sweep, where)
    if options.watch and not options.json:
        from srtctl.report.live import follow

        return follow(sweep)
    found = read_state(sweep)
    if options.json:
        print(json.dumps(as_json(found), indent=2, ensure_ascii=False))
    else:
        from srtctl.report.snapshot import status_lines

        print("\n".join(status_lines(found)))
    return ExitCode.OK if found.active or found.good else ExitCode.FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl status",
        description="Show what a sweep is doing, or how it ended.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="id, name or path; default: the latest")
    parser.add_argument("-w", "--watch", action="store_true", help="stay until it has ended")
    parser.add_argument("-a", "--all", action="store_true", help="one line for each run, the latest last")
    parser.add_argument("--json", action="store_true", help="one JSON document, with every status.json in it")
    parser.add_argument(
        "-o", "--output-dir", metavar="DIR", help="where runs are; default: $SRTCTL_OUTPUT_DIR, ./outputs"
    )
    return parser


def _all(where: Path, json_wanted: bool) -> int:
    from srtctl.errors import SrtctlError
    from srtctl.report.snapshot import headline
    from srtctl.results.state import as_json, read_state
    from srtctl.rundir import find_sweeps
    from srtctl.slurm.view import JobView

    slurm = JobView()
    states = []
    for sweep in find_sweeps(where):
        try:
            states.append(read_state(sweep, slurm))
        except SrtctlError as error:
            print(f"{sweep.path}: {error.problems[0].message}")
    if json_wanted:
        print(json.dumps([as_json(found) for found in states], indent=2, ensure_ascii=False))
    else:
        print("\n".join(headline(found) for found in states) or f"no runs under {where}")
    return ExitCode.OK
