"""Times srtctl's commands as whole processes and reports medians, with the machine they were taken on.

    python benchmarks/measure.py                 all of them, five times each
    python benchmarks/measure.py help dry-run    some of them
    python benchmarks/measure.py --repeat 9 --json figures.json

Each figure has a target; a median beyond its target makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SRTCTL = Path(sys.executable).parent / "srtctl"
RECIPE = ROOT / "benchmarks" / "recipe.yaml"


@dataclass(frozen=True)
class Figure:
    """One number: its name, unit, target (at most) and the values that were seen."""

    name: str
    unit: str
    target: float
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        return self.median <= self.target


def run(argv: list[str], cwd: Path, **variables: str) -> tuple[float, float]:
    """Run one command to its end: wall time in s and peak memory of it in MiB."""
    # as an installed program runs: with its compiled files
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | variables
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(SRTCTL), *argv], cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    message = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"srtctl {' '.join(argv)} ended with {process.returncode}:\n{message}")
    return wall, usage.ru_maxrss / 1024


def command(
    name: str, target_s: float, argv: list[str], target_mib: float | None = None
) -> Callable[[int], list[Figure]]:
    """A measurement of one command's wall time, and of its memory where that has a target."""

    def measure(repeat: int) -> list[Figure]:
        with tempfile.TemporaryDirectory() as directory:
            run(argv, Path(directory))  # fills the file cache and writes .pyc files
            seen = [run(argv, Path(directory)) for _ in range(repeat)]
        figures = [Figure(name, "s", target_s, tuple(wall for wall, _ in seen))]
        if target_mib is not None:
            figures.append(Figure(f"{name}, peak memory", "MiB", target_mib, tuple(mib for _, mib in seen)))
        return figures

    return measure


def run_stack(*overrides: str, **variables: str) -> dict[str, float]:
    """Start and stop etcd, NATS, nginx, 2 frontends, 1 prefill and 1 decode mocker once; returns the run's timings."""
    directory = Path(tempfile.mkdtemp())
    argv = ["apply", "-f", str(ROOT / "benchmarks" / "stack.yaml"), "--wait", "-o", str(directory), *overrides]
    run(argv, directory, **variables)
    status = json.loads(next(directory.glob("*/*/allocations/0000/attempt-0/status.json")).read_text())
    shutil.rmtree(directory)
    timings: dict[str, float] = status["timings"]
    return timings


def stubborn(repeat: int) -> list[Figure]:
    """Teardown when one process, and a child of it, ignore SIGTERM."""
    from srtctl.schema import ToolsConfig
    from srtctl.tools import find_programs

    nginx = find_programs(ToolsConfig())[0].path("nginx")
    override = f"cluster.tools.nginx='{ROOT / 'benchmarks' / 'stubborn-nginx'}'"
    seen = [run_stack(override, REAL_NGINX=nginx)["stop_s"] for _ in range(repeat)]
    return [Figure("stack: teardown with a process that ignores SIGTERM", "s", 6.0, tuple(seen))]


def stack(repeat: int) -> list[Figure]:
    """Start and stop of the whole stack."""
    seen: dict[str, list[float]] = {"first_answer_s": [], "client_start_s": [], "stop_s": []}
    for _ in range(repeat):
        timings = run_stack()
        for name, values in seen.items():
            values.append(timings[name])
    return [
        Figure("stack: from nothing to the canary's answer", "s", 3.0, tuple(seen["first_answer_s"])),
        Figure(
            "stack: from the last engine's readiness to the client's start", "s", 1.0, tuple(seen["client_start_s"])
        ),
        Figure("stack: teardown of everything", "s", 3.0, tuple(seen["stop_s"])),
    ]


THOUSAND = ["dry-run", "-f", str(RECIPE), "benchmark.isl=range(1000,2000)", "-m"]

MEASUREMENTS: dict[str, Callable[[int], list[Figure]]] = {
    "help": command("srtctl --help", 0.20, ["--help"]),
    "hydra-help": command("srtctl --hydra-help", 0.6, ["--hydra-help"]),
    "dry-run": command("dry-run of a recipe", 0.45, ["dry-run", "-f", str(RECIPE)]),
    "thousand": command("dry-run of 1,000 points", 4.0, THOUSAND, 150),
    "stack": stack,
    "stubborn": stubborn,
}


def machine() -> str:
    """The machine in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {model}, Linux {platform.release()}, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], default=[], metavar="NAME")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine())
    figures: list[Figure] = []
    for name in arguments.names or MEASUREMENTS:
        for figure in MEASUREMENTS[name](arguments.repeat):
            low, high = min(figure.values), max(figure.values)
            verdict = "met" if figure.met else "MISSED"
            print(
                f"{figure.name:<62} {figure.median:8.3f} {figure.unit:<3} ({low:.3f}-{high:.3f}),"
                f" target {figure.target:g}: {verdict}",
                flush=True,
            )
            figures.append(figure)
    if arguments.json:
        record: dict[str, Any] = {"machine": machine(), "figures": [vars(f) | {"median": f.median} for f in figures]}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
