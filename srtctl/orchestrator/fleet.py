"""The nodes of a Slurm job as the orchestrator sees them: one agent (see `agent`) on each, all started at once."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from srtctl.orchestrator import agent
from srtctl.orchestrator import events as ev
from srtctl.orchestrator.bind import Node
from srtctl.orchestrator.failures import Failure, RunOver
from srtctl.orchestrator.member import Member
from srtctl.orchestrator.ports import Wish
from srtctl.orchestrator.report import Report, log_tail
from srtctl.orchestrator.srun import Place, real_end, step_command
from srtctl.plan.model import PortRequest

PING_EVERY_S = 2.0
ANSWER_WITHIN_S = 20.0
START_WITHIN_S = 120.0  # a prolog may have to wake the node up
OTHERS_WITHIN_S = 2.0  # so long a failure on one node waits for those of others
END_WITHIN_S = 20.0  # a large scratch directory takes its time to remove
KILLED = (137, -9)  # exit codes of an srun whose task, or which itself, got SIGKILL
CLOCKS_APART_S = 0.25


class Fleet:
    """Starts the agents, asks them, and hears when a node is silent or gone.

    Args:
        places: Slot -> where.
        pyz: The program that the nodes run, on the shared file system.
        logs: Directory for what the agents' steps say beside the protocol.
        inbox: Gets `NodeLost`.
        environment: Of the agents.
    """

    def __init__(
        self, places: Mapping[int, Place], *, srun: str, pyz: Path, logs: Path, inbox: ev.Inbox,
        report: Report, environment: Mapping[str, str], silent_s: float,
    ):  # fmt: skip
        self._inbox, self._report, self._silent_s = inbox, report, silent_s
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._closing = threading.Event()
        self._srun, self._pyz, self._environment = srun, pyz, dict(environment)
        self._orders: dict[int, dict[str, Any]] = {}
        logs.mkdir(exist_ok=True)
        self.members: dict[int, Member] = {}
        for slot, place in places.items():
            log = logs / f"{place.host}.log"
            self.members[slot] = Member(slot, place, log, self._agent(slot, place, log), time.monotonic())
        for member in self.members.values():
            threading.Thread(target=self._listen, args=(member,), name=f"node{member.slot}", daemon=True).start()

    def _agent(self, slot: int, place: Place, log: Path) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-I", "-S", str(self._pyz), agent.FLAG]
        command = step_command(self._srun, place, f"node{slot}", argv, workdir="/", interactive=True)
        with log.open("ab") as target:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=target, env=self._environment,
                start_new_session=True,
            )  # fmt: skip

    # ---- the beginning

    def begin(self, orders: Mapping[int, Mapping[str, Any]], stop_asked: Callable[[], tuple[str, str]]) -> list[Node]:
        """Send each agent its first order and wait for what they say.

        Raises:
            RunOver: Something is missing on a node, an agent did not start, or the run was told to stop.
        """
        for slot, member in self.members.items():
            self._orders[slot] = {"op": "begin", **orders[slot]}
            member.send(self._orders[slot])
        deadline = time.monotonic() + START_WITHIN_S
        others_until: float | None = None
        while not self._all_said() and time.monotonic() < min(deadline, others_until or deadline):
            if others_until is None and self._troubles():
                others_until = time.monotonic() + OTHERS_WITHIN_S
            self._check_stop(stop_asked)
            with self._changed:
                self._changed.wait(0.1)
        self._check_stop(stop_asked)
        troubles = self._troubles() or self._silent(START_WITHIN_S)
        if troubles:
            raise _cannot_begin(troubles)
        for member in self.members.values():
            self._note(member)
        threading.Thread(target=self._watch, name="node-watch", daemon=True).start()
        return [self._made(member) for member in self.members.values()]

    def _all_said(self) -> bool:
        return all(member.node is not None or member.ended is not None for member in self.members.values())

    def _troubles(self) -> list[tuple[Member, str]]:
        found = []
        for member in self.members.values():
            if member.node is not None:
                found += [(member, text) for text in member.node["missing"]]
            elif member.ended is not None:
                found.append((member, member.why_ended()))
        return found

    def _silent(self, within_s: float) -> list[tuple[Member, str]]:
        return [(m, f"said nothing within {within_s:g} s") for m in self.members.values() if m.node is None]

    def _check_stop(self, stop_asked: Callable[[], tuple[str, str]]) -> None:
        """The supervisor, which handles signals later, is not there yet."""
        outcome, reason = stop_asked()
        if outcome:
            raise RunOver(outcome, reason)

    def _note(self, member: Member) -> None:
        assert member.node is not None
        said = member.node
        seconds = round(time.monotonic() - member.begun, 3)
        self._report.event("node", slot=member.slot, host=said["host"], address=said["address"], iface=said["iface"],
                           seconds=seconds, stale=said["stale"])  # fmt: skip

    def _made(self, member: Member) -> Node:
        assert member.node is not None
        said = member.node
        return Node(
            member.slot, member.place.host, said["address"], said["iface"], Path(said["scratch"]), tuple(said["gpus"])
        )

    # ---- later

    def take_all(self, requests: Sequence[PortRequest], *, use_preferred: bool = True) -> dict[str, int]:
        """Ports, tried by the agents on their nodes; see `bind.Ports`."""
        asked: dict[int, int] = {}
        for slot in {request.slot for request in requests}:
            wishes = [asdict(Wish(r.name, r.preferred, r.max_port, r.count)) for r in requests if r.slot == slot]
            asked[slot] = self._ask(slot, {"op": "ports", "requests": wishes, "use_preferred": use_preferred})
        numbers: dict[str, int] = {}
        for slot, number in asked.items():
            answer = self._answer(slot, number)
            if "error" in answer:
                raise OSError(f"{self.members[slot].place.host}: {answer['error']}")
            numbers |= answer["numbers"]
        return numbers

    def describe(self) -> dict[str, Any]:
        """What is known of the nodes: slot -> machine."""
        found: dict[str, Any] = {}
        for member in self.members.values():
            if member.node is not None:
                kept = {name: member.node[name] for name in ("host", "address", "iface", "gpus", "machine")}
                found[f"slot{member.slot}"] = {**kept, "clock_ahead_s": member.clock_ahead_s}
        return found

    def close(self) -> list[str]:
        """End the agents, which remove their scratch directories; returns what went wrong, as text for warnings."""
        killed = [] if self._closing.is_set() else [m for m in self.members.values() if m.ended in KILLED]
        self._closing.set()
        for member in killed:  # a new agent removes what the dead one has left, as all do when they begin
            member.process = self._agent(member.slot, member.place, member.log)
            member.send(self._orders[member.slot])
        for member in self.members.values():
            member.send({"op": "end"})
        until = time.monotonic() + END_WITHIN_S
        late = []
        for member in self.members.values():
            try:
                waits = member in killed or not member.reported
                member.process.wait(max(0.0, until - time.monotonic()) if waits else 0.1)
            except subprocess.TimeoutExpired:
                # Its srun is left alone: told to end, it would have the agent killed before that has removed anything.
                late.append(f"{member.place.host}: its agent did not end in time, so Slurm ends it")
        return late

    # ---- inside

    def _ask(self, slot: int, order: dict[str, Any]) -> int:
        number = next(self._numbers)
        self.members[slot].send({**order, "id": number})
        return number

    def _answer(self, slot: int, number: int) -> dict[str, Any]:
        member = self.members[slot]
        with self._changed:
            self._changed.wait_for(lambda: number in member.answers or member.ended is not None, ANSWER_WITHIN_S)
        if number not in member.answers:
            why = member.why_ended() if member.ended is not None else f"no answer within {ANSWER_WITHIN_S:g} s"
            raise OSError(f"{member.place.host}: {why}")
        return member.answers.pop(number)

    def _listen(self, member: Member) -> None:
        """In a thread: take what an agent says; whatever else comes is not for us and goes to its log."""
        assert member.process.stdout is not None
        mark = agent.MARK.encode()
        for line in member.process.stdout:
            start = line.find(mark)
            said = _parsed(line[start + len(mark) :]) if start >= 0 else None
            if said is not None:
                self._take(member, said)
            elif line.strip():
                _append(member.log, line)
        code = member.process.wait()
        with self._changed:
            member.ended = code
            self._changed.notify_all()
        self._lost(member)

    def _take(self, member: Member, said: dict[str, Any]) -> None:
        now = time.monotonic()
        with self._changed:
            member.heard = now
            if said["event"] == "node":
                member.node = said
            elif said["event"] == "ports":
                member.answers[said["id"]] = said
            elif said["event"] == "pong":
                self._compare_clocks(member, said)
            self._changed.notify_all()

    def _compare_clocks(self, member: Member, said: Mapping[str, Any]) -> None:
        """The quicker an answer, the less is unknown about the way that it took."""
        received = time.time()
        took = received - said["sent"]
        if 0 <= took < member.quickest_s:
            member.quickest_s = took
            member.clock_ahead_s = round(said["time"] - (said["sent"] + received) / 2, 4)

    def _watch(self) -> None:
        """In a thread: ask every agent now and then; one that is silent for too long has hung, or its node has."""
        for member in self.members.values():
            member.heard = time.monotonic()
        while True:
            for member in self.members.values():
                if member.ended is None:
                    member.send({"op": "ping", "sent": time.time()})
            if self._closing.wait(PING_EVERY_S):
                return
            for member in self.members.values():
                silent = time.monotonic() - member.heard
                if member.ended is None and silent > self._silent_s and not member.reported:
                    member.reported = True
                    text = f"the node has not answered for {silent:.0f} s (it hangs, or its network does)"
                    self._inbox.put(ev.NodeLost(member.place.host, text, time.time() - silent, fatal=True))

    def _lost(self, member: Member) -> None:
        """An agent has ended. If its node failed the run is over; otherwise only the watch is."""
        if self._closing.is_set() or member.node is None or member.reported:
            return
        member.reported = True
        end = real_end(member.ended or 0, " \n".join(log_tail(member.log, 20)))
        text = "the node has failed, says Slurm" if end.node else member.why_ended()
        self._inbox.put(ev.NodeLost(member.place.host, text, time.time(), fatal=bool(end.node)))


def _cannot_begin(troubles: Sequence[tuple[Member, str]]) -> RunOver:
    """All that is wrong on all nodes, each thing once."""
    hosts: dict[str, list[str]] = {}
    for member, text in troubles:
        hosts.setdefault(text, []).append(member.place.host)
    what = "; ".join(f"{', '.join(names)}: {text}" for text, names in hosts.items())
    first = troubles[0][0]
    alone = len(troubles) == 1  # then the failure's own name says which node it is
    failure = Failure(
        f"node {first.place.host}",
        time.time(),
        troubles[0][1] if alone else what,
        tuple(log_tail(first.log)),
        explains=True,
    )
    return RunOver("failed", what, failure)


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(data)
    except ValueError:
        return None
    return said if isinstance(said, dict) and "event" in said else None


def _append(path: Path, data: bytes) -> None:
    with contextlib.suppress(OSError), path.open("ab") as file:
        file.write(data)
