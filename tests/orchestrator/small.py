"""Small plans of Python children: fast to start, and made to fail in every way."""

from __future__ import annotations

from typing import Any

from srtctl.plan.model import Budgets, Census, Plan, Probe, Process, Slot

from .stack import HOST, PYTHON, port

# An OpenAI-like server in a few lines: /health, /v1/models, a streamed completion.
SERVER = """
import http.server, json, signal, sys
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def send(self, text, kind="application/json"):
        self.send_response(200); self.send_header("Content-Type", kind); self.end_headers()
        self.wfile.write(text.encode())
    def do_GET(self):
        if self.path == "/v1/models": self.send(json.dumps({"data": [{"id": "tiny"}]}))
        else: self.send(json.dumps({"status": "ok"}))
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send('data: {"choices": [{"delta": {"content": "x"}}]}\\n\\ndata: [DONE]\\n\\n', "text/event-stream")
class S(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
server = S((sys.argv[1], int(sys.argv[2])), H)
print("listening", flush=True)
server.serve_forever()
"""

SLEEPER = "import time; print('sleeping', flush=True); time.sleep(600)"
IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)

# Starts a grandchild in a session of its own, which starts another that a double fork hands to whoever reaps.
BREEDER = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    time.sleep(600)
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    os._exit(0)
print("bred", flush=True)
time.sleep(600)
"""


def python(name: str, script: str, *arguments: str, **more: Any) -> Process:
    """A process that runs a Python script."""
    return Process(name, more.pop("role", name), 0, (PYTHON, "-I", "-S", "-c", script, *arguments), **more)


def server(name: str = "frontend0", **more: Any) -> Process:
    """The server above, on the port `<name>/http`."""
    probe = Probe("http", f"{HOST}:@port:{name}/http@", "/health", expect_json={"status": "ok"})
    more.setdefault("role", "frontend")
    more.setdefault("probe", probe)
    return python(name, more.pop("script", SERVER), HOST, f"@port:{name}/http@", **more)


def small_plan(*others: Process, **changes: Any) -> Plan:
    """One server as frontend and entrance, and other processes beside it."""
    processes = (server(), *others)
    values: dict[str, Any] = {
        "name": "small",
        "deployment_id": "d" * 12,
        "backend": "mocker",
        "frontend": "none",
        "model": "tiny",
        "slots": (Slot(0, 0),),
        "workers": (),
        "processes": processes,
        "ports": (port("frontend0/http"),),
        "census": Census("none", (f"{HOST}:@port:frontend0/http@",), {}, "tiny"),
        "endpoint": f"{HOST}:@port:frontend0/http@",
        "public_port": "frontend0/http",
        "budgets": Budgets(ready_s=20.0, stop_s=5.0, drain_s=2.0),
    }
    return Plan(**{**values, **changes})
