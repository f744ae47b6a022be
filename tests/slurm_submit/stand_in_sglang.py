"""Stands in for the interpreter of an environment that has SGLang, where there are no GPUs.

    stand_in_sglang.py -m sglang.launch_server …           one rank of a server
    stand_in_sglang.py -m sglang_router.launch_router …    the router

Each says on its first line what it was told and where it is. The ranks of a server meet at the address of the first one
(`--dist-init-addr`), which serves HTTP from then on; it ends a moment after it has lost one.
"""

from __future__ import annotations

import argparse
import http.server
import itertools
import json
import os
import socket
import sys
import threading
import time
import urllib.request

MEET_WITHIN_S = 60.0
NOTICE_S = 0.5  # a collective operation that hangs is not noticed at once either
TOLD = ("CUDA_VISIBLE_DEVICES", "GLOO_SOCKET_IFNAME", "SGLANG_HOST_IP", "TMPDIR", "SLURMD_NODENAME")
STREAM = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n'


def main() -> None:
    if "-m" not in sys.argv:  # somebody asks for a version
        print("sglang 0.5.0")
        return
    module, rest = sys.argv[sys.argv.index("-m") + 1], sys.argv[sys.argv.index("-m") + 2 :]
    environment = {name: os.environ.get(name) for name in TOLD}
    print(json.dumps({"argv": sys.argv[1:], "node": os.uname().nodename, "environment": environment}), flush=True)
    route(rest) if module == "sglang_router.launch_router" else serve(rest)


def serve(rest: list[str]) -> None:
    """One rank."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--host", "--port", "--served-model-name", "--dist-init-addr", "--nnodes", "--node-rank"):
        parser.add_argument(name)
    told, _ = parser.parse_known_args(rest)
    ranks = int(told.nnodes or 1)
    if int(told.node_rank or 0):
        with meet(told.dist_init_addr) as leader:
            print("joined", flush=True)
            leader.recv(1)  # until the leader is gone
            sys.exit("the leader is gone")
    if ranks > 1:
        lead(told.dist_init_addr, ranks - 1)
    answers = {"/health": {}, "/v1/models": {"data": [{"id": told.served_model_name}]}}
    listen(told.host, int(told.port), answers)


def lead(where: str, others: int) -> None:
    """Wait for the other ranks, then watch them."""
    host, _, port = where.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        listener.settimeout(MEET_WITHIN_S)
        joined = [listener.accept()[0] for _ in range(others)]
    print("all joined", flush=True)

    def watch(one: socket.socket) -> None:
        one.recv(1)
        time.sleep(NOTICE_S)
        print("a rank is gone", flush=True)
        os._exit(1)

    for one in joined:
        threading.Thread(target=watch, args=(one,), daemon=True).start()


def meet(where: str) -> socket.socket:
    """A connection to the leader, as soon as there is one."""
    host, _, port = where.rpartition(":")
    until = time.monotonic() + MEET_WITHIN_S
    while True:
        try:
            return socket.create_connection((host, int(port)))
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def route(rest: list[str]) -> None:
    """The router: it is ready when all workers are, and answers in their place."""
    where = dict(itertools.pairwise(rest))
    prefill = [rest[n + 1] for n, word in enumerate(rest) if word == "--prefill"]
    decode = [rest[n + 1] for n, word in enumerate(rest) if word == "--decode"]
    for url in [*prefill, *decode]:
        until = time.monotonic() + MEET_WITHIN_S
        while not healthy(url) and time.monotonic() < until:
            time.sleep(0.05)
    models = json.load(urllib.request.urlopen(f"{decode[0]}/v1/models"))
    stats = {"prefill_count": len(prefill), "decode_count": len(decode)}
    answers = {"/readiness": {}, "/v1/models": models, "/workers": {"stats": stats}}
    listen(where["--host"], int(where["--port"]), answers)


def healthy(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}/health", timeout=2).status == 200)
    except OSError:
        return False


def listen(host: str, port: int, answers: dict[str, dict]) -> None:
    """Serve these answers to GET, and a short stream to POST, for ever."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.say(200 if self.path in answers else 404, json.dumps(answers.get(self.path, {})).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.say(200, STREAM)

        def say(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

    print(f"listening on {host}:{port}", flush=True)
    http.server.ThreadingHTTPServer((host, port), Handler).serve_forever()


if __name__ == "__main__":
    main()
