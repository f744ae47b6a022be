"""For all tests: golden files, and tests that need root."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

NEEDS_ROOT = "needs root"
omitted: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Give the tests a home of their own: nobody's configuration, and no login script, reaches them.

    Clients of `custom` start through a login shell, and a test that kills one in the middle of somebody's login
    script can leave that script's lock behind.
    """
    # what is there for speed only stays where it is
    os.environ.setdefault("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
    home = tempfile.TemporaryDirectory(prefix="srtctl-home-", dir="/var/tmp")  # nodes of test clusters see it too
    os.environ["HOME"] = home.name
    config.add_cleanup(home.cleanup)
    # A gate tries the same inputs every time; new ones are looked for where somebody can look into what they show.
    settings.register_profile("gate", derandomize=True)
    if os.environ.get("CI") == "true":
        settings.load_profile("gate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew instead of comparing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason=NEEDS_ROOT))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # With xdist the tests run in other processes; their reports come to this one.
    if report.skipped and isinstance(report.longrepr, tuple) and NEEDS_ROOT in report.longrepr[2]:
        omitted.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if omitted and os.environ.get("CI") == "true" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not omitted:
        return
    verdict = "; with CI=true that is a failure" if os.environ.get("CI") == "true" else ""
    terminalreporter.section(f"omitted: {len(omitted)} that need root{verdict}")
    for name in sorted(omitted):
        terminalreporter.line(name)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a generated text with its golden file: `golden(path, text)`; `--update-golden` writes the file."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        expected = path.read_text() if path.exists() else ""
        if text != expected:
            lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), str(path), "generated", lineterm="")
            pytest.fail("\n".join([*lines, "", "if this is meant: pytest --update-golden"]), pytrace=False)

    return compare
