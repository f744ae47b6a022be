"""`custom`: a command of the user's, with the servers' addresses in its environment.

What it finds there (lists are separated by commas, one entry a worker, in the order of the workers):

    SRT_FRONTEND_HOST, SRT_FRONTEND_PORT            where requests enter
    SRT_PREFILL_ENDPOINTS, SRT_DECODE_ENDPOINTS, SRT_AGG_ENDPOINTS       host:port of every worker's leader
    SRT_PREFILL_IPS, SRT_DECODE_IPS, SRT_AGG_IPS                         their hosts alone
    SRTCTL_ENDPOINT                                 host:port where requests enter
    SRTCTL_FRONTENDS                                host:port of every frontend
    SRTCTL_MODEL, SRTCTL_TOKENIZER                  served model name; path of the tokenizer

Exit code 0 is success. It may leave `result.json` in its working directory: an object (one row) or a list of objects
(one row each). In each, names of result fields such as `output_tok_s` or `requests_failed` fill these fields,
`settings` (an object) adds to the row's settings, and every other number stands in the row under its own name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Type

from srtctl.benchmarks.base import ClientContext
from srtctl.benchmarks.fields import MEASURED
from srtctl.benchmarks.params import CustomConfig
from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.schema.benchmark import BenchmarkConfig

RESULT = "result.json"
_ROLE_NAMES = {"prefill": "PREFILL", "decode": "DECODE", "aggregated": "AGG"}


class Custom:
    """Registry entry."""

    type = "custom"
    params: Type[BenchmarkConfig] = CustomConfig

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters."""
        problems = []
        if not (params.command or "").strip():
            hint = "give benchmark.command='…'"
            problems.append(Problem("benchmark-key", "custom needs it", key="benchmark.command", hint=hint))
        for output in params.outputs:
            if output.startswith("/") or ".." in Path(output).parts:
                problems.append(
                    Problem(
                        "benchmark-outputs",
                        "is not inside the measurement's directory",
                        key="benchmark.outputs",
                        value=output,
                        allowed="a relative path without ..",
                    )
                )
        return problems

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """One step: the command."""
        step = Step(
            name="custom",
            benchmark=self.type,
            argv=("bash", "-lc", params.command),
            env={**endpoint_environment(context), **params.env},
            slot=context.slot,
            outputs=tuple(params.outputs),
            timeout_s=params.timeout_s,
            settings={**params.settings, "command": params.command},
            image=params.container_image or "",
        )
        return PointSteps(context.config_id, self.type, (step,))

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The rows of its `result.json`; one empty row where it left none.

        Raises:
            ValueError: The file is not of the documented shape.
        """
        path = directory / RESULT
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            content = {}
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from error
        entries = content if isinstance(content, list) else [content]
        if not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{path} must hold an object, or a list of objects")
        return [_measurement(step, entry) for entry in entries]

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """Only the command knows."""
        return None


def endpoint_environment(context: ClientContext) -> dict[str, str]:
    """The variables that tell a command where the servers are (tokens)."""
    host, _, port = _split(context.endpoint)
    found = {"SRT_FRONTEND_HOST": host, "SRT_FRONTEND_PORT": port, "SRTCTL_ENDPOINT": context.endpoint}
    for role, name in _ROLE_NAMES.items():
        endpoints = context.worker_endpoints.get(role, ())
        found[f"SRT_{name}_ENDPOINTS"] = ",".join(endpoints)
        found[f"SRT_{name}_IPS"] = ",".join(_split(endpoint)[0] for endpoint in endpoints)
    found["SRTCTL_FRONTENDS"] = ",".join(context.frontend_endpoints)
    return found | {"SRTCTL_MODEL": context.model, "SRTCTL_TOKENIZER": context.tokenizer}


def _split(endpoint: str) -> tuple[str, str, str]:
    """`@host:slot0@:@port:nginx/http@` and `10.0.0.1:8000` as (host, colon, port): tokens hold colons too."""
    mark = endpoint.find("@:")
    if mark >= 0:
        return endpoint[: mark + 1], ":", endpoint[mark + 2 :]
    return endpoint.rpartition(":")


def _measurement(step: Step, entry: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in entry.items() if name in MEASURED and _is_number(value)}
    rest = {name: value for name, value in entry.items() if name not in known and _is_number(value)}
    settings = entry.get("settings")
    client = {"name": "custom", "version": None}
    found = {"measurement": step.name, **known, "custom": rest, "errors": [], "client": client}
    return found | {"settings": dict(settings) if isinstance(settings, dict) else {}}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
