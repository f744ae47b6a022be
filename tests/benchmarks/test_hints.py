"""What hints of the benchmarks name is there."""

from __future__ import annotations

import re
from pathlib import Path

import srtctl.benchmarks

OPTIONS = Path(__file__).parent.parent.parent / "conf" / "benchmark"


def test_options_named_in_hints_ship_with_srtctl() -> None:
    text = "".join(file.read_text() for file in Path(srtctl.benchmarks.__file__).parent.glob("*.py"))
    named = set(re.findall(r"such as benchmark=([\w-]+)", text))
    assert named
    assert named <= {file.stem for file in OPTIONS.glob("*.yaml")}
