"""What happens between two points, so that the second finds servers as the first did."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Sequence

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
    places = [f"{frontend}{path}" for path in context.plan.flush_paths for frontend in frontends]
    places += [context.bound.text(worker) for worker in context.plan.flush_workers]
    wrong = context.ask("flush", lambda: flush(places), FLUSH_TIMEOUT_S * (1 + len(places)))
    if wrong is None or wrong:
        warnings.append(f"the workers' caches were not emptied before it: {wrong or 'no answer in time'}")
    context.report.event("between_points", flush=wrong or "ok")
    gate.take_census(context, context.clock.now() + max(1.0, context.plan.budgets.drain_s))


def flush(places: Sequence[str]) -> str:
    """POST to every `host:port/path`; empty if all went well."""
    if not places:
        return "the frontends offer no way to do it"
    for place in places:
        address, _, path = place.partition("/")
        try:
            status, body = probes.request(address, "POST", f"/{path}", FLUSH_TIMEOUT_S, b"{}")
        except (OSError, http.client.HTTPException) as error:
            return f"{place}: {probes.describe(error)}"
        if status >= 300 or _refused(body):
            return f"{place}: HTTP {status} {body[:200].decode(errors='replace')}"
    return ""


def _refused(body: bytes) -> bool:
    """Some say in the answer alone that they have not done it, as SGLang does while it answers requests."""
    with contextlib.suppress(ValueError):
        answer = json.loads(body)
        return isinstance(answer, dict) and answer.get("success") is False
    return False
