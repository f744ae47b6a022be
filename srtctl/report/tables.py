"""Tables for a terminal, and the same as aligned text where output goes to a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from srtctl.report.failure import failure_lines
from srtctl.results.state import AllocationState, SweepState
from srtctl.results.table import cell

_NAMING = ("point", "concurrency", "req_rate")
_GAP = 2
_STYLES = {"ok": "green", "invalid": "yellow", "failed": "red", "lost": "red", "cancelled": "yellow"}


def print_results(found: SweepState, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """The rows, then what was wrong, then where everything lies."""
    body = [[cell(row.get(name)) for name in columns] for row in rows]
    if sys.stdout.isatty():
        _print_rich(found, body, columns)
    else:
        print("\n".join(aligned([list(columns.values()), *body])))
    for line in remarks(found, rows):
        print(line)
    print(f"results: {found.sweep.path / 'points'}")
    print(f"logs:    {found.sweep.path / 'allocations'}")


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, numbers to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    numeric = [all(_looks_numeric(line[i]) for line in lines[1:]) for i in range(len(lines[0]))]
    pairs = list(zip(widths, numeric, strict=True))
    return [
        "  ".join(
            text.rjust(w) if right else text.ljust(w) for text, (w, right) in zip(line, pairs, strict=True)
        ).rstrip()
        for line in lines
    ]


def remarks(found: SweepState, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What one should know beside the numbers: errors, reasons, first causes, verdicts that say no."""
    lines: list[str] = []
    for row in rows:
        name = f"point {row.get('point')}" + (f" {row['measurement']}" if row.get("measurement") else "")
        lines += [f"{name}: {e['count']} x {e['what']}" for e in row.get("errors") or ()]
        if not row.get("measurement") and row.get("reason"):
            lines.append(f"{name}: {row['reason']}")
    for point in found.points:
        if point.rows and point.reason:
            lines.append(f"point {point.index}: {point.reason}")
    for allocation in found.present:
        lines += allocation_failure(found, allocation)
    return lines + _verdict_lines(rows)


def allocation_failure(found: SweepState, allocation: AllocationState) -> list[str]:
    """The first cause of an allocation's failure; where it left none, what gave it away.

    A reason that its points tell already (a client that failed) is not said again.
    """
    attempt = found.sweep.allocation(allocation.index).latest_attempt()
    lines = failure_lines(allocation.status, attempt.path) if attempt is not None else []
    if not lines and allocation.state == "lost":
        lines = [f"reason: {allocation.detail}"]
    mine = [point for point in found.points if point.record.get("allocation") == allocation.index]
    if not lines or (not allocation.status.get("root_cause") and any(point.reason for point in mine)):
        return []
    many = len(found.present) > 1
    return [f"allocation {allocation.index}: {lines[0]}" if many else lines[0], *lines[1:]]


def _verdict_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """`not met by 3 of 4 rows: at least 60 s long (V6)`, one line a rule."""
    measured = [row for row in rows if row.get("validity")]
    failing: dict[tuple[str, str], int] = {}
    for row in measured:
        for verdict in row["validity"]:
            if verdict.get("ok") is False:
                key = (verdict["id"], verdict["rule"])
                failing[key] = failing.get(key, 0) + 1
    return [
        f"note: {count} of {len(measured)} rows do not meet {number}: {rule}"
        for (number, rule), count in failing.items()
    ]


def _print_rich(found: SweepState, body: Sequence[Sequence[str]], columns: Mapping[str, str]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console, headings = Console(), list(columns.values())
    print(f"{found.manifest.get('name')}  {found.sweep.sweep_id}")
    widths = column_widths(headings, body, most=max(10, console.width // 2))
    for block in blocks(list(columns), widths, console.width):
        table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
        for i in block:
            right = all(_looks_numeric(line[i]) for line in body)
            table.add_column(
                headings[i], justify="right" if right else "left", overflow="fold", width=min(widths[i], console.width)
            )
        for line in body:
            table.add_row(*(line[i] for i in block), style=_STYLES.get(line[-1]) if line[-1] != "ok" else None)
        console.print(table)


def column_widths(headings: Sequence[str], body: Sequence[Sequence[str]], most: int) -> list[int]:
    """What each column needs: its longest cell, `most` at most, and the longest word of its heading, which may wrap."""
    return [
        max(max(map(len, heading.split())), min(most, max((len(line[i]) for line in body), default=0)))
        for i, heading in enumerate(headings)
    ]


def blocks(names: Sequence[str], widths: Sequence[int], room: int) -> list[list[int]]:
    """Which columns stand side by side, so that nothing is squeezed; every block begins with what names a row."""
    lead = [i for i, name in enumerate(names) if name in _NAMING or name.endswith("=")]
    found: list[list[int]] = [[]]
    for i in (i for i in range(len(names)) if i not in lead):
        if found[-1] and sum(widths[k] + _GAP for k in (*lead, *found[-1], i)) > room:
            found.append([])
        found[-1].append(i)
    return [sorted([*lead, *block]) for block in found]


def _looks_numeric(text: str) -> bool:
    try:
        float(text or 0)
    except ValueError:
        return False
    return True
