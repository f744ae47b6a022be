"""`srtctl ssh`: the command that opens a shell beside a process of a run."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from srtctl.errors import ExitCode, Problem, SrtctlError, suggestion

if TYPE_CHECKING:
    from pathlib import Path

    from srtctl.plan.model import Plan, Process
    from srtctl.results.state import AllocationState, SweepState

EPILOG = """\
The command is printed, not run: it goes to standard output alone, so that it
can be copied, edited, or run by `eval "$(srtctl ssh decode0)"`. Under Slurm it
is a step beside the others of the job: on the same node, in the same
container, seeing the same files. It ends when the job ends.

  srtctl ssh                   beside the first worker of the latest run
  srtctl ssh decode1           beside that one
  srtctl ssh decode1 --run     and go there at once"""

WORKERS = ("prefill", "decode", "aggregated")
SHELL = "bash"


def main(argv: list[str]) -> int:
    """Carry out `srtctl ssh`; returns the exit code, with `--run` never.

    Raises:
        SrtctlError: There is no such sweep or process, or it runs nowhere at present.
    """
    options = _parser().parse_args(argv)
    from srtctl.results.select import select_sweep
    from srtctl.results.state import read_state
    from srtctl.rundir import output_directory

    found = read_state(select_sweep(options.sweep, output_directory(options.output_dir)))
    allocation = _allocation(found, options.allocation)
    process = _process(allocation, options.process)
    command = shell_command(found, allocation, process)
    print(shlex.join(command) if command[0] != "sh" else command[2])
    if options.run:
        sys.stdout.flush()
        os.execvp(command[0], command)  # noqa: S606
    others = [str(p["name"]) for p in allocation.status["processes"] if p.get("state") in ("STARTING", "READY")]
    where = f"{process['name']} is {_number(allocation, process)}on {process.get('host')}"
    print(f"{where}; there are also: {', '.join(n for n in others if n != process['name'])}", file=sys.stderr)
    return ExitCode.OK


def _number(allocation: AllocationState, process: dict[str, Any]) -> str:
    """Its process id, where that is known: of a step only its srun's is, which is on another node."""
    return "" if allocation.record.get("executor") == "slurm" else f"pid {process.get('pid')} "


def shell_command(found: SweepState, allocation: AllocationState, process: dict[str, Any]) -> list[str]:
    """The argv that opens a shell where a process of an allocation runs.

    Raises:
        SrtctlError: The allocation's plan can't be read.
    """
    directory = found.sweep.allocation(allocation.index)
    latest = directory.latest_attempt()
    assert latest is not None
    attempt = latest.path.absolute()
    if allocation.record.get("executor") != "slurm":
        return ["sh", "-c", f"cd {shlex.quote(str(attempt))} && exec {SHELL}"]
    from srtctl.orchestrator.srun import Place, step_command

    plan = _plan(directory.plan)
    planned = next((p for p in plan.processes if p.name == process["name"]), None)
    inside = plan.container.runtime == "pyxis" and (planned is None or planned.container)
    return step_command(
        "srun",
        Place(str(process["host"]), str(allocation.job_id), _het_group(plan, int(process.get("slot") or 0))),
        "shell",
        [SHELL],
        workdir=str(attempt),
        options=_container(plan, planned, allocation, found.sweep.path.absolute(), attempt) if inside else (),
        extra={**plan.srun_options, "pty": None},
        interactive=True,
    )


def _container(
    plan: Plan, planned: Process | None, allocation: AllocationState, sweep: Path, attempt: Path
) -> list[str]:
    """The options that lead into the container in which a process runs, and others of the job on its node."""
    from srtctl.orchestrator.containers import all_mounts, pyxis_options

    workdir = plan.container.workdir if planned is not None and planned.role in (*WORKERS, "frontend") else ""
    here = {"@allocation@": str(attempt.parent)}
    mounts = [(here.get(source, source), here.get(target, target)) for source, target in plan.container.mounts]
    return pyxis_options(
        plan.container,
        job_id=str(allocation.job_id),
        workdir=workdir or str(attempt),
        mounts=all_mounts(sweep, attempt, [pair for pair in mounts if "@" not in "".join(pair)]),
        environment=(),
        image=planned.image if planned is not None else "",
    )


def _plan(path: Path) -> Plan:
    from srtctl.plan.codec import from_json
    from srtctl.plan.model import Plan

    try:
        return from_json(Plan, path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SrtctlError(Problem("plan", f"{path} can't be read: {error}")) from error


def _het_group(plan: Plan, slot: int) -> int | None:
    """The component of a heterogeneous job in which a node is; None for any other job."""
    groups = [one.het_group for one in plan.slots]
    return groups[slot] if len(set(groups)) > 1 and slot < len(groups) else None


def _allocation(found: SweepState, wanted: int | None) -> AllocationState:
    known = {allocation.index: allocation for allocation in found.allocations}
    if wanted is not None and wanted not in known:
        raise SrtctlError(Problem("no-such-number", "the sweep has no such allocation", "--allocation", wanted,
                                  f"0 to {len(known) - 1}"))  # fmt: skip
    running = [a for a in found.allocations if a.state in ("running", "unknown") and a.status.get("processes")]
    if wanted is not None:
        running = [a for a in running if a.index == wanted]
    if running:
        return running[0]
    shown = known[wanted] if wanted is not None else next(iter(found.allocations), None)
    state = f"allocation {shown.index} is {shown.state}" if shown is not None else "it has no allocation"
    raise SrtctlError(
        Problem("no-shell", f"nothing of {found.sweep.sweep_id} runs at present: {state}",
                hint="`srtctl status` shows what is going on, `srtctl logs` what was said"),
        ExitCode.FAILED,
    )  # fmt: skip


def _process(allocation: AllocationState, wanted: str | None) -> dict[str, Any]:
    processes = [dict(p) for p in allocation.status.get("processes") or () if p.get("host")]
    if wanted is None:
        first = sorted(processes, key=lambda p: p.get("role") not in WORKERS)
        return first[0]
    for process in processes:
        if process.get("name") == wanted:
            return process
    names = [str(p.get("name")) for p in processes]
    raise SrtctlError(
        Problem("no-process", f"there is no process {wanted!r} in this run", allowed=", ".join(names),
                hint=suggestion(wanted, names) or "another allocation's: --allocation N")
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl ssh",
        description="Print the command that opens a shell beside a process of a run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("process", nargs="?", metavar="PROCESS", help="such as decode0; default: the first worker")
    parser.add_argument("-s", "--sweep", metavar="SWEEP", help="id, name or path; default: the latest")
    parser.add_argument("--allocation", type=int, metavar="N", help="default: the first that runs")
    parser.add_argument("--run", action="store_true", help="run the command instead of only printing it")
    parser.add_argument(
        "-o", "--output-dir", metavar="DIR", help="where runs are; default: $SRTCTL_OUTPUT_DIR, ./outputs"
    )
    return parser
