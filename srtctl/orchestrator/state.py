"""The life of a process as an explicit state machine."""

from __future__ import annotations

import enum
import signal
from dataclasses import dataclass, field

from srtctl.plan.model import Process


class State(enum.Enum):
    """Where a process is in its life."""

    PENDING = "PENDING"  # what it needs is not ready yet
    STARTING = "STARTING"  # running, not ready
    READY = "READY"
    STOPPING = "STOPPING"  # asked to end
    EXITED = "EXITED"  # ended as asked; a task: done
    FAILED = "FAILED"  # ended unasked, or could not be started


# A process that found its port taken goes back to PENDING, bound to another one.
ALLOWED: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.STARTING}),
    State.STARTING: frozenset({State.READY, State.STOPPING, State.EXITED, State.FAILED}),
    State.READY: frozenset({State.STOPPING, State.EXITED, State.FAILED}),
    State.STOPPING: frozenset({State.EXITED}),
    State.EXITED: frozenset({State.PENDING}),
    State.FAILED: frozenset({State.PENDING}),
}


@dataclass
class Managed:
    """A process of the plan and what has become of it. Times are Unix seconds."""

    process: Process
    host: str = ""
    state: State = State.PENDING
    pid: int | None = None
    generation: int = 0
    started_at: float | None = None
    ready_at: float | None = None
    exited_at: float | None = None
    exit_code: int | None = None
    deadline: float | None = None  # monotonic; when it must be ready
    look_at: float = 0.0  # monotonic; when its log is looked at next while it isn't ready
    fault: str = ""  # what was wrong with its end
    again: bool = False  # goes back to PENDING once it has ended
    history: list[State] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def running(self) -> bool:
        return self.state in (State.STARTING, State.READY, State.STOPPING)

    @property
    def satisfied(self) -> bool:
        """Others that need it may start: a service is ready, a task is done."""
        if self.process.kind == "task":
            return self.state is State.EXITED and self.exit_code == 0
        return self.state is State.READY

    def to(self, state: State) -> None:
        """Go to another state.

        Raises:
            AssertionError: No such transition exists; it would be a fault of the orchestrator itself.
        """
        if state not in ALLOWED[self.state]:
            raise AssertionError(f"{self.name}: {self.state.value} -> {state.value}")
        self.history.append(self.state)
        self.state = state


def describe_exit(code: int) -> str:
    """How a process ended, in words: `exit code 1`, `killed by SIGKILL (9)`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name} ({-code})"
    except ValueError:
        return f"killed by signal {-code}"
