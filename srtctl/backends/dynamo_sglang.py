"""What `dynamo.sglang` takes beside SGLang's own flags, and what each of the two launchers makes useless."""

from __future__ import annotations

from srtctl.backends.flags import Layered
from srtctl.errors import Problem
from srtctl.schema import JobConfig

# Of releases 1.4.2 to 1.6.1: switches, which exist with `no-` in front, too, and flags with values.
SWITCHES = frozenset(
    """
    dedicated-mm-encoder dyn-enable-structural-tag embedding-worker enable-rl exclude-tools-when-tool-choice-none
    fpm-trace frontend-decoding image-diffusion-worker multimodal-embedding-cache-publisher nats-tls-insecure
    rerank-worker tcp-tls-insecure use-sglang-tokenizer video-generation-worker
    """.split()
)
DYNAMO_FLAGS = SWITCHES | frozenset(
    """
    connector custom-jinja-template dump-config-to dyn-default-thinking-mode dyn-endpoint-types dyn-reasoning-parser
    dyn-structural-tag dyn-structural-tag-schema dyn-structural-tag-scope dyn-tool-call-parser embedding-transfer-mode
    endpoint-types engine-request-limit engine-route gateway-workers health-check-payload kv-state-endpoint
    media-output-fs-url media-output-http-url multimodal-embedding-cache-capacity-gb namespace
    nats-tls-ca-cert-path nats-tls-client-cert-path nats-tls-client-key-path output-modalities response-plane
    sglang-trace-level tcp-tls-ca-cert-path tcp-tls-cert-path tcp-tls-client-ca-cert-path tcp-tls-client-cert-path
    tcp-tls-client-key-path tcp-tls-handshake-timeout tcp-tls-key-path tcp-tls-server-name
    """.split()
)
# Where a worker is found, and by whom, follows from the frontend and from `dynamo.*`.
DYNAMO_OWNED = ("endpoint", "discovery-backend", "request-plane", "event-plane", "disagg-config", "disagg-config-key")


def belongs_to_dynamo(name: str) -> bool:
    """Whether `dynamo.sglang` has this flag where SGLang has none; its router's flags are the frontend's."""
    twin_of = name[3:] if name.startswith("no-") else None
    return name in DYNAMO_OWNED or name in DYNAMO_FLAGS or twin_of in SWITCHES


# What of the engine's own is offered under /engine/ on a worker's system port, by Dynamo 1.6; releases before it don't
# read this, and have no way to empty a cache.
ROUTES = {"DYN_SGLANG_ENGINE_ROUTES": "flush_cache:tm"}
FLUSH_PATH = "/engine/flush_cache"


def stop_signal(frontend: str, rank: int) -> str:
    """What a rank of a worker is stopped with.

    A rank of `dynamo.sglang` that doesn't lead takes note of SIGTERM and goes
    on waiting for ever; SIGHUP ends it, and with it, by the kernel, its schedulers.
    """
    return "HUP" if frontend == "dynamo" and rank else "TERM"


def launcher_problems(job: JobConfig, flags: Layered) -> list[Problem]:
    """Flags that the launcher of this job's workers has not, or that make it useless."""
    if job.frontend.type == "dynamo":
        return []
    problems = []
    for name, value in flags.values.items():
        if belongs_to_dynamo(name) and name not in DYNAMO_OWNED and value not in (None, False):
            text = "only dynamo.sglang has this flag; behind sglang-router workers are plain SGLang servers"
            key, hint = flags.sources[name], "frontend=dynamo, or no such flag"
            problems.append(Problem("launcher-flag", text, key, value, hint=hint))
    if flags.values.get("skip-tokenizer-init") is True:
        text = "behind sglang-router the server itself makes tokens of texts; without a tokenizer it answers no chat"
        key, hint = flags.sources["skip-tokenizer-init"], "leave it out; only Dynamo's workers do without a tokenizer"
        problems.append(Problem("launcher-flag", text, key, True, hint=hint))
    return problems
