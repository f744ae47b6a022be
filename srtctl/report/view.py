"""The live view: processes and their states, what is being measured, how far it is."""

from __future__ import annotations

import time

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from srtctl.report.groups import MOST_ALLOCATIONS, counted
from srtctl.report.snapshot import headline, measurement_text, point_name, progress_text, ready_text, shown_state
from srtctl.results.state import AllocationState, PointState, SweepState

_STYLES = {
    "PENDING": "dim", "STARTING": "yellow", "READY": "green", "RUNNING": "green", "STOPPING": "yellow", "EXITED": "dim",
    "FAILED": "bold red", "ok": "green", "running": "cyan", "failed": "red", "invalid": "red", "lost": "red",
    "cancelled": "yellow",
}  # fmt: skip
_MOST_POINTS = 12
_MOST_PROCESSES = 16
_CALM = {"READY": 1, "EXITED": 2}  # of many processes these are left out first


def render(found: SweepState) -> RenderableType:
    """The whole view of one moment."""
    parts: list[RenderableType] = [Text(headline(found), style="bold", no_wrap=True)]
    shown = [a for a in found.allocations if a.active] or list(found.allocations[-1:])
    shown.sort(key=lambda a: a.state == "queued")
    most = MOST_ALLOCATIONS if not shown[:1] or shown[0].state == "queued" else 2
    for allocation in shown[:most]:
        parts += _allocation(allocation)
    if len(shown) > most:
        parts.append(Text(f"… in all {len(found.allocations)} allocations: {counted(found.allocations)}", style="dim"))
    parts.append(_points(found))
    return Group(*parts)


def _allocation(allocation: AllocationState) -> list[RenderableType]:
    status = allocation.status
    begun, ended = status.get("started_at"), status.get("ended_at")
    facts = [allocation.phase if allocation.state == "running" else allocation.state, ready_text(status)]
    if begun:
        facts.append(f"{(ended or time.time()) - begun:.0f} s")
    if status.get("endpoint") and allocation.active:
        facts.append(f"http://{status['endpoint']}")
    if allocation.active and allocation.detail and (allocation.job is not None or not status):
        facts.append(allocation.detail)
    head = Text(f"allocation {allocation.index}: {', '.join(fact for fact in facts if fact)}")
    table = Table(box=SIMPLE, pad_edge=False, show_header=True, header_style="dim")
    for title in ("process", "state", "host", "pid", "ready after"):
        table.add_column(title, no_wrap=True)
    processes = list(status.get("processes") or ())
    if len(processes) > _MOST_PROCESSES:
        processes.sort(key=lambda p: _CALM.get(str(p.get("state")), 0))
    for process in processes[:_MOST_PROCESSES]:
        ready = process.get("ready_at")
        state = shown_state(process)
        after = f"{ready - process['started_at']:.2f} s" if ready and process.get("started_at") else ""
        pid = str(process.get("pid") or "")
        table.add_row(
            str(process.get("name")), Text(state, _STYLES.get(state, "")), str(process.get("host")), pid, after
        )
    if len(processes) > _MOST_PROCESSES:
        table.add_row(f"… and {len(processes) - _MOST_PROCESSES} more", "", "", "", "")
    return [head, table] if processes else [head]


def _points(found: SweepState) -> RenderableType:
    """Those that run first, then the rest in order; a long sweep is cut."""
    order = sorted(
        found.points, key=lambda p: (p.state != "running", p.state in ("pending", "queued", "withdrawn"), p.index)
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for point in order[:_MOST_POINTS]:
        table.add_row(point_name(point), Text(point.state, _STYLES.get(point.state, "")), _detail(point))
    if len(order) > _MOST_POINTS:
        table.add_row(f"… and {len(order) - _MOST_POINTS} more", "", "")
    return table


def _detail(point: PointState) -> str:
    if point.state != "running" or not point.live:
        return point.reason
    return ", ".join(part for part in (measurement_text(point.live), progress_text(point.live)) if part)
