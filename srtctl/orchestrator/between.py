"""What happens between two points, so that the second finds servers as the first did."""

from __future__ import annotations

import http.client

from srtctl.orchestrator import gate, probes, progress
from srtctl.orchestrator.context import Context

FLUSH_TIMEOUT_S = 10.0


def between_points(context: Context, warnings: list[str]) -> None:
    """Drain, empty the workers' caches, and see that all workers are still there; `warnings` gets what went wrong."""
    frontends = context.frontends()
    deadline = context.clock.now() + context.plan.budgets.drain_s
    while True:
        counters = context.ask("drain", lambda: progress.scrape(frontends), 2.0 + len(frontends))
        if counters is None or not counters.in_flight:
            break
        if context.clock.now() > deadline:
            warnings.append(f"{counters.in_flight:g} requests were still in flight when it began")
            break
        context.supervisor.wait(lambda: False, context.clock.now() + 0.1)
    paths = context.plan.flush_paths
    wrong = context.ask("flush", lambda: _flush(frontends, paths), FLUSH_TIMEOUT_S * (1 + len(paths) * len(frontends)))
    if wrong is None or wrong:
        warnings.append(f"the workers' caches were not emptied before it: {wrong or 'no answer in time'}")
    context.report.event("between_points", flush=wrong or "ok")
    gate.take_census(context, context.clock.now() + max(1.0, context.plan.budgets.drain_s))


def _flush(frontends: tuple[str, ...], paths: tuple[str, ...]) -> str:
    """POST every path to every frontend; empty if all went well."""
    if not paths:
        return "the frontends offer no way to do it"
    for path in paths:
        for frontend in frontends:
            try:
                status, body = probes.request(frontend, "POST", path, FLUSH_TIMEOUT_S, b"")
            except (OSError, http.client.HTTPException) as error:
                return f"{path}: {probes.describe(error)}"
            if status >= 300:
                return f"{path}: HTTP {status} {body[:200].decode(errors='replace')}"
    return ""
