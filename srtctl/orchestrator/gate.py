"""When may measuring begin: servers ready, workers registered at every frontend, one real answer end to end."""

from __future__ import annotations

from functools import partial
from typing import Any

from srtctl.orchestrator import census
from srtctl.orchestrator.context import CLIENT, Context
from srtctl.orchestrator.failures import Failure, RunOver
from srtctl.orchestrator.probes import Look
from srtctl.orchestrator.state import State
from srtctl.orchestrator.versions import PREFIX, VersionChecks, distinct
from srtctl.plan.tokens import tokens_in

CENSUS_INTERVAL_S = 0.05
CANARY_RETRY_S = 15.0  # an answered error may pass: a model card arrives shortly after its workers
VERSION_WAIT_S = 15.0


def bring_up(context: Context, checks: VersionChecks) -> None:
    """Start all servers and wait until a real request is answered.

    Raises:
        RunOver: Something failed, or the run was told to stop.
    """
    supervisor, report, clock = context.supervisor, context.report, context.clock
    begun = clock.now()
    for process in distinct(context.plan.processes):
        checks.start(*context.version_spawn(process, PREFIX + process.name))
    supervisor.add(context.plan.processes, lambda slot: context.bound.nodes[slot].host)
    _prepare(context)
    deadline = clock.now() + context.plan.budgets.ready_s
    if not supervisor.wait(lambda: _all_up(context), deadline):
        waiting = [one.name for one in supervisor.managed.values() if not one.satisfied]
        _give_up(context, waiting[0], f"not ready after {context.plan.budgets.ready_s:g} s")
    report.timing("engines_ready_s", clock.now() - begun)
    context.last_ready_at = max((m.ready_at or 0.0 for m in supervisor.managed.values()), default=clock.wall())
    report.data["endpoint"] = context.endpoint()
    report.data["endpoints"] = context.bound.endpoints()
    report.enter("ready_wait")
    take_census(context, deadline)
    report.timing("census_s", clock.wall() - context.last_ready_at)
    _canary(context, deadline)
    report.timing("first_answer_s", clock.now() - begun)
    supervisor.wait(lambda: checks.done, clock.now() + VERSION_WAIT_S)


def _prepare(context: Context) -> None:
    """Wait until images are there and what was asked for is installed, which is not part of the servers' deadline."""
    names = {one.name for one in context.plan.processes if one.kind == "task"}
    if not names:
        return
    supervisor, clock = context.supervisor, context.clock
    begun = clock.now()
    tasks = [one for one in supervisor.managed.values() if one.name in names]
    if not supervisor.wait(lambda: all(one.satisfied for one in tasks), begun + context.plan.budgets.prepare_s):
        waiting = next(one.name for one in tasks if not one.satisfied)
        _give_up(context, waiting, f"not done after {context.plan.budgets.prepare_s:g} s")
    context.report.timing("prepare_s", clock.now() - begun)


def take_census(context: Context, deadline: float) -> None:
    """Wait until every frontend knows every worker and the model.

    Raises:
        RunOver: That took too long, or the run was decided otherwise.
    """
    wanted = context.plan.census
    looks: dict[str, Look] = {}
    for number, frontend in enumerate(context.frontends()):
        key = f"census-{number}"
        looks[key] = context.look(key, partial(census.take, frontend, wanted), CENSUS_INTERVAL_S)
    findings: dict[str, Any] = context.supervisor.findings
    try:
        complete = context.supervisor.wait(lambda: all(k in findings and findings[k].ready for k in looks), deadline)
    finally:
        for look in looks.values():
            look.stop()
        _record(context, [findings[k] for k in looks if k in findings])
    context.report.event("census", complete=complete, seen=context.report.data["ready"]["seen"])
    if not complete:
        number, key = next((n, k) for n, k in enumerate(looks) if k not in findings or not findings[k].ready)
        text = findings[key].text if key in findings else "no answer"
        _give_up(context, _owner(wanted.frontends[number]), f"the workers are not all registered: {text}")


def census_now(context: Context) -> bool:
    """One look at every frontend: are all workers (still) registered?"""
    frontends, wanted = context.frontends(), context.plan.census
    readings = context.ask(
        "census-now", lambda: [census.take(f, wanted) for f in frontends], 2.0 + 4.0 * len(frontends)
    )
    return readings is not None and all(reading.ready for reading in readings)


def _record(context: Context, readings: list[census.Reading]) -> None:
    """The fewest workers that any frontend has seen."""
    roles = {role for reading in readings for role in reading.counts}
    seen = {role: min(r.counts.get(role, 0) for r in readings) for role in sorted(roles)}
    ready = context.report.data["ready"] or {"canary_s": None}
    context.report.data["ready"] = {**ready, "expected": dict(context.plan.census.expect), "seen": seen}
    context.report.changed()


def _canary(context: Context, deadline: float) -> None:
    """One real answer through the public endpoint, and one from every frontend.

    A frontend that lists model and workers may still refuse requests for a moment (Dynamo 1.4: "no backend worker
    available"), and behind nginx another one may have answered the first canary.
    """
    clock, plan = context.clock, context.plan
    owners = {context.endpoint(): _owner(plan.endpoint)}
    for frontend, address in zip(context.frontends(), plan.census.frontends, strict=True):
        owners.setdefault(frontend, _owner(address))
    refused_since: float | None = None
    while True:
        begun = clock.now()
        left = max(1.0, deadline - begun)
        wrong = context.ask("canary", partial(census.canaries, tuple(owners), plan.census.model, left), left + 1.0)
        seconds = clock.now() - begun
        endpoint, text = next(iter((wrong or {}).items()), (context.endpoint(), "no answer in time"))
        context.report.event("canary", ok=wrong == {}, seconds=round(seconds, 4), text=text if wrong != {} else "")
        if wrong == {}:
            context.report.timing("canary_s", seconds)
            context.report.data["ready"]["canary_s"] = round(seconds, 4)
            context.report.say(f"the canary was answered in {seconds:.3f} s")
            return
        refused_since = refused_since or begun
        if wrong is None or clock.now() > min(deadline, refused_since + CANARY_RETRY_S):
            _give_up(context, owners[endpoint], f"the canary request was not answered: {text}")
        context.supervisor.wait(lambda: False, clock.now() + 0.2)


def _owner(address: str) -> str:
    """The process whose port an address names."""
    return next((name.partition("/")[0] for kind, name in tokens_in(address) if kind == "port"), address)


def _all_up(context: Context) -> bool:
    ours = [one for one in context.supervisor.managed.values() if one.name != CLIENT]
    return all(one.satisfied or (not one.process.must_live and one.state is State.FAILED) for one in ours)


def _give_up(context: Context, process: str, what: str) -> None:
    context.supervisor.settle()  # a process that has just died explains more than what follows from it
    tail = context.supervisor.tail(process)
    failure = Failure(process, context.clock.wall(), what, tail)
    raise RunOver("failed", f"{process}: {what}", failure)
