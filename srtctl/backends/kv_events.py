"""Events of workers' KV caches: what cache-aware routing reads to know which worker holds which prefix."""

from __future__ import annotations

from typing import Any

from srtctl.errors import Problem
from srtctl.plan.model import ROLES


def kv_events(setting: Any, role: str) -> dict[str, str] | None:
    """Publisher and topic of a role's KV events, None where it publishes none."""
    wanted = setting.get(role) if isinstance(setting, dict) else setting
    if not wanted:
        return None
    own = wanted if isinstance(wanted, dict) else {}
    return {"publisher": str(own.get("publisher", "zmq")), "topic": str(own.get("topic", "kv-events"))}


def kv_events_problems(setting: Any) -> list[Problem]:
    """What is wrong with the shape of `backend.kv_events_config`."""
    key, allowed = "backend.kv_events_config", "true, or role -> true or {publisher, topic}"
    if setting is None or isinstance(setting, bool):
        return []
    if not isinstance(setting, dict):
        return [Problem("kv-events", "not a mapping", key, setting, allowed)]
    problems = []
    for role, value in setting.items():
        if role not in ROLES:
            problems.append(Problem("kv-events", "no such role", f"{key}.{role}", value, ", ".join(ROLES)))
        elif not isinstance(value, (bool, dict, type(None))) or (
            isinstance(value, dict) and set(value) - {"publisher", "topic"}
        ):
            problems.append(Problem("kv-events", "not understood", f"{key}.{role}", value, allowed))
    return problems
