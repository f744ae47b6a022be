"""A program in place of nsys, as the real one is to those who start it and to those who stop it."""

from __future__ import annotations

import sys
from pathlib import Path

# What nsys 2023.4.4 was seen to do: what it has recorded is with an agent in a session of its own, which SIGTERM ends,
# and then there is no report. The program gets a process group of its own. With a window nsys ends when that is over,
# and the program goes on. Of each capture range there is a report, and all of them are written at the end.
# Where it is to write to a directory that is not there, it writes into TMPDIR.
# LEADER is the process that has the ranges of an engine of several processes.
NSYS = """#!{python}
import json, os, pathlib, subprocess, sys, time
words = sys.argv[1:]
at = next(index for index, word in enumerate(words) if word.startswith("--output="))
options = dict(word.partition("=")[::2] for word in words[:at])
output, program = words[at].partition("=")[2], words[at + 1:]
folder = pathlib.Path(output).parent
if not folder.is_dir():
    output = os.environ["TMPDIR"] + "/nsys-report-1c30"
else:
    (folder / "argv.json").write_text(json.dumps(words))
asked, ask = os.pipe()
written, write = os.pipe()
if os.fork() == 0:
    if os.fork(): os._exit(0)
    os.setsid(); os.close(ask); os.close(written)
    names = os.read(asked, 65536).decode().split()
    time.sleep(0.3)
    for name in names: pathlib.Path(name).write_text("a report")
    os._exit(0)
os.wait(); os.close(asked); os.close(write)
child = subprocess.Popen(program, preexec_fn=os.setpgrp)
try:
    window = float(options.get("--delay", 0)) + float(options["--duration"]) if "--duration" in options else None
    code = child.wait(window)
except subprocess.TimeoutExpired:
    code = 0
marks = pathlib.Path("cuda-" + os.environ.get("LEADER", os.environ.get("SRTCTL_PROCESS", "")))
ranges = range(1, (marks.read_text().count("start") if marks.exists() else 0) + 1)
names = [output] if window else [f"{{output}}.{{number}}" for number in ranges]
try:
    os.write(ask, "\\n".join(f"{{name}}.nsys-rep" for name in names).encode())
    os.close(ask); os.read(written, 1)
except BrokenPipeError:
    code = 1
    print("Connection to Agent lost.", flush=True)
sys.exit(code)
"""


def fake_nsys(folder: Path) -> Path:
    """The program, executable."""
    path = folder / "nsys"
    path.write_text(NSYS.format(python=sys.executable))
    path.chmod(0o755)
    return path
