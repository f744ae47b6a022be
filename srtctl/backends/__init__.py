"""The engines that can run in workers. A new one is a file in this directory and a line below."""

from __future__ import annotations

from srtctl.backends.base import Backend
from srtctl.backends.mocker import MockerBackend
from srtctl.backends.sglang import SglangBackend

BACKENDS: dict[str, Backend] = {backend.type: backend for backend in (MockerBackend(), SglangBackend())}
