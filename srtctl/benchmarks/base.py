"""What a benchmark is: parameters, the commands it runs, and how to read what they leave.

Everything in this package uses the standard library only, because the parsers also run inside the allocation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Type

from srtctl.errors import Problem
from srtctl.plan.model import PointSteps, Step
from srtctl.plan.programs import Programs
from srtctl.schema.benchmark import BenchmarkConfig


@dataclass(frozen=True)
class ClientContext:
    """What a benchmark may know about the servers when its commands are made.

    Attributes:
        endpoint: `host:port` of the public entrance (tokens).
        model: Served model name.
        tokenizer: Path (or hub id) of the tokenizer.
        slot: Node the client runs on.
        worker_endpoints: Role -> `host:port` of each worker leader (tokens); by role name.
        frontend_endpoints: `host:port` of each frontend (tokens).
        programs: Where the client programs are.
        config_id: Id of the point.
        python: Interpreter of the nodes that runs what srtctl ships.
    """

    endpoint: str
    model: str
    tokenizer: str
    slot: int = 0
    worker_endpoints: Mapping[str, Sequence[str]] = field(default_factory=dict)
    frontend_endpoints: Sequence[str] = ()
    programs: Programs = Programs()
    config_id: str = ""
    python: str = "python3"

    def tokenizer_of(self, custom: str | None) -> str:
        """The tokenizer as clients take it: the benchmark's own without our `hf:`, else the model's."""
        return custom.removeprefix("hf:") if custom else self.tokenizer


@dataclass(frozen=True)
class DataFile:
    """A file that a benchmark reads.

    Attributes:
        key: Where it is named, such as `benchmark.trace_file`.
        path: On the client's node.
        fault: Says what is wrong with a file's content; empty when nothing is. Raises OSError.
    """

    key: str
    path: str
    fault: Callable[[Path], str]


class Benchmark(Protocol):
    """One entry of the registry.

    It may also have `programs`, the names of `plan.programs.NAMES` that its client needs, and
    `data_files(params) -> list[DataFile]`, which are looked at before anything starts.
    """

    type: str
    params: Type[BenchmarkConfig]

    def check(self, params: Any) -> list[Problem]:
        """Everything wrong with these parameters; keys are written in full, as in `benchmark.isl`."""

    def steps(self, params: Any, context: ClientContext) -> PointSteps:
        """The measurements, in order."""

    def parse(self, directory: Path, step: Step) -> list[dict[str, Any]]:
        """The measurements found in a directory that the step's client left, as `measurement` describes them.

        A file `step.json` there, `{"started_at": unix s}`, tells when the client was started (see `client_startup_s`).

        Raises:
            ValueError: The files are missing or not what the client writes; the text says which.
        """

    def progress(self, directory: Path, step: Step, state: dict[str, int]) -> int | None:
        """How many measured requests are done so far; None when that can't be seen from the files.

        Args:
            state: Kept by the caller between calls, empty at first, so that no file is read twice.
        """
