"""What can take requests in front of workers. A new one is a file in this directory and a line below."""

from __future__ import annotations

from srtctl.frontends.base import Frontend
from srtctl.frontends.dynamo import DynamoFrontend
from srtctl.frontends.sglang_router import SglangRouter

FRONTENDS: dict[str, Frontend] = {frontend.type: frontend for frontend in (DynamoFrontend(), SglangRouter())}

__all__ = ["FRONTENDS", "Frontend"]
