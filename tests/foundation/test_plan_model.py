"""Plans go to JSON and back, and tokens are found and replaced."""

from __future__ import annotations

import json

import pytest

from srtctl.plan.codec import from_json, to_json
from srtctl.plan.model import (
    Census,
    Container,
    Plan,
    PointSteps,
    PortRequest,
    Probe,
    Process,
    Rank,
    RenderedFile,
    Slot,
    Step,
    Worker,
)
from srtctl.plan.tokens import replace_tokens, tokens_in

PLAN = Plan(
    name="job",
    deployment_id="d" * 16,
    backend="mocker",
    frontend="dynamo",
    model="tiny",
    slots=(Slot(0, 8, ("head", "worker")), Slot(1, 8)),
    workers=(Worker("prefill", 0, (Rank(0, (0, 1)), Rank(1, (0, 1)))),),
    processes=(
        Process(
            "etcd",
            "etcd",
            0,
            ("etcd", "--data-dir", "@scratch:slot0@/etcd"),
            probe=Probe("http", "@host:slot0@:@port:etcd/client@", "/health", expect_json={"health": "true"}),
        ),
        Process("prefill0", "prefill", 0, ("python",), gpus=(0, 1), env={"A": "ü"}, needs=("etcd",), worker="prefill0"),
    ),
    ports=(PortRequest("etcd/client", 0, 2379),),
    census=Census("dynamo", ("@host:slot0@:@port:frontend0/http@",), {"prefill": 1}, "tiny"),
    endpoint="@host:slot0@:@port:public/http@",
    public_port="public/http",
    files=(RenderedFile("nginx.conf", "daemon off;\n"),),
    container=Container("pyxis", "image", (("/a", "/b"),)),
    denominators={"prefill": 4, "all": 4},
)


def test_a_plan_survives_json():
    assert from_json(Plan, to_json(PLAN)) == PLAN


def test_steps_survive_json():
    steps = PointSteps("c" * 16, "sa-bench", (Step("c0004", "sa-bench", ("aiperf",), settings={"isl": 128}),))
    assert from_json(PointSteps, to_json(steps)) == steps


def test_the_text_is_stable():
    assert to_json(from_json(Plan, to_json(PLAN))) == to_json(PLAN)


def test_another_release_is_refused():
    data = json.loads(to_json(PLAN)) | {"schema_version": 99}
    with pytest.raises(ValueError, match="schema_version 99 is not 1"):
        from_json(Plan, json.dumps(data))


def test_an_unknown_field_is_refused():
    data = json.loads(to_json(PLAN)) | {"surprise": 1}
    with pytest.raises(ValueError, match="surprise"):
        from_json(Plan, json.dumps(data))


def test_tokens():
    text = "http://@host:slot1@:@port:decode0/http@/ in @scratch:slot0@ of @allocation@, me@example.com"
    assert list(tokens_in(text)) == [
        ("host", "slot1"),
        ("port", "decode0/http"),
        ("scratch", "slot0"),
        ("allocation", ""),
    ]
    table = {"host:slot1": "10.0.0.2", "port:decode0/http": "6100", "scratch:slot0": "/tmp/x", "allocation": "/runs/a"}
    assert replace_tokens(text, table) == "http://10.0.0.2:6100/ in /tmp/x of /runs/a, me@example.com"


def test_a_token_without_a_value_is_an_error():
    with pytest.raises(KeyError):
        replace_tokens("@host:slot9@", {})
