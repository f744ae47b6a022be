"""Bad input says what is wrong and leaves nothing behind: no directory, no process, no traceback."""

from __future__ import annotations

import resource

import pytest

GOOD = "name: x\nmodel: {path: 'builtin:tiny'}\nresources: {agg_nodes: 1, agg_workers: 1, gpus_per_node: 1}\n"


@pytest.mark.parametrize(
    ("text", "argv", "says"),
    [
        (GOOD + "benhcmark: {type: manual}\n", [], ["benhcmark", "did you mean", "benchmark"]),
        (GOOD + "benchmark: {type: sa-bnch}\n", [], ["sa-bnch", "sa-bench"]),
        (GOOD + "backend: {type: mocker}\n", ["mode=aggg"], ["aggg", "agg"]),
        (GOOD, ["resources.agg_workers=many"], ["resources.agg_workers", "many", "integer"]),
        (GOOD, ["resources.agg_workerz=1"], ["agg_workerz", "agg_workers"]),
        (GOOD + "name: y\n", [], ["name", ":4"]),
        ("name: [unclosed\n", [], ["bad.yaml:"]),
        ("", [], ["empty"]),
        (GOOD.replace("name: x", 'name: "x\\n#SBATCH --qos=high"'), [], ["name"]),
        (GOOD + "slurm: {time_limit: banana}\n", [], ["slurm.time_limit", "banana"]),
        (GOOD, ["resources.agg_workers=1,2"], ["-m"]),
    ],
)
def test_bad_recipes(user, text, argv, says):
    recipe = user.write("bad.yaml", text)
    for verb in ("apply", "dry-run", "validate"):
        done = user.srtctl(verb, "-f", str(recipe), *argv)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stdout == ""
        for part in says:
            assert part in done.stderr
        assert "Traceback" not in done.stderr
        assert "error: " in done.stderr
        assert not (user.home / "outputs").exists()


def test_all_problems_of_all_points_at_once(user):
    recipe = user.write("bad.yaml", GOOD + "slurm: {time_limit: banana}\nextra_mount: [nocolon]\n")
    done = user.srtctl("dry-run", "-f", str(recipe), "resources.agg_workers=1,-1,0", "-m")
    assert done.returncode == 2
    for key in ("slurm.time_limit", "extra_mount", "resources.agg_workers"):
        assert key in done.stderr
    assert "bad.yaml:4" in done.stderr
    assert "points:" in done.stderr
    assert not (user.home / "outputs").exists()


@pytest.mark.parametrize("kind", ["missing", "directory", "binary", "latin1", "huge"])
def test_odd_files(user, kind):
    path = user.home / "job.yaml"
    if kind == "directory":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 10)
    elif kind == "latin1":
        path.write_bytes("name: café\n".encode("latin-1"))
    elif kind == "huge":
        path.write_text("a: b\n" * 2_000_000)
    done = user.srtctl("apply", "-f", str(path))
    assert done.returncode == 2
    assert "job.yaml" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_directory_that_cannot_be_written(user, quick):
    user.write("file", "")
    done = user.srtctl("apply", "-f", str(quick), "-o", "file/below")
    assert done.returncode == 3
    assert "can't be written" in done.stderr
    assert "hint:" in done.stderr
    assert not user.processes()


def test_a_disk_that_is_full(user, quick):
    """The kernel refuses to write past the limit, as it does on a full disk; nothing of the sweep may stay."""

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    done = user.srtctl("apply", "-f", str(quick), preexec_fn=small_files_only)
    assert done.returncode == 3, done.stderr
    assert "can't be written" in done.stderr
    assert not list(user.home.glob("outputs/*/*"))
    assert not user.processes()


def test_a_missing_program_is_named_with_how_to_get_it(user, quick):
    for name in ("etcd", "nginx", "aiperf"):
        done = user.srtctl(
            "apply", "-f", str(quick), f"cluster.tools.{name}=/nowhere/{name}", "benchmark=sa-bench",
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert f"cluster.tools.{name}" in done.stderr
        assert f"/nowhere/{name}" in done.stderr
        assert "hint:" in done.stderr
    env = {"SRTCTL_TOOLS_DIR": str(user.home / "empty")}
    done = user.srtctl("apply", "-f", str(quick), env=env)
    assert "srtctl tools install dynamo" in done.stderr
    assert not (user.home / "outputs").exists()
