"""A sweep at one moment as plain lines, and what of them is new since the last look."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from srtctl.report.groups import MOST_ALLOCATIONS, counted, group_lines, process_text, steady_detail
from srtctl.report.tables import allocation_failure
from srtctl.results.state import AllocationState, PointState, SweepState, time_left_s

MOST_POINTS = 20  # that `srtctl status` lists one by one
DULL = frozenset({"ok", "pending", "queued", "withdrawn"})  # of a longer sweep these are only counted


@dataclass(frozen=True)
class Line:
    """A line about one thing.

    Attributes:
        key: What it is about; a line is new when the last one with its key read otherwise.
        progress: It changes all the time, so it is not shown at every change.
    """

    key: str
    text: str
    progress: bool = False


def headline(found: SweepState) -> str:
    """`quick/2026…-3fa2c1: running, 1 of 3 points ok`."""
    total = len(found.points)
    counts: dict[str, int] = {}
    for point in found.points:
        counts[point.state] = counts.get(point.state, 0) + 1
    parts = ", ".join(f"{count} {state}" for state, count in counts.items())
    noun = "point" if total == 1 else "points"
    return f"{found.manifest.get('name')}/{found.sweep.sweep_id}: {found.state} ({total} {noun}: {parts})"


def lines(found: SweepState) -> Iterator[Line]:
    """Everything worth a line when it changes."""
    if len(found.present) > MOST_ALLOCATIONS:
        yield Line("allocations", f"allocations: {counted(found.present)}")
    else:
        for allocation in found.present:
            yield from _allocation_lines(found, allocation)
    for point in found.points:
        name = point_name(point)
        if point.state == "running" and point.live:
            yield Line(f"point {point.index} measurement", f"{name}: {measurement_text(point.live)}")
            if text := progress_text(point.live):
                yield Line(f"point {point.index} progress", f"{name}: {text}", progress=True)
        elif point.state not in ("pending", "queued", "withdrawn"):
            reason = f" ({point.reason})" if point.reason else ""
            yield Line(f"point {point.index}", f"{name}: {point.state}{reason}")


def changes(found: SweepState, seen: dict[str, Line], quiet: bool = False) -> list[Line]:
    """The lines that are new; `seen` is brought up to date. `quiet` holds back those about progress."""
    new = []
    for line in lines(found):
        if seen.get(line.key) != line and not (quiet and line.progress):
            seen[line.key] = line
            new.append(line)
    return new


def status_lines(found: SweepState) -> list[str]:
    """The whole state, for somebody who asks once."""
    text = [headline(found), f"  {found.sweep.path}"]
    shown_allocations = list(found.present)
    if len(found.present) > MOST_ALLOCATIONS:
        text += [f"  {line}" for line in group_lines(found.present, time.time())]
        telling = [a for a in found.present if a.state not in ("ok", "queued", "not_submitted")]
        shown_allocations = sorted(telling, key=lambda a: not a.active)[:MOST_ALLOCATIONS]
    for allocation in shown_allocations:
        text += [f"  {line}" for line in _allocation_block(found, allocation)]
    if len(found.allocations) <= MOST_ALLOCATIONS:
        earlier = [a for a in found.allocations if a not in found.present]
        text += [f"  allocation {a.index}: {a.state}; its points were handed over again since" for a in earlier]
    told = {a.detail for a in shown_allocations}
    shown = [p for p in found.points if len(found.points) <= MOST_POINTS or p.state not in DULL]
    for point in shown[:MOST_POINTS]:
        detail = ""
        if point.state == "running" and point.live:
            parts = [measurement_text(point.live), progress_text(point.live)]
            detail = f": {', '.join(part for part in parts if part)}"
        elif point.reason and point.reason not in told:
            detail = f": {point.reason}"
        text.append(f"  {point_name(point)} {point.state}{detail}")
    if len(shown) < len(found.points) or len(shown) > MOST_POINTS:
        text.append(f"  {len(found.points) - len(shown[:MOST_POINTS])} points more: srtctl results, or --json")
    return text


def point_name(point: PointState) -> str:
    """`point 3 [benchmark.isl=2048]`: with what distinguishes it from the others."""
    overrides = " ".join(point.differs_in)
    short = overrides if len(overrides) <= 80 else overrides[:77] + "..."
    return f"point {point.index}" + (f" [{short}]" if short else "")


def measurement_text(live: Mapping[str, Any]) -> str:
    """`measuring c0008, 2 of 3`."""
    if not live.get("measurement"):
        return "between measurements"
    if live["measurement"] == "hold":
        return "servers are up until you stop them: srtctl cancel"
    return f"measuring {live['measurement']}, {int(live.get('index') or 0) + 1} of {live.get('of')}"


def progress_text(live: Mapping[str, Any]) -> str:
    """`40/80 requests, 12.1/s, 3 s left`; empty where nothing is known."""
    done, expected, rate = (live.get(key) for key in ("done_requests", "expected_requests", "rate_per_s"))
    if done is None:
        return ""
    parts = [f"{min(done, expected)}/{expected} requests" if expected else f"{done} requests"]
    if rate:
        parts.append(f"{rate:.1f}/s")
    left = time_left_s(dict(live))
    if left is not None:
        parts.append(f"{left:.0f} s left")
    return ", ".join(parts)


def shown_state(process: Mapping[str, Any]) -> str:
    """Its state in words for people: a client is at work from its start on, nobody waits for it to become ready."""
    state = str(process.get("state"))
    return "RUNNING" if state == "STARTING" and process.get("role") == "client" else state


def ready_text(status: Mapping[str, Any]) -> str:
    """`7 of 8 processes ready`."""
    processes = status.get("processes") or ()
    services = [p for p in processes if p.get("role") not in ("client", "setup")]
    ready = sum(p.get("state") == "READY" for p in services)
    return f"{ready} of {len(services)} processes ready" if services else ""


def _allocation_lines(found: SweepState, allocation: AllocationState) -> Iterator[Line]:
    name = f"allocation {allocation.index}"
    state = allocation.state
    if state == "running" and allocation.phase not in ("", "done"):
        state = f"{allocation.phase}, http://{_endpoint(allocation)}" if _held(allocation) else allocation.phase
    detail = steady_detail(allocation)
    yield Line(name, f"{name}: {state}" + (f" ({detail})" if detail else ""))
    started = allocation.status.get("started_at") or 0.0
    for process in allocation.status.get("processes") or ():
        key = f"{name} {process.get('name')}"
        if process.get("state") == "READY" and process.get("ready_at"):
            yield Line(key, f"{process['name']} ready after {process['ready_at'] - started:.1f} s")
        elif process.get("state") == "FAILED":
            yield Line(key, f"{process['name']} FAILED, exit code {process.get('exit_code')}")
    for warning in allocation.status.get("warnings") or ():
        yield Line(f"{name} {warning}", f"warning: {warning}")


def _allocation_block(found: SweepState, allocation: AllocationState) -> list[str]:
    status = allocation.status
    phase = f", {allocation.phase}" if allocation.phase else ""  # before the first there is a detail that says so
    parts = [allocation.state + (phase if allocation.state == "running" else "")]
    if allocation.active and (ready := ready_text(status)):
        parts.append(ready)
    if allocation.active and status.get("endpoint"):
        parts.append(f"http://{status['endpoint']}")
    if allocation.detail and allocation.phase != "done":
        parts.append(allocation.detail)
    text = [f"allocation {allocation.index}: {', '.join(parts)}"]
    if allocation.active and (waiting := process_text(status)):
        text.append(f"  {waiting}")
    text += [f"  warning: {warning}" for warning in status.get("warnings") or ()]
    return text + [f"  {line}" for line in allocation_failure(found, allocation)]


def _endpoint(allocation: AllocationState) -> str:
    return str(allocation.status.get("endpoint"))


def _held(allocation: AllocationState) -> bool:
    return any(p.get("measurement") == "hold" for p in allocation.status.get("points") or ())
