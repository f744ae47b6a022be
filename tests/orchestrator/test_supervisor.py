"""The supervisor against canned histories, under a clock that only the history turns."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from srtctl import rundir
from srtctl.orchestrator import events as ev
from srtctl.orchestrator.failures import Failure, RunOver, is_port_taken
from srtctl.orchestrator.report import Report
from srtctl.orchestrator.starter import Spawn
from srtctl.orchestrator.state import ALLOWED, Managed, State, describe_exit
from srtctl.orchestrator.stop import Stopper, stop_waves
from srtctl.orchestrator.supervisor import Hooks, Supervisor
from srtctl.plan.model import Probe, Process

WALL = 1_000_000.0


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return WALL + self.time


class History:
    """An inbox whose events are due at times of the fake clock; waiting is what turns the clock."""

    def __init__(self, clock: FakeClock):
        self.clock = clock
        self.events: list[tuple[float, ev.Event]] = []

    def at(self, time: float, event: ev.Event) -> None:
        self.events.append((time, event))
        self.events.sort(key=lambda pair: pair[0])

    def put(self, event: ev.Event) -> None:
        self.at(self.clock.time, event)

    def get(self, timeout_s: float) -> ev.Event | None:
        if self.events and self.events[0][0] <= self.clock.time + timeout_s:
            time, event = self.events.pop(0)
            self.clock.time = max(self.clock.time, time)
            return event
        self.clock.time += timeout_s
        return None


class FakeStarter:
    """Starts at once; a process ends `latency` seconds after SIGTERM, or never."""

    def __init__(self, history: History):
        self.history = history
        self.started: list[str] = []
        self.signals: list[tuple[float, str, int]] = []
        self.deaf: set[str] = set()
        self.missing: set[str] = set()
        self.latency = 0.1

    def start(self, spawn: Spawn) -> None:
        now = self.history.clock.time
        self.started.append(spawn.name)
        if spawn.name in self.missing:
            self.history.put(ev.NotStarted(spawn.name, "No such file or directory: x", WALL + now))
        else:
            self.history.put(ev.Started(spawn.name, 100 + len(self.started), WALL + now))

    def signal(self, name: str, signum: int, whole: bool = False) -> None:
        now = self.history.clock.time
        self.signals.append((round(now, 3), name, signum))
        if signum == signal.SIGKILL or name not in self.deaf:
            later = now + (0.0 if signum == signal.SIGKILL else self.latency)
            self.history.at(later, ev.Exited(name, -signum, WALL + later))

    def kill_all(self) -> None:
        self.history.put(ev.AllKilled(0, ()))

    def clean(self, path: Path) -> None: ...

    def close(self) -> None: ...


class FakeProber:
    def __init__(self) -> None:
        self.last_seen: dict[str, str] = {}
        self.probing: dict[str, int] = {}

    def start(self, name: str, generation: int, probe: Probe) -> None:
        self.probing[name] = generation

    def cancel(self, name: str) -> None:
        self.probing.pop(name, None)


PROBE = Probe("http", "127.0.0.1:1")


class Bench:
    """A supervisor with fakes around it."""

    def __init__(self, tmp_path: Path, *processes: Process, **hooks: object):
        self.clock = FakeClock()
        self.history = History(self.clock)
        self.starter = FakeStarter(self.history)
        self.prober = FakeProber()
        attempt = rundir.AttemptDir(tmp_path)
        attempt.logs.mkdir()
        self.attempt = attempt
        report = Report(attempt, self.clock)  # type: ignore[arg-type]

        def spawn(process: Process) -> tuple[Spawn, Probe | None]:
            return Spawn(process.name, process.argv, {}, tmp_path, attempt.log(process.name)), process.probe

        self.supervisor = Supervisor(
            self.starter,
            self.history,
            report,
            self.clock,  # type: ignore[arg-type]
            self.prober,
            Hooks(spawn, **hooks),  # type: ignore[arg-type]
        )
        self.supervisor.add(processes)

    def state(self, name: str) -> State:
        return self.supervisor.managed[name].state

    def over(self, until: float = 100.0) -> RunOver:
        with pytest.raises(RunOver) as caught:
            self.supervisor.wait(lambda: False, until)
        return caught.value


def service(name: str, *needs: str, **more: object) -> Process:
    return Process(name, more.pop("role", name), 0, ("x",), needs=needs, **more)  # type: ignore[arg-type]


def exited(name: str, code: int, at: float) -> ev.Exited:
    return ev.Exited(name, code, WALL + at)


def test_a_process_starts_when_what_it_needs_is_ready(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", probe=PROBE), service("b", "a"), service("c"))
    bench.history.at(2.0, ev.ProbeOk("a", 1, WALL + 2.0))
    assert not bench.supervisor.wait(lambda: False, 1.0)
    assert (bench.starter.started, bench.state("b")) == (["a", "c"], State.PENDING)
    assert bench.supervisor.wait(lambda: bench.state("b") is State.READY, 5.0)
    assert 2.0 <= bench.clock.time < 2.2


def test_the_probe_of_an_earlier_start_is_ignored(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", probe=PROBE))
    bench.history.at(1.0, ev.ProbeOk("a", 0, WALL))
    assert not bench.supervisor.wait(lambda: bench.state("a") is State.READY, 2.0)


def test_root_cause_is_the_earliest_exit_whatever_the_order_of_arrival(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("etcd"), service("w1"), service("w2"))
    bench.history.at(5.0, exited("w1", 0, 4.99))
    bench.history.at(5.1, exited("etcd", -9, 4.9))
    bench.history.at(5.2, exited("w2", 1, 5.2))
    over = bench.over()
    assert over.outcome == "failed"
    assert over.cause is not None
    assert (over.cause.process, over.cause.time) == ("etcd", WALL + 4.9)
    assert 5.0 < bench.clock.time <= 6.0  # held, but not for longer than a second


def test_a_stop_signal_that_comes_after_the_exits_wins(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.history.at(5.0, exited("a", -15, 5.0))
    bench.history.at(5.3, ev.SignalSeen(signal.SIGTERM))
    over = bench.over()
    assert (over.outcome, over.cause) == ("cancelled", None)


def test_a_signal_long_after_the_exit_comes_too_late(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.history.at(5.0, exited("a", 1, 5.0))
    bench.history.at(7.0, ev.SignalSeen(signal.SIGTERM))
    assert bench.over().outcome == "failed"


def test_exit_code_0_unasked_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.history.at(1.0, exited("a", 0, 1.0))
    assert "nobody asked" in bench.over().reason
    assert bench.state("a") is State.FAILED


def test_what_need_not_live_only_warns(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", must_live=False))
    bench.history.at(1.0, exited("a", 3, 1.0))
    assert not bench.supervisor.wait(lambda: False, 5.0)
    assert "a: exit code 3" in bench.supervisor.report.data["warnings"]


def test_a_wrong_program_explains_an_earlier_exit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("etcd"), service("nats"))
    bench.history.at(1.0, exited("nats", 2, 1.0))
    bench.supervisor.listeners.append(
        lambda event: (
            bench.supervisor.fail(Failure("etcd", WALL + 1.2, "wrong version", explains=True))
            if isinstance(event, ev.Finding)
            else None
        )
    )
    bench.history.at(1.2, ev.Finding("x", 1, WALL))
    assert "wrong version" in bench.over().reason


def test_ready_timeout_names_what_was_last_seen(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", probe=PROBE, ready_timeout_s=3.0))
    bench.prober.last_seen["a"] = "connection refused"
    over = bench.over()
    assert over.reason == "a: was not ready after 3 s (last seen: connection refused)"
    assert 3.0 <= bench.clock.time <= 4.0


def test_missing_program(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("etcd"))
    bench.starter.missing.add("etcd")
    assert "could not be started: No such file or directory: x" in bench.over().reason
    assert bench.state("etcd") is State.FAILED


def test_port_taken_is_bound_anew_once_with_its_dependents(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", probe=PROBE), service("b"), service("c"), rebind=lambda name: {"a", "b"})
    bench.attempt.log("a").write_text("ERROR: port 8000 already in use\n")
    bench.history.at(1.0, exited("a", 1, 1.0))
    assert bench.supervisor.wait(lambda: bench.starter.started.count("a") == 2, 5.0)
    assert bench.supervisor.wait(lambda: bench.starter.started.count("b") == 2, 5.0)
    assert bench.starter.started.count("c") == 1
    assert bench.prober.probing["a"] == 2
    bench.history.at(3.0, exited("a", 1, 3.0))  # a second time it is a failure
    assert bench.over().reason.startswith("a: exit code 1")


def test_a_server_that_goes_on_without_its_port_is_bound_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", probe=PROBE), service("b", probe=PROBE))
    bench.attempt.log("a").write_text("ERROR Failed to bind: Address already in use (os error 98)\n" + "INFO on\n" * 50)
    assert bench.supervisor.wait(lambda: bench.starter.started.count("a") == 2, 20.0)
    assert 5.0 <= bench.clock.time < 6.0
    assert bench.starter.started.count("b") == 1


def test_port_taken_while_measuring_is_no_reason_to_start_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.supervisor.wait(lambda: bench.state("a") is State.READY, 1.0)
    bench.supervisor.report.enter("measuring")
    bench.attempt.log("a").write_text("address already in use\n")
    bench.history.at(1.0, exited("a", 1, 1.0))
    assert bench.over().cause is not None


def test_time_limit_and_stop_file(tmp_path: Path) -> None:
    limit = 4.0
    bench = Bench(tmp_path, service("a"))
    bench.supervisor.hooks.stop_asked = lambda: ("failed", "late") if bench.clock.time >= limit else ("", "")
    assert (bench.over().reason, bench.clock.time < 4.2) == ("late", True)


def test_loss_of_the_keeper(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.history.at(1.0, ev.KeeperLost(WALL + 1.0))
    assert bench.over().reason.startswith("keeper: ")
    begun = bench.clock.time
    Stopper(bench.supervisor, 5.0).run()
    assert bench.clock.time - begun < 1.0


# Stopping


def test_waves_go_against_the_needs() -> None:
    processes = [
        service("etcd"),
        service("nats"),
        service("frontend0", "etcd", "nats"),
        service("decode0", "etcd"),
        service("nginx", "frontend0"),
        service("client"),
    ]
    assert stop_waves(processes) == [["client"], ["decode0", "nginx"], ["frontend0"], ["etcd", "nats"]]


def test_ordered_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("etcd"), service("frontend0", "etcd"), service("nginx", "frontend0"))
    bench.supervisor.wait(lambda: bench.state("nginx") is State.READY, 1.0)
    begun = bench.clock.time
    assert Stopper(bench.supervisor, 5.0).run() == []
    assert [name for _, name, _ in bench.starter.signals] == ["nginx", "frontend0", "etcd"]
    assert bench.clock.time - begun < 0.6
    assert {bench.state(n) for n in ("etcd", "frontend0", "nginx")} == {State.EXITED}


def test_some_are_told_after_others_have_ended(tmp_path: Path) -> None:
    """A leader's ranks wait for it, also when it doesn't listen; one that ends with it is not told at all."""
    after = {"stop_after": ("leader",), "stop_signal": "HUP", "stop_wait_s": 1.0}
    ranks = service("rank1", **after), service("rank2", **after)
    bench = Bench(tmp_path, service("leader", stop_wait_s=2.0), *ranks)
    bench.starter.deaf = {"leader"}
    bench.supervisor.wait(lambda: bench.state("rank2") is State.READY, 1.0)
    begun = bench.clock.time
    bench.history.at(begun + 1.0, exited("rank2", -9, begun + 1.0))
    assert Stopper(bench.supervisor, 5.0).run() == []
    sent = [(name, number) for _, name, number in bench.starter.signals]
    assert sent == [("leader", signal.SIGTERM), ("leader", signal.SIGKILL), ("rank1", signal.SIGHUP)]
    assert bench.starter.signals[1][0] <= bench.starter.signals[2][0]
    assert {bench.state(n) for n in ("leader", "rank1", "rank2")} == {State.EXITED}
    assert bench.clock.time - begun < 2.5


def test_an_order_that_came_too_early_comes_again(tmp_path: Path) -> None:
    """SIGURG means nothing to a program that is just being started; TERM ends it, so one is enough."""
    recorded, plain = (service(name, stop_signal=one, stop_wait_s=18.0) for name, one in (("a", "URG"), ("b", "TERM")))
    bench = Bench(tmp_path, recorded, plain)
    bench.starter.deaf = {"a", "b"}
    bench.supervisor.wait(lambda: bench.state("b") is State.READY, 1.0)
    assert Stopper(bench.supervisor, 60.0).run() == []
    sent = [(name, number) for _, name, number in bench.starter.signals]
    assert [number for name, number in sent if name == "a"] == [signal.SIGURG] * 4 + [signal.SIGKILL]
    assert [number for name, number in sent if name == "b"] == [signal.SIGTERM, signal.SIGKILL]


def test_one_shared_deadline_for_those_that_ignore_it(tmp_path: Path) -> None:
    """Eight that don't listen, in the first wave: the waves behind them still get their TERM, and it ends in time."""
    deaf = [service(f"deaf{i}", "base") for i in range(8)]
    bench = Bench(tmp_path, service("base"), *deaf)
    bench.starter.deaf = {p.name for p in deaf}
    bench.supervisor.wait(lambda: bench.state("deaf7") is State.READY, 1.0)
    begun = bench.clock.time
    Stopper(bench.supervisor, 5.0).run()
    assert 4.9 <= bench.clock.time - begun <= 5.5
    asked = {name: time for time, name, number in bench.starter.signals if number == signal.SIGTERM}
    assert asked["base"] - begun < 3.0


def test_own_stop_wait_and_signal(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a", stop_wait_s=1.0, stop_signal="INT"))
    bench.starter.deaf = {"a"}
    bench.supervisor.wait(lambda: bench.state("a") is State.READY, 1.0)
    begun = bench.clock.time
    Stopper(bench.supervisor, 5.0).run()
    assert bench.clock.time - begun < 1.5
    assert [number for _, _, number in bench.starter.signals[:2]] == [signal.SIGINT, signal.SIGKILL]


def test_a_second_signal_hurries(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.starter.deaf = {"a"}
    bench.supervisor.wait(lambda: bench.state("a") is State.READY, 1.0)
    begun = bench.clock.time
    bench.history.at(begun + 0.5, ev.SignalSeen(signal.SIGINT))
    bench.history.at(begun + 1.5, ev.SignalSeen(signal.SIGINT))
    warnings = Stopper(bench.supervisor, 5.0).run()
    assert 1.5 <= bench.clock.time - begun < 2.0
    assert warnings == ["a was killed, because the run was told to stop once more"]


def test_a_signal_after_the_one_that_stops_it_hurries(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service("a"))
    bench.starter.deaf = {"a"}
    bench.supervisor.wait(lambda: bench.state("a") is State.READY, 1.0)
    bench.history.at(bench.clock.time + 0.1, ev.SignalSeen(signal.SIGTERM))
    assert bench.over().outcome == "cancelled"
    begun = bench.clock.time
    bench.history.at(begun + 0.5, ev.SignalSeen(signal.SIGTERM))
    Stopper(bench.supervisor, 5.0).run()
    assert bench.clock.time - begun < 1.0


# States


def test_every_transition_that_is_not_listed_is_refused() -> None:
    for start in State:
        for end in State:
            one = Managed(service("a"), state=start)
            if end in ALLOWED[start]:
                one.to(end)
                assert one.state is end
            else:
                with pytest.raises(AssertionError):
                    one.to(end)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (2, "exit code 2"), (-9, "killed by SIGKILL (9)"), (-64, "killed by")]
)
def test_exits_in_words(code: int, words: str) -> None:
    assert words in describe_exit(code)


@pytest.mark.parametrize(
    "line",
    [
        "nginx: [emerg] bind() to 127.0.0.1:8000 failed (98: Address already in use)",
        "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
        "dynamo.frontend: port 8000 already in use",
        "listen tcp 127.0.0.1:2379: bind: address already in use",
        "Error: Address in use (os error 98)",
    ],
)
def test_port_taken(line: str) -> None:
    assert is_port_taken(["first", line, "last"])
    assert not is_port_taken(["the address book is in use by 98 others"])
