"""The real stack: etcd, NATS, Dynamo frontends and mockers, nginx; then the loss of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from srtctl.plan.programs import Programs

from .stack import Running, all_gone, custom_step, point, real_plan, write_allocation

CLIENT = """
import http.client, json, os
for i in range(5):
    c = http.client.HTTPConnection(os.environ["ENDPOINT"], timeout=20)
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "stream": True}
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    assert b"[DONE]" in c.getresponse().read()
json.dump({"requests_completed": 5, "requests_failed": 0, "custom_metric": 1.5}, open("result.json", "w"))
"""


def test_whole_stack(tmp_path: Path, programs: Programs, model_dir: Path, start: Callable[..., Running]) -> None:
    plan = real_plan(programs, model_dir)
    allocation = write_allocation(
        tmp_path, plan, [point(custom_step(CLIENT)), point(custom_step(CLIENT, name="again"))]
    )
    run = start(allocation)
    run.event("canary", ok=True)
    pids = run.pids()
    assert len(pids) >= 2 + len(plan.processes)
    code = run.wait()
    status = run.status()
    assert (code, status["outcome"], status["phase"]) == (0, "ok", "done"), run.log()
    assert [p["state"] for p in status["points"]] == ["ok", "ok"]
    assert status["ready"]["seen"] == {"prefill": 1, "decode": 1}
    assert all_gone(pids) == []
    assert status["timings"]["stop_s"] <= 3.0
    result = run.result()
    assert result["state"] == "ok"
    assert (result["rows"][0]["measurement"], result["rows"][0]["valid"]) == ("custom", True)
    print(status["timings"])
