"""Who is ready: the answers that frontends give, and a stream that is whole or not."""

from __future__ import annotations

from typing import Any

import pytest

from srtctl.orchestrator.census import read_dynamo, read_router, read_stream


def dynamo(**counts: int) -> dict[str, Any]:
    return {
        "status": "healthy",
        "instances": [{"endpoint": "generate", "component": c} for c, n in counts.items() for _ in range(n)],
    }


OTHER = {"endpoint": "worker_kv_query_source_1", "component": "prefill"}


@pytest.mark.parametrize(
    ("prefill", "decode", "answer", "ready", "text"),
    [
        (2, 3, dynamo(prefill=2, decode=3), True, ""),
        (2, 2, dynamo(prefill=1, decode=2), False, "waiting for 1 prefills"),
        (1, 1, dynamo(), False, "waiting for 1 prefills and 1 decodes"),
        (1, 1, {"instances": [*dynamo(prefill=1, decode=1)["instances"], OTHER]}, True, ""),
        (2, 1, {"instances": [*dynamo(prefill=1, decode=1)["instances"], OTHER]}, False, "waiting for 1 prefills"),
        (0, 2, dynamo(backend=2), True, ""),
        (1, 1, dynamo(prefill=1, backend=1), True, ""),
        (1, 1, {"status": "ok"}, False, "instances"),
        (1, 1, {}, False, "instances"),
        (1, 1, [], False, "instances"),
        (0, 0, dynamo(), False, "no worker is expected"),
    ],
)
def test_dynamo(prefill: int, decode: int, answer: Any, ready: bool, text: str) -> None:
    reading = read_dynamo(answer, {"prefill": prefill, "decode": decode})
    assert reading.ready is ready
    assert text in reading.text


def test_dynamo_counts_and_aggregated_workers() -> None:
    assert read_dynamo(dynamo(prefill=2, backend=3), {"prefill": 2, "decode": 3}).counts == {"prefill": 2, "decode": 3}
    assert read_dynamo(dynamo(backend=1), {"aggregated": 2}).text == "waiting for 1 aggregated workers"
    assert read_dynamo(dynamo(backend=2), {"aggregated": 2}).ready


@pytest.mark.parametrize(
    ("prefill", "decode", "stats", "ready", "text"),
    [
        (4, 8, (4, 8, 0), True, ""),
        (4, 8, (6, 10, 0), True, ""),
        (4, 8, (2, 8, 0), False, "waiting for 2 prefills"),
        (4, 8, (4, 3, 0), False, "5 decodes"),
        (2, 4, (0, 0, 0), False, "2 prefills"),
        (0, 4, (0, 0, 4), True, ""),
        (0, 4, (0, 4, 0), True, ""),
        (0, 4, (0, 2, 2), True, ""),
        (1, 1, (1, 0, 1), False, "1 decodes"),
    ],
)
def test_router(prefill: int, decode: int, stats: tuple[int, int, int], ready: bool, text: str) -> None:
    answer = {"stats": dict(zip(("prefill_count", "decode_count", "regular_count"), stats, strict=True))}
    reading = read_router(answer, {"prefill": prefill, "decode": decode})
    assert reading.ready is ready
    assert text in reading.text


def test_router_without_stats() -> None:
    assert "stats" in read_router({"workers": []}, {"decode": 1}).text
    assert read_router({"stats": {}}, {"decode": 1}).counts == {"prefill": 0, "decode": 0}


CHUNK = b'data: {"choices": [{"delta": {"content": "an \\"error\\" in words"}}]}\n\n'


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (CHUNK + b"data: [DONE]\n\n", ""),
        (CHUNK, "without [DONE]"),  # what a frontend that is killed leaves, with status 200
        (b"", "without [DONE]"),
        (b"data: [DONE]\n\n", "no chunk"),
        (CHUNK + b'data: {"error": {"code": 503, "message": "gone"}}\n\n', "gone"),  # a worker that is killed
        (CHUNK + b"event: error\ndata: boom\n\ndata: [DONE]\n\n", "error event"),
        (b'data: {"choices": [], "error": null}\n\ndata: [DONE]\n\n', ""),
    ],
)
def test_stream(body: bytes, wrong: str) -> None:
    assert (read_stream(body) == "") is (wrong == "")
    assert wrong in read_stream(body)
