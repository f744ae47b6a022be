"""Where traffic enters, and what stands behind it."""

from __future__ import annotations

from collections.abc import Iterator

from srtctl.errors import Problem, Severity
from srtctl.validate.context import Context, Rule

_FILES_PER_STREAM = 2


def backend_behind_frontend(context: Context) -> Iterator[Problem]:
    """SGLang's router speaks to SGLang servers only."""
    job = context.job
    if job.frontend.type == "sglang-router" and job.backend.type == "mocker":
        yield Problem(
            "frontend-backend",
            f"sglang-router can't route to {job.backend.type} workers",
            "frontend.type",
            job.frontend.type,
            "dynamo",
            "frontend=dynamo, or backend=sglang",
        )


def dynamo_source(context: Context) -> Iterator[Problem]:
    """One source of Dynamo, at most."""
    dynamo = context.job.dynamo
    if dynamo.wheel is not None and dynamo.version is not None:
        yield Problem(
            "dynamo-source",
            "a wheel and a release are two sources of the same program",
            "dynamo.wheel",
            dynamo.wheel,
            "one of dynamo.version and dynamo.wheel",
        )
    if dynamo.wheel is not None and not dynamo.install:
        yield Problem(
            "dynamo-source",
            "the wheel is not installed",
            "dynamo.wheel",
            dynamo.wheel,
            hint="dynamo.install=true",
            severity=Severity.WARNING,
        )


def unused_services(context: Context) -> Iterator[Problem]:
    """Settings of services that this frontend does not use."""
    job = context.job
    if job.frontend.type == "sglang-router" and job.infra.etcd_nats_dedicated_node:
        yield Problem(
            "unused-services",
            "etcd and NATS are not started for sglang-router, yet a node is reserved for them",
            "infra.etcd_nats_dedicated_node",
            True,
            hint="set it to false",
            severity=Severity.WARNING,
        )


def open_files(context: Context) -> Iterator[Problem]:
    """nginx and the client hold two files for each request in flight."""
    from srtctl.validate.benchmark import highest_concurrency

    limit, most = context.facts.open_files_limit, highest_concurrency(context.job)
    if context.local and limit is not None and most is not None and _FILES_PER_STREAM * most > limit:
        need = _FILES_PER_STREAM * most
        text = f"{most} requests in flight need {need} open files in one process; the limit here is {limit}"
        yield Problem(
            "open-files",
            text,
            "benchmark.concurrencies",
            most,
            hint="raise the hard limit (ulimit -Hn)",
            severity=Severity.WARNING,
        )


RULES: tuple[Rule, ...] = (backend_behind_frontend, dynamo_source, unused_services, open_files)
