"""SGLang workers, behind Dynamo's runtime or plain behind SGLang's router."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from srtctl.schema import BackendConfig, RoleFlags, key


@dataclass
class SglangParams(BackendConfig):
    type: str = key("sglang", "Which engine runs in the workers; one of the registered backends.")
    sglang_config: RoleFlags = key(RoleFlags, "Flags of SGLang servers, by role.")
    kv_events_config: Any = key(
        None, "Publish KV cache events: true, or role -> true or {publisher, topic}; what cache-aware routing reads."
    )


class SglangBackend:
    type = "sglang"
    params = SglangParams
    engines_use_gpus = True
