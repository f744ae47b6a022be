"""What the test run itself promises: nothing is left out in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"
NOT_ROOT = "import os\nos.geteuid = lambda: 1000\n"  # the outermost edge: this machine may run tests as root


@pytest.mark.parametrize(("ci", "code", "workers"), [("", 0, "0"), ("true", 1, "0"), ("true", 1, "1")])
def test_tests_that_need_root_are_omitted_by_name(tmp_path: Path, ci: str, code: int, workers: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  root: needs root\n")
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text().replace("import os\n", NOT_ROOT, 1))
    (tmp_path / "test_x.py").write_text(
        "import pytest\n@pytest.mark.root\ndef test_mounts(): assert 0\ndef test_other(): pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", workers, "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout
    assert "omitted: 1 that need root" in done.stdout
    assert "\ntest_x.py::test_mounts\n" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout
