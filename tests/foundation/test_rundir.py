"""Names of files, atomic writes, events."""

from __future__ import annotations

import json
import threading

import pytest

from srtctl import rundir
from srtctl.rundir import SweepDir, append_event, read_events, read_json, write_json, write_text


def test_names(tmp_path):
    sweep = SweepDir(tmp_path)
    assert sweep.point(3).config == tmp_path / "points/0003/config.yaml"
    assert sweep.allocation(0).attempt(2).log("etcd") == tmp_path / "allocations/0000/attempt-2/logs/etcd.log"


def test_attempts_are_ordered_by_number(tmp_path):
    allocation = SweepDir(tmp_path).allocation(0)
    for number in (0, 10, 2):
        allocation.attempt(number).path.mkdir(parents=True)
    assert [a.path.name for a in allocation.attempts()] == ["attempt-0", "attempt-2", "attempt-10"]
    assert allocation.latest_attempt().path.name == "attempt-10"


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "status.json"
    values = [{"n": n, "pad": "x" * 50_000} for n in range(2)]
    write_json(path, values[0])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for value in values:
                write_json(path, value)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            assert read_json(path) in values
    finally:
        stop.set()
        thread.join()
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_a_failed_write_keeps_the_old_text_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "sweep.json"
    write_text(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rundir.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["sweep.json"]


def test_events_survive_a_torn_last_line(tmp_path):
    path = tmp_path / "events.jsonl"
    append_event(path, {"event": "a"})
    append_event(path, {"event": "b", "text": "ü\n"})
    with path.open("a") as file:
        file.write('{"event": "c')
    assert [e["event"] for e in read_events(path)] == ["a", "b"]
    assert json.loads(path.read_text().splitlines()[1])["text"] == "ü\n"


def test_what_is_not_there_is_none(tmp_path):
    assert read_json(tmp_path / "no.json") is None
    assert list(read_events(tmp_path / "no.jsonl")) == []


def test_sweeps_are_found_oldest_first_without_dry_runs(tmp_path):
    for path in ("b/20260101-000001-aa", "a/20260102-000000-bb", "dry-runs/b/20260103-000000-cc"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "sweep.json").write_text("{}")
    (tmp_path / "a/20260104-000000-dd").mkdir()
    assert [s.sweep_id for s in rundir.find_sweeps(tmp_path)] == ["20260101-000001-aa", "20260102-000000-bb"]
