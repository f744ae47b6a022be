"""The argument parsers of several releases of SGLang, each in a process that answers until it is closed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from .packages import unpacked
from .stack import ENVIRONMENT

RELEASES = ["0.5.5.post2", "0.5.8.post1", "0.5.14", "0.5.23"]


class RealParser:
    """A release's parser.

    Attributes:
        options: (names, kind, nargs, choices, default) of each option.
        kept_in: Name of an option -> the field of the parsed arguments that holds its value.
        defaults: Field -> its value when nothing is said.
    """

    def __init__(self, version: str) -> None:
        argv = [ENVIRONMENT / "bin/python", Path(__file__).with_name("parser_of.py"), unpacked("sglang", version)]
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        about = self._line()
        self.options: list[Any] = about["options"]
        self.kept_in: dict[str, str] = about["kept in"]
        self.defaults: dict[str, Any] = about["defaults"]

    def _line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline() or "null")

    def answers(self, requests: list[list[str] | str]) -> list[dict[str, Any]]:
        """For each command line, and each text of a config file: `error`, and `set`: field -> value."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(requests) + "\n")
        self.process.stdin.flush()
        answers: list[dict[str, Any]] = self._line()
        assert len(answers) == len(requests)
        return answers

    def errors(self, lines: list[list[str]]) -> list[str | None]:
        return [answer["error"] for answer in self.answers(list(lines))]

    def __enter__(self) -> RealParser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()
