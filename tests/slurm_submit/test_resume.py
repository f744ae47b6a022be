"""`--resume` and resume=true run what is missing, nothing else. On this machine: nothing here depends on Slurm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.system.conftest import QUICK, User, user  # noqa: F401 - a fixture


def write(somebody: User, numbers: str) -> str:
    """A recipe whose point N succeeds once the file goN is there."""
    text = QUICK.replace("echo '{", f"test -e {somebody.home}/go{{number}} && echo '{{")
    return str(somebody.write("quick.yaml", f"{text}sweep: {{number: [{numbers}]}}\n"))


def results(somebody: User) -> dict[int, list[str]]:
    """Point -> the state of each attempt."""
    found: dict[int, list[str]] = {}
    for path in sorted(somebody.sweep().glob("points/*/attempt-*/result.json")):
        found.setdefault(int(path.parts[-3]), []).append(json.loads(path.read_text())["state"])
    return found


def manifest(somebody: User) -> dict[str, Any]:
    return dict(json.loads((somebody.sweep() / "sweep.json").read_text()))


@pytest.fixture
def half(user: User) -> User:  # noqa: F811 - the fixture above
    """Somebody whose sweep of three points has two results."""
    for number in (1, 3):
        user.write(f"go{number}", "")
    assert user.srtctl("apply", "-f", write(user, "1, 2, 3"), "--wait").returncode == 1
    assert results(user) == {0: ["ok"], 1: ["failed"], 2: ["ok"]}
    user.write("go2", "")
    return user


def test_only_the_missing_point_runs_and_then_nothing(half: User) -> None:
    (half.home / "quick.yaml").unlink()  # what is in the sweep's directory is enough
    done = half.srtctl("apply", "--resume", "quick", "--wait")
    assert done.returncode == 0, done.stderr
    assert "1 point on 1 deployment" in done.stdout and "2 points with results" in done.stdout
    assert results(half) == {0: ["ok"], 1: ["failed", "ok"], 2: ["ok"]}
    assert len(half.json("results")["rows"]) == 3
    done = half.srtctl("apply", "--resume", half.sweep().name)
    assert done.returncode == 0 and "nothing is missing" in done.stdout
    assert len(list((half.home / "outputs").glob("*/*"))) == 1
    half.assert_nothing_left()


def test_the_same_command_again_with_resume(half: User) -> None:
    assert half.srtctl("apply", "-f", write(half, "1, 2, 3"), "--wait", "resume=true").returncode == 0
    assert results(half) == {0: ["ok"], 1: ["failed", "ok"], 2: ["ok"]}


def test_after_an_edit_only_what_it_changed(half: User) -> None:
    half.write("go4", "")
    done = half.srtctl("apply", "-f", write(half, "3, 1, 4"), "--wait", "resume=true")
    assert done.returncode == 0, done.stderr + done.stdout
    assert results(half) == {0: ["ok"], 1: ["failed"], 2: ["ok"], 3: ["ok"]}
    points = manifest(half)["points"]
    assert [point.get("withdrawn", False) for point in points] == [False, True, False, False]
    assert manifest(half)["resumed"][0]["argv"][:2] == ["apply", "-f"]
    # the point that nobody asks for any more does not come back
    assert "nothing is missing" in half.srtctl("apply", "--resume", "quick").stdout


def test_a_resumed_sweep_that_shares_no_point_is_refused(half: User) -> None:
    done = half.srtctl("apply", "-f", write(half, "7, 8"), "--resume", "quick")
    assert done.returncode == 2 and "none of these points is in" in done.stderr
    done = half.srtctl("dry-run", "-f", write(half, "7, 8"), "resume=true")
    assert done.returncode == 0 and "2 points" in done.stdout  # a new sweep


def test_a_dry_run_shows_what_would_run(half: User) -> None:
    before = manifest(half)
    shown = half.json("dry-run", "--resume", "quick")
    assert [point["index"] for point in shown["points"]] == [1]
    assert [allocation["index"] for allocation in shown["allocations"]] == [1]
    assert manifest(half) == before


def test_frozen_points_take_queue_settings_and_nothing_else(half: User) -> None:
    done = half.srtctl("apply", "--resume", "quick", "cluster.environment.A=b")
    assert done.returncode == 2 and "would not be the same" in done.stderr
    done = half.srtctl("apply", "--resume", "quick", "launcher.max_in_flight=1,2")
    assert done.returncode == 2 and "is a sweep" in done.stderr
    done = half.srtctl("apply", "--resume", "quick", "slurm.partition=x", "--wait")
    assert done.returncode == 0, done.stderr
    done = half.srtctl("apply", "--resume", "nosuch")
    assert done.returncode == 2 and "no run called" in done.stderr
