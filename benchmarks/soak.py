"""Runs a tiny job many times in a row and looks for anything that was left behind after each.

    python benchmarks/soak.py --runs 100

After every run: the result is good, and there is no process, listening port, socket or temporary file that was not
there before. Prints one line a run and a closing count; exit code 1 when any run was not clean.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRTCTL = Path(sys.executable).parent / "srtctl"
MARK = "SRTCTL_SOAK"


def processes(mark: str) -> set[str]:
    """Processes that carry our mark in their environment, whoever their parent is, without this one."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(f"{entry.name} {(entry / 'cmdline').read_bytes().decode().replace(chr(0), ' ')[:120]}")
            except OSError:
                continue
    return found


def sockets() -> set[str]:
    """Listening TCP ports and named unix sockets of the machine."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(f"{table} {int(fields[1].rpartition(':')[2], 16)}")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7:
            found.add(fields[7])
    return found


def temporary_files(directory: Path) -> set[str]:
    """Everything in the run's own temporary directory, and srtctl's in /tmp and /dev/shm."""
    own = {str(path) for path in directory.rglob("*")}
    shared = {str(path) for place in (Path("/tmp"), Path("/dev/shm")) for path in place.glob("*srtctl*")}
    return own | shared


def run_once(output: Path, number: int, recipe: Path) -> list[str]:
    """One run; returns what is wrong with it."""
    temporary = Path(tempfile.mkdtemp(prefix="soak-", dir=output))
    mark = f"{os.getpid()}-{number}"
    before_sockets, before_files = sockets(), temporary_files(temporary)
    environment = os.environ | {MARK: mark, "TMPDIR": str(temporary)}
    results = output / "results"
    done = subprocess.run(
        [str(SRTCTL), "apply", "-f", str(recipe), "--wait", "-o", str(results), "--json"],
        env=environment,
        cwd=output,
        capture_output=True,
        text=True,
        timeout=300,
    )
    wrong = [] if done.returncode == 0 else [f"exit code {done.returncode}: {done.stderr[-500:]}"]
    rows = [
        row
        for file in results.glob("*/*/points/*/attempt-*/result.json")
        for row in json.loads(file.read_text())["rows"]
    ]
    if not rows or not all(row["valid"] for row in rows):
        wrong.append(f"{len(rows)} rows, not all valid")
    wrong += [f"process left: {text}" for text in processes(mark)]
    wrong += [f"socket left: {text}" for text in sockets() - before_sockets]
    wrong += [f"file left: {text}" for text in temporary_files(temporary) - before_files]
    shutil.rmtree(results, ignore_errors=True)
    shutil.rmtree(temporary, ignore_errors=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--recipe", type=Path, default=ROOT / "benchmarks" / "soak.yaml")
    arguments = parser.parse_args()
    dirty = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        for number in range(arguments.runs):
            started = time.monotonic()
            wrong = run_once(Path(directory), number, arguments.recipe.absolute())
            dirty += bool(wrong)
            verdict = "; ".join(wrong) or "clean"
            print(f"run {number + 1}/{arguments.runs}: {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{arguments.runs - dirty} of {arguments.runs} runs good and clean")
    return 1 if dirty else 0


if __name__ == "__main__":
    sys.exit(main())
