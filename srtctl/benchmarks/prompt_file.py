"""Prompts of the user's own, one JSON object a line, in the form that the client which sends them reads.

aiperf         {"text": "What is …?"}
sglang-bench   {"conversations": [{"value": "What is …?"}, {"value": "It is …"}]}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def prompt_fault(path: Path, client: str) -> str:
    """What is wrong with a file of prompts; empty when nothing is.

    Args:
        client: `aiperf` or `sglang-bench`.

    Raises:
        OSError: It can't be read.
    """
    empty = True
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            empty = False
            try:
                entry = json.loads(line)
            except ValueError:
                return f"line {number} is not JSON"
            fault = _of_sglang(entry) if client == "sglang-bench" else _of_aiperf(entry)
            if fault:
                return f"line {number} {fault}"
    return "holds no prompts" if empty else ""


def _of_aiperf(entry: Any) -> str:
    if isinstance(entry, dict) and isinstance(entry.get("text"), str) and entry["text"]:
        return ""
    if isinstance(entry, dict) and entry.get("prompt"):
        return 'has its text as `prompt`; aiperf wants it as {"text": "…"}'
    return 'is no prompt as aiperf reads it: {"text": "…"}'


def _of_sglang(entry: Any) -> str:
    turns = (entry.get("conversations") or entry.get("conversation")) if isinstance(entry, dict) else None
    if isinstance(turns, list) and len(turns) >= 2 and all(isinstance(turn, dict) for turn in turns[:2]):
        return ""
    return "is no conversation of two turns, as sglang.bench_serving reads them"
