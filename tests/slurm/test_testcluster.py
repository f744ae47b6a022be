"""The cluster that the other tests stand on: that it is one, and that nothing remains of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .asking import job_state, on_every_node, submit, traces
from .conftest import MakeCluster
from .testcluster import Cluster, Partition
from .testcluster.node import ROOT
from .testcluster.processes import until

# ---- a cluster as there are others


def test_a_job_is_submitted_from_outside_and_runs(slurm: Cluster, tmp_path: Path) -> None:
    out = tmp_path / "out put"
    submit(slurm, "-W", "-N2", "-o", out, "--chdir", tmp_path, "--wrap", "hostname; pwd; srun hostname")
    lines = out.read_text().splitlines()
    assert lines[1] == str(tmp_path)
    assert len({*lines[2:]}) == 2
    assert lines[0] in lines[2:]


def test_nodes_have_names_and_addresses_of_their_own(slurm: Cluster) -> None:
    said = on_every_node(slurm, "echo $(hostname) $(hostname -I)")
    assert said == [f"n{i} 10.99.0.1{i} 10.98.0.1{i}" for i in (1, 2, 3, 4)]
    resolved = on_every_node(slurm, "getent hosts n1 n2 n3 n4 | cut -d' ' -f1 | paste -sd ' '")
    assert resolved == ["10.99.0.11 10.99.0.12 10.99.0.13 10.99.0.14"] * 4
    ask = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('192.0.2.1', 9))"
    mine = on_every_node(slurm, f'{sys.executable} -S -c "{ask}; print(s.getsockname()[0])"')
    assert mine == [f"10.99.0.1{i}" for i in (1, 2, 3, 4)]


def test_nodes_have_gpus(slurm: Cluster) -> None:
    assert on_every_node(slurm, "echo $CUDA_VISIBLE_DEVICES") == ["0,1,2,3,4,5,6,7"] * 4
    assert slurm.run(["srun", "--gpus=3", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES"]).stdout == "0,1,2\n"
    refused = slurm.run(["srun", "--gres=gpu:9", "true"], check=False)
    assert refused.returncode != 0


def test_nodes_share_files_but_not_tmp_and_memory(slurm: Cluster, tmp_path: Path) -> None:
    script = f"n=$(hostname); for d in {tmp_path} /tmp /dev/shm /run/node-local; do touch $d/from-$n; done"
    on_every_node(slurm, script)
    try:
        assert len(list(tmp_path.iterdir())) == 4
        for name in slurm.names:
            files = [f"{place}/from-{name}" for place in ("/dev/shm", "/run/node-local", "/tmp")]
            assert list(slurm.leftovers(name).files) == files
    finally:
        on_every_node(slurm, "rm -f /tmp/from-* /dev/shm/from-* /run/node-local/from-*")
    assert not slurm.leftovers("n1")


def test_ports_of_nodes_do_not_collide_and_reach_each_other(slurm: Cluster) -> None:
    server = "import socket,time; s=socket.create_server(('', 4242)); c,a=s.accept(); print(a[0]); time.sleep(0.2)"
    client = (
        "import socket,time\nfor i in range(100):\n try: socket.create_connection(('{}', 4242)); break\n"
        " except OSError: time.sleep(0.05)\n"
    )
    script = 'case $(hostname) in n3) p=$2;; n4) p=$3;; *) p=$1;; esac; exec "$0" -S -c "$p"'
    argv = ["srun", "-N4", "sh", "-c", script, sys.executable, server, client.format("n1"), client.format("n2")]
    assert sorted(slurm.run(argv).stdout.split()) == ["10.99.0.13", "10.99.0.14"]


def test_what_a_job_leaves_behind_is_seen(slurm: Cluster) -> None:
    # Forked twice and in a session of its own, it is no descendant of the step any more.
    slurm.run(["srun", "-w", "n2", "sh", "-c", "(setsid sleep 3217 >/dev/null 2>&1 &) ; true"])
    until(lambda: not slurm.run(["squeue", "-h"]).stdout, 10, "the job ends")
    left = slurm.leftovers("n2")
    assert [process.argv for process in left.processes] == [("sleep", "3217")]
    assert not slurm.leftovers("n1")
    with pytest.raises(TimeoutError, match=r"n2.*sleep.*3217"):
        slurm.wait_clean(0.1)
    os.kill(left.processes[0].pid, signal.SIGKILL)
    slurm.wait_clean()


def test_shape_and_settings_are_the_callers(make_slurm: MakeCluster) -> None:
    cluster = make_slurm(
        nodes=3,
        gpus=0,
        partitions=[Partition("prefill", "n1", default=True), Partition("decode", "n[2-3]", max_time="10")],
        slurm_conf_lines="KillWait=7\nDebugFlags=NO_CONF_HASH",
    )
    assert cluster.run(["sinfo", "-h", "-o", "%P %N %l %G"]).stdout.splitlines() == [
        "prefill* n1 infinite (null)",
        "decode n[2-3] 10:00 (null)",
    ]
    assert "KillWait                = 7 sec" in cluster.run(["scontrol", "show", "config"]).stdout


# ---- its end


def test_nothing_remains_of_a_cluster(make_slurm: MakeCluster, tmp_path: Path) -> None:
    mounts = Path("/proc/mounts").read_text()
    cluster = make_slurm()
    assert traces(cluster.directory)
    submit(cluster, "-N4", "-o", "/dev/null", "--wrap", "srun sleep 3219")
    client = subprocess.Popen(["srun", "--overlap", "sleep", "3219"], env=cluster.environment())
    until(lambda: len(cluster.processes_on("n4")) > 1, 10, "the job runs")
    cluster.stop()
    assert client.wait(5) != 0
    assert traces(cluster.directory) == []
    assert Path("/proc/mounts").read_text() == mounts
    assert list((cluster.directory / "bin").iterdir()) == []
    cluster.stop()


def test_a_cluster_ends_with_its_test_process(make_slurm: MakeCluster, tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    program = (
        "import sys, time; from pathlib import Path; from tests.slurm.testcluster import Cluster\n"
        f"Cluster(Path({str(directory)!r}), nodes=2).start(); print('up', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    assert traces(directory)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: traces(directory) == [], 10, "the cluster ends")
    until(lambda: not Cluster.at(directory).running(), 10, "its last process is gone")


@pytest.mark.parametrize("victim", ["login", "hub"])
def test_a_cluster_is_gone_whichever_of_its_outer_processes_dies(make_slurm: MakeCluster, victim: str) -> None:
    cluster = make_slurm(nodes=2)
    pid = int((cluster.directory / f"run/{victim}.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    until(lambda: traces(cluster.directory) == [], 10, "nothing is left")
    # A process that is ending has lost its mounts, by which `traces` knows it, before it is gone.
    until(lambda: not cluster.running(), 10, "its last process is gone")


def test_a_directory_that_slurm_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no spaces"):
        Cluster(tmp_path / "my cluster")


def test_a_cluster_that_does_not_start_says_why(make_slurm: MakeCluster, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="NoSuchSetting"):
        make_slurm(slurm_conf_lines="NoSuchSetting=1")
    assert traces(tmp_path) == []


def test_two_clusters_at_once(make_slurm: MakeCluster) -> None:
    one, two = make_slurm(nodes=2), make_slurm(nodes=3)
    first = submit(one, "-o", "/dev/null", "--wrap", "sleep 3220")
    assert job_state(one, first)
    assert two.run(["squeue", "-h"]).stdout == ""
    assert on_every_node(two, "hostname") == ["n1", "n2", "n3"]
    one.stop()
    assert on_every_node(two, "hostname") == ["n1", "n2", "n3"]
    one.start()
    assert on_every_node(one, "hostname") == ["n1", "n2"]
    with pytest.raises(RuntimeError, match="already"):
        Cluster(two.directory).start()


def test_people_start_and_end_one(make_slurm: MakeCluster, tmp_path: Path) -> None:
    def command(*argv: str) -> subprocess.CompletedProcess[str]:
        full = [sys.executable, "-m", "tests.slurm.testcluster", *argv]
        return subprocess.run(full, cwd=ROOT, capture_output=True, text=True, check=False)

    place = str(tmp_path / "by-hand")
    assert command("status", place).returncode == 1
    try:
        up = command("up", place, "--nodes=2", "--gpus=4")
        assert f"export PATH={place}/bin:$PATH" in up.stdout
        assert "It runs already." in command("up", place).stdout
        assert "gpu:4" in command("status", place).stdout
        assert command("exec", place, "n2", "sh", "-c", "hostname; exit 3").stdout == "n2\n"
    finally:
        assert command("down", place).returncode == 0
    assert traces(Path(place)) == []


@pytest.mark.soak
def test_accounting(make_slurm: MakeCluster) -> None:
    cluster = make_slurm(nodes=2, dbd=True)
    job = submit(cluster, "-o", "/dev/null", "-W", "--wrap", "true")
    until(
        lambda: "COMPLETED" in cluster.run(["sacct", "-n", "-P", "-X", "-j", job, "-o", "State"]).stdout,
        20,
        "sacct knows",
    )


# ---- without root


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_without_root_tests_are_omitted_by_name(ci: str, status: int) -> None:
    program = (
        "import os, sys, pytest; os.geteuid = lambda: 1000\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'nodes_have_gpus', *sys.argv[1:]]))"
    )
    variables = {**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [sys.executable, "-c", program, __file__], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert "omitted: 1 that need root" in done.stdout
    assert "test_nodes_have_gpus" in done.stdout
    assert "needs root: the nodes of a Slurm cluster" in done.stdout
    assert done.returncode == status
