"""Parts of a run in a job that need no cluster: words of srun, the job's own data, the node agent, the time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from srtctl.orchestrator import scratch
from srtctl.orchestrator.agent import MARK, missing_here, remove_containers
from srtctl.orchestrator.cancel import step_ids
from srtctl.orchestrator.interfaces import default_interface
from srtctl.orchestrator.machines import few_cpus
from srtctl.orchestrator.slurmjob import slurm_job
from srtctl.orchestrator.srun import real_end, translated, without_noise
from srtctl.orchestrator.stopping import StopWatch
from srtctl.plan.surroundings import Budgets
from srtctl.pyz import write_pyz

from .plans import nodes_plan, witness


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "", (0, "")),
        (3, "srun: error: n2: task 0: Exited with exit code 3\n", (3, "")),
        (137, "srun: error: n2: task 0: Killed\n", (-9, "")),
        (137, "srun: error: n2: task 0: Exited with exit code 137\n", (137, "")),
        (0, "x\nsrun: error: Node failure on n2\n", (0, "its node n2 has failed, says Slurm")),
        (
            2,
            "slurmstepd-n2: error: execve(): /opt/x: No such file or directory\n",
            (2, "could not be started: /opt/x: No such file or directory"),
        ),
        (
            1,
            "srun: error: Unable to create step for job 7: Memory required by task is not available\n",
            (1, "could not be started: Unable to create step for job 7: Memory required by task is not available"),
        ),
        (
            137,
            "slurmstepd: error: Detected 1 oom_kill event in StepId=7.1.\nsrun: error: n2: task 0: Out Of Memory\n",
            (137, "killed for want of memory (out of memory)"),
        ),
    ],
)
def test_how_a_step_ended(code: int, said: str, expected: tuple[int, str]) -> None:
    end = real_end(code, said)
    assert (end.code, end.what) == expected


def test_noise_is_left_out() -> None:
    assert without_noise("srun: lua: hello\nv1.2\nslurmstepd-n1: error: x\nmore\n") == "v1.2\nmore\n"


def test_gpus_as_the_node_calls_them() -> None:
    assert translated("0,2", ("4", "5", "6", "7")) == "4,6"
    assert translated("1", ("GPU-a", "GPU-b")) == "GPU-b"
    assert translated("0,1", ()) == "0,1"
    assert translated("5", ("0", "1")) == "5"


def test_step_ids() -> None:
    listed = "7.batch|batch\n7.0|node0\n7.3|decode0\n8.1|decode1\n7.extern|extern\n"
    assert step_ids(listed) == {"node0": ["7.0"], "decode0": ["7.3"], "decode1": ["8.1"]}


def test_the_default_route() -> None:
    head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    lines = ["ib0 00000000 0100630A 0003 0 0 200 00000000 0 0 0", "eth0 00000000 0100630A 0003 0 0 100 00000000 0 0 0"]
    lines += ["down 00000000 0100630A 0002 0 0 0 00000000 0 0 0", "net 0000620A 00000000 0001 0 0 0 00FFFFFF 0 0 0"]
    assert default_interface(head + "\n".join(lines)) == "eth0"
    assert default_interface(head) == ""


def test_the_job_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    answers = {"n[1-2]": "n1\nn2\n", "x9": "x9\n", "-j": "1795462920\n"}

    def asked(argv: Any, timeout_s: float) -> str:
        return next(text for key, text in answers.items() if key in argv)

    job = slurm_job({"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_RESTART_COUNT": "2"}, asked)
    assert (job.components[0].hosts, job.restarts, job.ends_at) == (("n1", "n2"), 2, 1795462920.0)
    het = {"SLURM_JOB_ID": "7", "SLURM_HET_SIZE": "2", "SLURM_JOB_ID_HET_GROUP_0": "7", "SLURM_JOB_ID_HET_GROUP_1": "8"}
    het |= {"SLURM_JOB_NODELIST_HET_GROUP_0": "x9", "SLURM_JOB_NODELIST_HET_GROUP_1": "n[1-2]"}
    job = slurm_job(het, asked)
    assert [(part.job_id, part.hosts) for part in job.components] == [("7", ("x9",)), ("8", ("n1", "n2"))]
    assert job.heterogeneous and job.host(1, 1) == "n2"
    with pytest.raises(ValueError, match="has 3 nodes, which is fewer"):
        job.host(1, 2)
    with pytest.raises(ValueError, match="this is no Slurm job"):
        slurm_job({}, asked)


def test_what_is_missing() -> None:
    found = missing_here(
        [("/", "the root"), ("/absent", "the model")],
        [("sh", "a"), ("no-such-program", "b"), ("/absent/x", "c"), ("/etc/passwd", "d"), (sys.executable, "e")],
        os.environ["PATH"],
    )
    assert found == [
        "the model is not there: /absent",
        "the program of b is not in PATH: no-such-program",
        "the program of c is not there: /absent/x",
        "the program of d can't be executed: /etc/passwd",
    ]


class Turned:
    """A clock that a test turns; both of its times are the same here."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    wall = now


def test_when_the_time_is_nearly_over(tmp_path: Path) -> None:
    clock = Turned()
    watch = StopWatch(tmp_path / "stop", Budgets(early_warning_s=120), clock, ends_at=4600.0)  # type: ignore[arg-type]
    assert watch.asked() == ("", "")
    assert watch.signalled(signal.SIGTERM) == ("cancelled", "stopped by SIGTERM")
    clock.time = 4600 - 180  # Slurm's own warning comes up to a minute early
    assert watch.asked() == ("", "")
    assert watch.signalled(signal.SIGTERM)[0] == "failed"
    assert watch.signalled(signal.SIGINT)[0] == "cancelled"
    clock.time = 4600 - 120
    assert watch.asked() == ("failed", "the time limit is near (3600 s were left when the run began)")
    (tmp_path / "stop").touch()
    clock.time += 1
    assert watch.asked() == ("cancelled", "asked to stop")
    assert watch.signalled(signal.SIGTERM) == ("cancelled", "asked to stop")  # it accompanies the file


def test_a_short_job_is_not_ended_before_it_began(tmp_path: Path) -> None:
    clock = Turned()
    watch = StopWatch(tmp_path / "stop", Budgets(early_warning_s=120), clock, ends_at=1060.0)  # type: ignore[arg-type]
    assert watch.asked() == ("", "")
    assert watch.signalled(signal.SIGTERM) == ("cancelled", "stopped by SIGTERM")
    clock.time = 1031.0
    assert watch.asked()[0] == "failed"
    assert watch.signalled(signal.SIGTERM)[0] == "failed"


@pytest.mark.parametrize(
    ("limit_s", "warning_s"),
    [(None, 120), (3600, 120), (360, 120), (359, 119.5), (240, 60), (180, 30), (122, 1), (121, None), (60, None)],
)
def test_no_warning_comes_in_the_first_half_of_the_time(limit_s: float | None, warning_s: float | None) -> None:
    """Slurm's manual: the signal may come up to 60 s earlier than asked for."""
    assert Budgets(early_warning_s=120).slurm_warning_s(limit_s) == warning_s


def test_a_warning_where_servers_share_fewer_cpus_than_there_are() -> None:
    """As task/cgroup confines a job that did not say how many it needs."""
    slurm_plan = nodes_plan(witness("decode0", 0), witness("decode1", 1))
    machine = {"host": "n1", "cpus": 64, "cpus_allowed": 1}
    said = few_cpus(slurm_plan, {"slot0": {"machine": machine}, "slot1": {"machine": {**machine, "host": "n2"}}})
    text = (
        "n1: Slurm lets the job use 1 of 64 CPUs for 2 servers; they will be slow (slurm.exclusive=true asks for whole "
        "nodes, sbatch_directives.cpus-per-task=N for N of each)"
    )
    assert said == [text]  # the one server of n2 has its own
    for enough in ({"cpus_allowed": 2}, {"cpus": 1}):
        assert few_cpus(slurm_plan, {"slot0": {"machine": {**machine, **enough}}, "slot1": {}}) == []


# The node agent, as a process of its own

ORDER = {"op": "begin", "interface": "lo", "label": "7-", "below": ["tmp"], "make": [], "seed": 7, "paths": [],
         "programs": [], "containers": [], "search_path": os.environ["PATH"]}  # fmt: skip


class Talk:
    def __init__(self, directory: Path):
        write_pyz(directory / "o.pyz")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(directory / "o.pyz"), "--node"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(directory)},
        )  # fmt: skip

    def say(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith(MARK):
            assert not line.strip()
        said: dict[str, Any] = json.loads(line[len(MARK) :])
        return said


@pytest.fixture
def short() -> Any:
    """A directory with a short path, as node-local ones have."""
    import shutil
    import tempfile

    path = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("how", ["end", "closed", "SIGTERM"])
def test_the_agent_leaves_nothing(short: Path, how: str) -> None:
    talk = Talk(short)
    said = talk.say(ORDER)
    assert (said["iface"], said["address"], said["missing"]) == ("lo", "127.0.0.1", [])
    place = Path(said["scratch"])
    assert place.parent == short and (place / "tmp").is_dir()
    (place / "tmp/left").write_text("x")
    wish = {"name": "a/http", "preferred": 0, "max_port": 65535, "count": 2}
    numbers = talk.say({"op": "ports", "id": 1, "requests": [wish], "use_preferred": True})["numbers"]
    assert 20000 <= numbers["a/http"] < 32000
    wish["max_port"] = 100
    assert "no 2 free ports" in talk.say({"op": "ports", "id": 2, "requests": [wish], "use_preferred": True})["error"]
    assert abs(talk.say({"op": "ping", "sent": 0})["time"] - time.time()) < 5
    assert talk.process.stdin
    if how == "end":
        talk.process.stdin.write('{"op": "end"}\n')
    if how == "SIGTERM":
        talk.process.send_signal(signal.SIGTERM)
    else:
        talk.process.stdin.close()
    assert talk.process.wait(10) == 0
    assert not place.exists()


def test_the_next_agent_removes_what_a_killed_one_left(short: Path) -> None:
    killed, living = Talk(short), Talk(short)
    left, held = (Path(talk.say(ORDER)["scratch"]) for talk in (killed, living))
    foreign = short / f"{scratch.PREFIX}local"
    foreign.mkdir()
    killed.process.kill()
    killed.process.wait()
    following = Talk(short)
    said = following.say(ORDER)
    assert said["stale"] == [str(left)]
    assert not left.exists() and held.exists() and foreign.exists()
    for talk in (living, following):
        talk.process.communicate("")


def test_named_containers_are_removed(tmp_path: Path) -> None:
    enroot = tmp_path / "enroot"
    enroot.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/said\n')
    enroot.chmod(0o755)
    remove_containers(("srtctl-7",), str(tmp_path))
    assert (tmp_path / "said").read_text() == "remove --force pyxis_srtctl-7\n"
    remove_containers(("srtctl-7",), "/absent")
