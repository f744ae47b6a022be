"""A server that speaks as much of the Hugging Face hub as its library asks for when it gets a model.

    python -m tests.hub HOST REQUESTS DIRECTORY [TOKEN]

serves the models DIRECTORY/org/name as a process of its own, writes its port to its output, and to REQUESTS each method
and path that it is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Models = Mapping[str, Mapping[str, Mapping[str, bytes]]]
"""Id -> revision -> file -> content."""


class Hub:
    """Where it listens, and what it was asked for: (method, path)."""

    def __init__(self, models: Models, token: str = "", host: str = "127.0.0.1"):
        self.requests: list[tuple[str, str]] = []
        self._server = _Server((host, 0), _Handler)
        self._server.models, self._server.token, self._server.requests = models, token, self.requests
        self.port = int(self._server.server_address[1])
        self.url = f"http://{host}:{self.port}"

    def got(self) -> list[str]:
        """Files that were downloaded, once for each time."""
        return downloads(self.requests)

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def downloads(requests: Iterable[tuple[str, str]]) -> list[str]:
    """Those requests (method, path) that get a file."""
    return [path for method, path in requests if method == "GET" and "/resolve/" in path]


@contextlib.contextmanager
def hub(models: Models, token: str = "") -> Iterator[Hub]:
    """A hub with these models; with a token it refuses whoever has not that one."""
    made = Hub(models, token)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def folder(path: Path) -> dict[str, bytes]:
    """A directory's files as a model."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def commit_of(files: Mapping[str, bytes]) -> str:
    return hashlib.sha1(b"".join(name.encode() + content for name, content in sorted(files.items()))).hexdigest()


class _Server(ThreadingHTTPServer):
    models: Models
    token: str
    requests: list[tuple[str, str]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.server.requests.append((self.command, self.path))
        path = self.path.partition("?")[0].strip("/")
        token = self.server.token
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            self._send(401, b'{"error": "no token"}', {"X-Error-Code": "GatedRepo"})
        elif path.startswith("api/models/"):
            self._describe(path.removeprefix("api/models/"))
        else:
            self._file(path)

    def _files(self, repo: str, revision: str) -> Mapping[str, bytes] | None:
        revisions = self.server.models.get(repo)
        if revisions is None:
            self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            return None
        for name, files in revisions.items():
            if revision in (name, commit_of(files)):
                return files
        self._send(404, b'{"error": "Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
        return None

    def _describe(self, path: str) -> None:
        repo, _, rest = path.partition("/revision/")
        repo, listing, of = repo.partition("/tree/")
        files = self._files(repo, (of or rest or "main").partition("/")[0])
        if files is None:
            return
        if listing:
            tree = [{"type": "file", "path": name, "size": len(c), "oid": "0"} for name, c in files.items()]
            self._send(200, json.dumps(tree).encode())
            return
        siblings = [{"rfilename": name} for name in files]
        about = {"id": repo, "modelId": repo, "sha": commit_of(files), "siblings": siblings, "private": False}
        self._send(200, json.dumps({**about, "tags": [], "downloads": 0, "likes": 0, "gated": False}).encode())

    def _file(self, path: str) -> None:
        repo, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        files = self._files(repo, revision)
        if files is None:
            return
        if name not in files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha256(files[name]).hexdigest()
        self._send(200, files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": commit_of(files)})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Written(list[tuple[str, str]]):
    """Requests, each written to a file as it comes."""

    def __init__(self, path: Path):
        super().__init__()
        self._path = path

    def append(self, request: tuple[str, str]) -> None:
        super().append(request)
        with self._path.open("a") as file:
            file.write(" ".join(request) + "\n")


def main(host: str, requests: str, directory: str, token: str = "") -> None:
    """Serve until killed."""
    models = {str(path.relative_to(directory)): {"main": folder(path)} for path in Path(directory).glob("*/*")}
    made = Hub(models, token, host)
    made.requests = made._server.requests = _Written(Path(requests))
    print(made.port, flush=True)
    made.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
