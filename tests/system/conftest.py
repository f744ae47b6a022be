"""Runs the installed `srtctl` as a user does, in a directory of the test's own, and looks for what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

SRTCTL = Path(sys.executable).parent / "srtctl"
MARK = "SRTCTL_SYSTEM_TEST"

# One prefill and one decode mocker behind two frontends and nginx; the client is a shell command, so it costs nothing.
QUICK = """
name: quick
model: {path: "builtin:tiny"}
resources: {gpus_per_node: 2, prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 1,
            decode_nodes: 0, decode_workers: 1, gpus_per_decode: 1}
backend: {type: mocker, speedup_ratio: 100}
frontend: {type: dynamo, count: 2}
benchmark: {type: custom, command: "echo '{\\"answer\\": 42}' > result.json"}
"""


class User:
    """Somebody at a shell in `home`."""

    def __init__(self, home: Path, mark: str):
        self.home = home
        self.mark = mark

    @property
    def environment(self) -> dict[str, str]:
        # A home of its own: custom commands run in a login shell, and this machine's profile is not under test.
        own = {"HOME": str(self.home), "TMPDIR": str(self.home / "tmp"), "COLUMNS": "160"}
        return os.environ | own | {MARK: self.mark}

    def write(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(text)
        return path

    def srtctl(self, *argv: str, timeout_s: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [str(SRTCTL), *argv],
            cwd=self.home,
            env=self.environment | options.pop("env", {}),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            **options,
        )

    def json(self, *argv: str) -> Any:
        done = self.srtctl(*argv, "--json")
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    def sweep(self) -> Path:
        """Directory of the newest sweep."""
        return max((p.parent for p in (self.home / "outputs").glob("*/*/sweep.json")), key=lambda p: p.stat().st_mtime)

    def status(self) -> dict[str, Any]:
        """status.json of the newest sweep's first allocation, empty when there is none yet."""
        files = sorted(self.sweep().glob("allocations/0000/attempt-*/status.json"))
        return json.loads(files[-1].read_text()) if files else {}

    def wait_for(self, what: str, seen: Any, timeout_s: float = 60) -> dict[str, Any]:
        """Poll status.json until `seen(status)`; fails the test with the last status."""
        end = time.monotonic() + timeout_s
        status: dict[str, Any] = {}
        while time.monotonic() < end:
            try:
                status = self.status()
                if status and seen(status):
                    return status
            except (ValueError, FileNotFoundError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"never saw: {what}; last status {json.dumps(status, indent=1)[:3000]}")

    def processes(self) -> dict[int, str]:
        """Everything that was started, however indirectly, by this user's commands and still lives."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
        return found

    def assert_nothing_left(self, within_s: float = 3) -> None:
        """No process lives, and the temporary directory is empty."""
        end = time.monotonic() + within_s
        while self.processes() and time.monotonic() < end:
            time.sleep(0.05)
        assert not self.processes()
        assert not list((self.home / "tmp").iterdir())


SomeUser = TypeVar("SomeUser", bound=User)


def visit(home: Path, make: Callable[[Path, str], SomeUser]) -> Iterator[SomeUser]:
    """Somebody with a home, of whom no process outlives the test: the body of a fixture."""
    (home / "tmp").mkdir()
    somebody = make(home, f"{os.getpid()}-{home.name}")
    yield somebody
    for pid in somebody.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    yield from visit(tmp_path, User)


@pytest.fixture
def quick(user: User) -> Path:
    """A job file for a run of a few seconds."""
    return user.write("quick.yaml", QUICK)
