"""`srtctl logs`: the orchestrator's log, or one process's."""

from __future__ import annotations

import argparse
import contextlib
import glob
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from srtctl.errors import ExitCode, Problem, SrtctlError, suggestion

if TYPE_CHECKING:
    from srtctl.results.state import SweepState
    from srtctl.rundir import SweepDir

EPILOG = """\
SWEEP is an id, a name or a path (default: the latest run). PROCESS is a name
such as prefill0, decode1, frontend0, nginx, etcd, nats, client, or
orchestrator (the default).
`client` is the log of the latest measurement; client/c0008 is that of one
measurement.

  srtctl logs -f                     follow what the latest run says
  srtctl logs 3fa2c1 nginx           a process of another run
  srtctl logs decode0 -n 50          the last 50 lines of a worker
  srtctl logs client/c0008 --point 3 one measurement's client"""

FOLLOW_POLL_S = 0.2
_BLOCK = 65536


def main(argv: list[str]) -> int:
    """Carry out `srtctl logs`; returns the exit code.

    Raises:
        SrtctlError: There is no such sweep, or no such process in it.
    """
    options = _parser().parse_intermixed_args(argv)
    from srtctl.results.state import read_state
    from srtctl.slurm.view import JobView

    sweep = _sweep_and_process(options)
    slurm = JobView()
    found = read_state(sweep, slurm)
    path = _log_path(found, options)
    if options.path:
        print(path)
        return ExitCode.OK
    if not options.follow and not path.exists():
        raise SrtctlError(Problem("no-log", f"{path} has not been written", hint="see `srtctl status`"))
    offset = _print_last(path, options.lines)
    if options.follow:
        _follow(path, offset, lambda: read_state(sweep, slurm).active)
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl logs",
        description="Show a log of a sweep.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="[SWEEP] [PROCESS]", help="default: the latest, orchestrator")
    parser.add_argument("-s", "--sweep", metavar="SWEEP", help="id, name or path; the same as naming it first")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as it grows, until the run has ended")
    parser.add_argument("-n", "--lines", type=_count, metavar="N", help="only the last N lines")
    parser.add_argument("--point", type=int, metavar="N", help="the allocation of this point, and its measurements")
    parser.add_argument("--allocation", type=int, metavar="N", help="default: the one that runs, else the last")
    parser.add_argument("--path", action="store_true", help="print the file's path only")
    parser.add_argument(
        "-o", "--output-dir", metavar="DIR", help="where runs are; default: $SRTCTL_OUTPUT_DIR, ./outputs"
    )
    return parser


def _sweep_and_process(options: argparse.Namespace) -> SweepDir:
    """Sort the names out: a sweep is one that is found as such, and a process one that the sweep knows."""
    from srtctl.results.select import select_sweep
    from srtctl.rundir import output_directory

    names, output_dir = list(options.names), output_directory(options.output_dir)
    if len(names) > (1 if options.sweep else 2):
        raise SrtctlError(Problem("usage", f"too many names: {' '.join(names)}", allowed="[SWEEP] [PROCESS]"))
    if len(names) == 2:
        options.sweep = names.pop(0)
    options.process = names[0] if names else "orchestrator"
    sweep = select_sweep(options.sweep, output_dir)
    if options.sweep or options.process == "orchestrator" or _has_process(sweep, options.process):
        return sweep
    with contextlib.suppress(SrtctlError):
        sweep = select_sweep(options.process, output_dir)
        options.process = "orchestrator"
    return sweep


def _has_process(sweep: SweepDir, name: str) -> bool:
    if name.partition("/")[0] == "client":
        return True
    return any(sweep.path.glob(f"allocations/*/attempt-*/logs/{glob.escape(name)}.log"))


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def _log_path(found: SweepState, options: argparse.Namespace) -> Path:
    index = _allocation_index(found, options)
    directory = found.sweep.allocation(index)
    if options.process == "orchestrator":
        return directory.orchestrator_log
    logs: dict[str, Path] = {}
    attempt = directory.latest_attempt()
    if attempt is not None:
        status = next((a.status for a in found.allocations if a.index == index), {})
        logs |= {str(p.get("name")): attempt.log(str(p.get("name"))) for p in status.get("processes") or ()}
        logs |= {path.stem: path for path in sorted(attempt.logs.glob("*.log"))}
    logs |= _client_logs(found, index, options.point)
    if options.process in logs:
        return logs[options.process]
    raise SrtctlError(_unknown(options.process, ["orchestrator", *sorted(logs)]))


def _allocation_index(found: SweepState, options: argparse.Namespace) -> int:
    if options.point is not None:
        point = next((p for p in found.points if p.index == options.point), None)
        if point is None:
            raise SrtctlError(_out_of_range("--point", options.point, len(found.points)))
        return int(point.record["allocation"])
    known = [allocation.index for allocation in found.allocations]
    if options.allocation is not None:
        if options.allocation not in known:
            raise SrtctlError(_out_of_range("--allocation", options.allocation, len(known)))
        return int(options.allocation)
    running = [allocation.index for allocation in found.allocations if allocation.state == "running"]
    begun = [allocation.index for allocation in found.allocations if allocation.status]
    return (running or begun[-1:] or known or [0])[0]


def _client_logs(found: SweepState, allocation: int, point: int | None) -> dict[str, Path]:
    """`client` (the latest one) and `client/<measurement>` of the points of an allocation."""
    indices = [p.index for p in found.points if p.record.get("allocation") == allocation and point in (None, p.index)]
    logs: dict[str, Path] = {}
    for index in indices:
        for attempt in found.sweep.point(index).attempts():
            logs |= {f"client/{path.parent.name}": path for path in sorted(attempt.measurements.glob("*/client.log"))}
    if logs:
        logs["client"] = max(logs.values(), key=lambda path: path.stat().st_mtime)
    return logs


def _print_last(path: Path, lines: int | None) -> int:
    """Print the file's last lines (all: None); returns where it was read to."""
    try:
        with path.open("rb") as file:
            if lines is not None:
                file.seek(_start_of_last(path, lines))
            while block := file.read(_BLOCK):
                sys.stdout.write(block.decode(errors="replace"))
            return file.tell()
    except FileNotFoundError:
        return 0


def _start_of_last(path: Path, lines: int) -> int:
    """Offset of the last `lines` lines, found from the end: a log may be far larger than what is asked for."""
    with path.open("rb") as file:
        end = position = file.seek(0, 2)
        wanted = lines + 1
        while position > 0 and wanted > 0:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            block = file.read(step)
            if position + step == end and not block.endswith(b"\n"):
                wanted -= 1  # the last line has no end yet, and is a line all the same
            while wanted > 0 and (at := block.rfind(b"\n")) >= 0:
                wanted -= 1
                block = block[:at]
                if wanted == 0:
                    return position + at + 1
        return 0 if lines else end


def _follow(path: Path, offset: int, active: Callable[[], bool]) -> None:
    sys.stdout.flush()
    while True:
        last = not active()  # asked before reading, so that nothing written before the end is missed
        offset = _print_from(path, offset)
        if last:
            return
        time.sleep(FOLLOW_POLL_S)


def _print_from(path: Path, offset: int) -> int:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            new = file.read()
    except FileNotFoundError:
        return offset
    if new:
        sys.stdout.write(new.decode(errors="replace"))
        sys.stdout.flush()
    return offset + len(new)


def _unknown(name: str, known: list[str]) -> Problem:
    hint = suggestion(name, known) or "another allocation's processes: --allocation N"
    return Problem("no-process", f"there is no process {name!r} in this run", allowed=", ".join(known), hint=hint)


def _out_of_range(flag: str, value: int, count: int) -> Problem:
    message = f"the sweep has no such {flag.removeprefix('--')}"
    return Problem("no-such-number", message, flag, value, f"0 to {count - 1}")
