"""One question over HTTP: a streamed chat, so that nothing between here and the engine waits in silence."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PATH = "/v1/chat/completions"
_HEADERS = {"Content-Type": "application/json", "Accept": "text/event-stream"}
_DONE = "[DONE]"


@dataclass
class Answer:
    """What came back; `error` is empty for a whole answer."""

    text: str = ""
    error: str = ""
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Asker:
    """One connection, kept open from question to question."""

    def __init__(self, address: str, model: str, sampling: Mapping[str, Any], timeout_s: float):
        self._address = address
        self._timeout_s = timeout_s
        self._body = {"model": model, "stream": True, "stream_options": {"include_usage": True}, **sampling}
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, prompt: str) -> Answer:
        """Ask, once: an answer that fails is a failed request, whoever is to blame."""
        answer = Answer()
        body = json.dumps({**self._body, "messages": [{"role": "user", "content": prompt}]}).encode()
        try:
            response = self._post(body)
            if response.status != 200:
                text = response.read(2000).decode(errors="replace").strip()
                answer.error = f"HTTP {response.status} {response.reason}: {text}"[:500]
            else:
                _read(response, answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer.error = f"{type(error).__name__}: {error}"
        if answer.error:
            self.close()  # what is left in the connection belongs to nobody
        return answer

    def _post(self, body: bytes) -> http.client.HTTPResponse:
        """A server closes a connection that was idle too long; then, and only then, another one is tried."""
        kept = self._connection is not None
        for last in (not kept, True):
            connection = self._connection or http.client.HTTPConnection(self._address, timeout=self._timeout_s)
            self._connection = connection
            try:
                connection.request("POST", PATH, body, _HEADERS)
                return connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if last:
                    raise
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read(response: http.client.HTTPResponse, answer: Answer) -> None:
    """Fill the answer from the stream's events."""
    parts: list[str] = []
    done = False
    for data in _events(response):
        if data == _DONE:
            done = True
            continue
        event = json.loads(data)
        if event.get("error"):
            answer.error = f"error in the stream: {json.dumps(event['error'])}"[:500]
            return
        usage = event.get("usage") or {}
        answer.prompt_tokens = usage.get("prompt_tokens", answer.prompt_tokens)
        answer.completion_tokens = usage.get("completion_tokens", answer.completion_tokens)
        for choice in event.get("choices") or ():
            parts.append((choice.get("delta") or {}).get("content") or "")
            answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
    answer.text = "".join(parts)
    if not done and answer.completion_tokens is None:
        answer.error = "the stream ended before its last event"


def _events(response: http.client.HTTPResponse) -> Iterator[str]:
    """The data of each event; an event named `error` has its text as data of an error."""
    name = ""
    while line := response.readline():
        text = line.decode(errors="replace").strip()
        if not text:
            name = ""
        elif text.startswith("event:"):
            name = text[6:].strip()
        elif text.startswith("data:"):
            data = text[5:].strip()
            yield json.dumps({"error": data}) if name == "error" else data
        elif text.startswith(":") and name == "error":
            yield json.dumps({"error": text[1:].strip()})
