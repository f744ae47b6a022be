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


def listening() -> dict[int, str]:
    """TCP ports of this machine on which somebody listens, with the inode of the socket."""
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found[int(fields[1].rpartition(":")[2], 16)] = fields[9]
    return found


def others(inode: str, mark: str) -> bool:
    """Whether a socket belongs to a living process that is not of this run: other runs like the same ports."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            held = any(link.readlink() == Path(f"socket:[{inode}]") for link in (entry / "fd").iterdir())
            if held and f"{MARK}={mark}".encode() not in (entry / "environ").read_bytes().split(b"\0"):
                return True
        except OSError:
            continue
    return False


def unix_sockets(directory: Path) -> set[str]:
    """Named Unix sockets below a directory, and srtctl's in /tmp, also those whose file is gone."""
    names = (line.split()[7:8] for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    return {name for found in names for name in found if name.startswith(str(directory))}


def ports_of(results: Path) -> set[int]:
    """Ports that a run was given, as it wrote them down."""
    files = results.glob("*/*/allocations/*/attempt-*/environment.json")
    return {port for file in files for port in json.loads(file.read_text())["ports"].values()}


def temporary_files(directory: Path) -> set[str]:
    """Everything in the run's own temporary directory, and srtctl's in /dev/shm."""
    return {str(path) for path in (*directory.rglob("*"), *Path("/dev/shm").glob("*srtctl*"))}


def run_once(output: Path, number: int, recipe: Path) -> list[str]:
    """One run; returns what is wrong with it."""
    temporary = output / "t"  # a short name: the scratch directory is only made here if sockets fit into it
    temporary.mkdir()
    mark = f"{os.getpid()}-{number}"
    before_files = temporary_files(temporary)
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
    ports = ports_of(results)
    wrong += [] if ports else ["no port was written down"]
    open_ports = listening()
    wrong += [f"port left: {port}" for port in ports & open_ports.keys() if not others(open_ports[port], mark)]
    wrong += [f"socket left: {name}" for name in unix_sockets(temporary)]
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
