"""`{parameter}` in a recipe: in quotes, without, inside lists and inside other texts."""

from __future__ import annotations

import re
from typing import Any

_PLACEHOLDER = re.compile(r"(?<!\$)\{\s*([A-Za-z_][A-Za-z0-9_-]*)\s*\}")
# Placeholders that are filled in when the job runs
_RUNTIME = "node node_id job_id run_name head_node_ip log_dir model_path container_image gpus_per_node"
RUNTIME = frozenset(_RUNTIME.split())


class Placeholders:
    """Replaces `{name}`, `"{name}"`, `{ name }` and texts around them; remembers what it saw."""

    def __init__(self, parameters: set[str]):
        self.parameters = parameters
        self.used: set[str] = set()
        self.embedded: set[str] = set()
        self.unknown: list[tuple[str, str]] = []

    def replace(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            name = next(iter(value), None)
            if len(value) == 1 and name in self.parameters and value[name] is None:
                self.used.add(str(name))  # unquoted `{ name }`: to YAML a mapping with one null value
                return f"${{sweep.{name}}}"
            return {inner: self.replace(part, f"{key}.{inner}") for inner, part in value.items()}
        if isinstance(value, list):
            return [self.replace(part, key) for part in value]
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: str) -> str:
        whole = _PLACEHOLDER.fullmatch(text.strip())
        if whole and whole[1] in self.parameters:
            self.used.add(whole[1])
            return f"${{sweep.{whole[1]}}}"

        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self.parameters:
                if name not in RUNTIME and not key.startswith("benchmark.command"):
                    self.unknown.append((name, key))
                return match[0]
            self.used.add(name)
            self.embedded.add(name)
            return f"${{sweep.{name}}}"

        return _PLACEHOLDER.sub(one, text)
