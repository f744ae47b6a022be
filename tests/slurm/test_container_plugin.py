"""The stand-in for pyxis: a task sees its image, its mounts and the layer of its name, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .spank.images import MARK
from .testcluster import Cluster
from .testcluster.node import ROOT

NODE_PLACE = "/run/test-containers"


def srun(cluster: Cluster, image: Path | str | None, *argv: str, check: bool = True) -> str:
    """Run a step in an image; options first, then `--`, then the command. Returns all that it said."""
    chosen = [f"--container-image={image}"] if image else []
    done = cluster.run(["srun", "-N1", *chosen, *argv], check=check)
    return done.stdout + done.stderr


def test_a_task_sees_the_image_as_its_root(container_slurm: Cluster, images: Path) -> None:
    outside = container_slurm.run(["srun", "-N1", "ls", MARK], check=False)
    assert outside.returncode != 0
    for form in ("engine", "engine.sqsh"):
        assert srun(container_slurm, images / form, "cat", MARK) == "engine\n"
    assert "etc" in srun(container_slurm, images / "engine", "ls", "/").split()
    assert "No such file" in srun(container_slurm, images / "engine", "ls", str(ROOT / "README.md"), check=False)


def test_an_image_is_found_by_name(container_slurm: Cluster) -> None:
    assert srun(container_slurm, "docker://registry.test/team/engine:1", "cat", MARK) == "engine\n"
    assert "no such image" in srun(container_slurm, "docker://registry.test/other:1", "true", check=False)


def test_the_real_environment_runs_inside(container_slurm: Cluster, images: Path) -> None:
    said = srun(container_slurm, images / "engine.sqsh", sys.executable, "-c", "import srtctl, socket; print('runs')")
    assert said == "runs\n"


def test_mounts(container_slurm: Cluster, images: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("from outside\n")
    mounts = f"--container-mounts={tmp_path}:/a b/in,{tmp_path}:/fixed:ro"
    script = "cat '/a b/in/data'; echo back > '/a b/in/answer'; echo no > /fixed/answer"
    said = srun(container_slurm, images / "engine", mounts, "sh", "-c", script, check=False)
    assert said.startswith("from outside\n")
    assert "Read-only file system" in said
    assert (tmp_path / "answer").read_text() == "back\n"


def test_the_root_is_read_only_unless_asked(container_slurm: Cluster, images: Path) -> None:
    command = ["sh", "-c", "touch /new && touch /tmp/new && ls /new"]
    assert "Read-only" in srun(container_slurm, images / "engine", *command, check=False)
    assert srun(container_slurm, images / "engine", "--container-writable", *command) == "/new\n"
    assert not (images / "engine/new").exists()


def test_working_directory(container_slurm: Cluster, images: Path) -> None:
    assert srun(container_slurm, images / "engine", "pwd") == "/\n"
    assert srun(container_slurm, images / "engine", "--container-workdir=/usr/lib", "pwd") == "/usr/lib\n"
    said = srun(container_slurm, images / "engine", "--container-workdir=/nowhere", "pwd", check=False)
    assert "no such directory inside: /nowhere" in said


def test_variables_of_the_image(container_slurm: Cluster, images: Path) -> None:
    show = ["--export=ALL,CONTESTED=job", "sh", "-c", "echo $FROM_IMAGE $CONTESTED $SLURM_JOB_ID"]
    first = srun(container_slurm, images / "engine", *show).split()
    assert first[:2] == ["yes", "image"]
    assert first[2].isdigit()
    assert srun(container_slurm, images / "engine", "--container-env=A,CONTESTED", *show).split()[:2] == ["yes", "job"]


def test_flags_are_seen_inside(container_slurm: Cluster, images: Path) -> None:
    flags = ["--no-container-mount-home", "--container-remap-root", "--no-container-entrypoint"]
    said = srun(container_slurm, images / "engine", *flags, "sh", "-c", "echo $TEST_CONTAINER_FLAGS")
    assert said == "no-mount-home remap-root no-entrypoint\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--container-image="], "--container-image: empty"),
        (["--container-workdir=here"], "not an absolute path"),
        (["--container-name=a/b"], "not a name"),
        (["--container-name=a:sometimes"], "unknown flag sometimes"),
        (["--container-writable", "--container-readonly"], "an option and its opposite"),
        (["--container-mounts=a:/b"], "not absolute"),
        (["--container-mounts=/tmp:/b:shiny"], "unknown flag shiny"),
        (["--container-mounts=/not/there:/b"], "mount source /not/there"),
    ],
)
def test_what_is_refused(container_slurm: Cluster, images: Path, options: list[str], message: str) -> None:
    assert message in srun(container_slurm, images / "engine", *options, "true", check=False)


def test_options_without_an_image_are_refused(container_slurm: Cluster) -> None:
    assert "without --container-image" in srun(container_slurm, None, "--container-writable", "true", check=False)


def test_steps_of_a_job_share_a_named_container(container_slurm: Cluster, images: Path, tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(f"""#!/bin/sh
in="srun --overlap -N1 -n1 -w n2 --container-name=box --container-writable"
$in --container-image={images}/engine.sqsh sh -c 'echo kept > /opt/file'
$in cat /opt/file {MARK}
for i in 1 2 3 4; do $in sh -c "echo $i >> /opt/many; sleep 0.2" & done; wait
$in sh -c 'wc -l < /opt/many'
$in --container-image={images}/engine true
srun --overlap -N1 -n1 -w n3 --container-name=box true
""")
    out = tmp_path / "out"
    done = container_slurm.run(["sbatch", "-W", "-N4", "-o", out, script], check=False)
    said = out.read_text()
    assert done.returncode != 0
    assert said.startswith("kept\nengine\n4\n")
    assert "was made from" in said
    assert "no container named box on this node" in said
    container_slurm.wait_idle()
    for name in container_slurm.names:
        listed = container_slurm.run(
            ["sh", "-c", f"ls {NODE_PLACE}; grep {NODE_PLACE} /proc/mounts"], on=name, check=False
        )
        assert listed.stdout.split() in ([], ["own"])
    again = srun(container_slurm, None, "--container-name=box", "true", check=False)
    assert "no container named box" in again


def test_a_step_leaves_nothing(container_slurm: Cluster, images: Path) -> None:
    before = Path("/proc/mounts").read_text()
    srun(container_slurm, images / "engine.sqsh", "touch", "/tmp/file")
    container_slurm.wait_idle()
    assert not any(container_slurm.leftovers(name) for name in container_slurm.names)
    assert Path("/proc/mounts").read_text() == before
    loops = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True, check=True).stdout
    assert str(images) not in loops
