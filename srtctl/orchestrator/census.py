"""Who is registered where traffic enters. The readings are pure; only `take` and `canary` touch the network.

A frontend that calls itself healthy proves nothing: Dynamo's /health is `healthy` with no worker at all. What counts
is the number of workers by role, the model in /v1/models, and one real request.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from srtctl.orchestrator import probes
from srtctl.plan.model import Census

PATHS = {"dynamo": "/health", "sglang-router": "/workers"}

# Component under which Dynamo's workers register -> role. `backend` serves decode and aggregated alike.
_DYNAMO_COMPONENTS = {"prefill": "prefill", "backend": "decode", "decode": "decode"}


@dataclass(frozen=True)
class Reading:
    """What one frontend said.

    Attributes:
        ready: The expected workers are all there.
        counts: Workers seen, by role.
        text: What is missing, for people; empty when ready.
    """

    ready: bool
    counts: Mapping[str, int] = field(default_factory=dict)
    text: str = ""


def read_dynamo(answer: Any, expect: Mapping[str, int]) -> Reading:
    """Read Dynamo's /health: one worker per instance of the endpoint `generate`.

    A worker has further endpoints, which are not counted. Aggregated workers register as decode ones do.
    """
    instances = answer.get("instances") if isinstance(answer, dict) else None
    if not isinstance(instances, list):
        return Reading(False, {}, 'the answer of /health has no list "instances"')
    counts = {"prefill": 0, "decode": 0}
    for instance in instances:
        role = _DYNAMO_COMPONENTS.get(str(instance.get("component"))) if isinstance(instance, dict) else None
        if role and instance.get("endpoint") == "generate":
            counts[role] += 1
    return _compare(counts, expect)


def read_router(answer: Any, expect: Mapping[str, int]) -> Reading:
    """Read sglang-router's /workers: `stats` counts prefill, decode and regular (aggregated) workers."""
    stats = answer.get("stats") if isinstance(answer, dict) else None
    if not isinstance(stats, dict):
        return Reading(False, {}, 'the answer of /workers has no "stats"')
    regular = int(stats.get("regular_count", stats.get("regular", 0)) or 0)
    counts = {
        "prefill": int(stats.get("prefill_count", stats.get("prefill", 0)) or 0),
        "decode": int(stats.get("decode_count", stats.get("decode", 0)) or 0),
    }
    if not expect.get("prefill"):
        counts["decode"] += (
            regular  # a regular worker does both, so it can't stand in for a missing decode worker of a pair
        )
    return _compare(counts, expect)


def _compare(counts: Mapping[str, int], expect: Mapping[str, int]) -> Reading:
    wanted = {
        "prefill": expect.get("prefill", 0),
        "decode": expect.get("decode", 0) + expect.get("aggregated", 0),
    }
    if not any(wanted.values()):
        return Reading(False, counts, "no worker is expected: an empty deployment is never ready")
    missing = {role: wanted[role] - counts[role] for role in wanted if wanted[role] > counts[role]}
    names = {"prefill": "prefills", "decode": "decodes" if expect.get("decode") else "aggregated workers"}
    parts = [f"{number} {names[role]}" for role, number in missing.items()]
    return Reading(not missing, counts, f"waiting for {' and '.join(parts)}" if missing else "")


def take(frontend: str, census: Census, timeout_s: float = 2.0) -> Reading:
    """Ask one frontend for its workers and its models."""
    try:
        if census.kind == "none":
            reading = Reading(True)
        else:
            read = read_dynamo if census.kind == "dynamo" else read_router
            reading = read(probes.get_json(frontend, PATHS[census.kind], timeout_s), census.expect)
        if not reading.ready:
            return reading
        models = probes.get_json(frontend, "/v1/models", timeout_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Reading(False, {}, probes.describe(error))
    listed = [m.get("id") for m in models.get("data") or []] if isinstance(models, dict) else []
    if census.model not in listed:
        return Reading(False, reading.counts, f"model {census.model!r} is not listed in /v1/models ({listed})")
    return reading


def canaries(endpoints: Sequence[str], model: str, timeout_s: float) -> dict[str, str]:
    """A canary request to each endpoint, all at once: endpoint -> what was wrong with it, good ones left out."""
    wrong = dict.fromkeys(endpoints, "no answer")

    def ask(endpoint: str) -> None:
        wrong[endpoint] = canary(endpoint, model, timeout_s)

    # daemons: nothing waits for an answer that hangs once the run is over
    threads = [threading.Thread(target=ask, args=(e,), name=f"canary-{e}", daemon=True) for e in endpoints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {endpoint: text for endpoint, text in wrong.items() if text}


def canary(endpoint: str, model: str, timeout_s: float) -> str:
    """One streamed chat completion: empty if it is good, else what was wrong with it.

    Good means HTTP 200, at least one chunk, no error event, and `[DONE]` at its end: a stream that is cut, and an error
    inside a stream, both come with status 200.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 4,
        "stream": True,
    }
    connection = http.client.HTTPConnection(endpoint, timeout=timeout_s)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        if answer.status != 200:
            return f"HTTP {answer.status}: {answer.read()[:300].decode(errors='replace').strip()}"
        return read_stream(answer.read())
    except (OSError, http.client.HTTPException) as error:
        return probes.describe(error)
    finally:
        connection.close()


def read_stream(body: bytes) -> str:
    """Empty if the server-sent events are a whole answer, else what is wrong with them."""
    chunks = 0
    done = False
    for line in body.splitlines():
        if line.startswith(b"event: error"):
            return "an error event in the stream"
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            done = True
        elif b'"error"' in data and "error" in _keys(data):
            return f"an error in the stream: {data[:300].decode(errors='replace')}"
        else:
            chunks += 1
    if not done:
        return f"the stream ended after {chunks} chunks without [DONE]"
    return "" if chunks else "the stream holds no chunk"


def _keys(data: bytes) -> set[str]:
    try:
        value = json.loads(data)
    except ValueError:
        return set()
    return {key for key, held in value.items() if held} if isinstance(value, dict) else set()
