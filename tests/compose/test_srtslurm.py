"""A cluster file of srt-slurm as a cluster, and whose options win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from srtctl.compose import points
from srtctl.composed import ComposedPoint
from srtctl.composition import recipes
from srtctl.composition.registration import default_cluster
from srtctl.errors import SrtctlError

FILE = """\
default_account: "inference"
default_partition: batch
default_time_limit: 4:00:00
gpus_per_node: 4
network_interface: enP6p9s0np0
srtctl_root: /shared/srt-slurm/
model_paths:
  dsr1: /shared/models/DeepSeek-R1
containers:
  sglang: /shared/images/sglang.sqsh
default_mounts:
  /shared/${USER}: /scratch
default_sbatch_directives:
  qos: high
use_segment_sbatch_directive: false
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b/c")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    for name in ("SRTSLURM_CONFIG", "SRTCTL_CLUSTER", "SRTCTL_CONF"):
        monkeypatch.delenv(name, raising=False)


def one(*words: str) -> ComposedPoint:
    (point,) = points(words)
    return point


def test_the_file_is_a_cluster() -> None:
    Path("srtslurm.yaml").write_text(FILE)
    point = one("cluster=srtslurm")
    cluster: dict[str, Any] = dict(point.config["cluster"])
    expected = {
        "name": "srtslurm", "executor": "slurm", "container_runtime": "pyxis", "account": "inference",
        "partition": "batch", "time_limit": "4:00:00", "gpus_per_node": 4, "network_interface": "enP6p9s0np0",
        "output_dir": "/shared/srt-slurm/outputs", "model_paths": {"dsr1": "/shared/models/DeepSeek-R1"},
        "containers": {"sglang": "/shared/images/sglang.sqsh"}, "default_mounts": {"/shared/${USER}": "/scratch"},
        "sbatch_directives": {"qos": "high"}, "use_segment_directive": False, "use_gpus_per_node_directive": True,
    }  # fmt: skip
    assert {key: cluster[key] for key in expected} == expected
    assert point.sources.of("cluster.account").endswith("srtslurm.yaml:1")
    assert one("cluster=srtslurm", "cluster.account=other").config["cluster"]["account"] == "other"


def test_the_checkout_s_configs_are_mounted_as_srt_slurm_does(tmp_path: Path) -> None:
    (tmp_path / "checkout/configs").mkdir(parents=True)
    Path("srtslurm.yaml").write_text(f"srtctl_root: {tmp_path}/checkout\ndefault_mounts: {{/data: /data}}\n")
    mounts = {"/data": "/data", f"{tmp_path}/checkout/configs": "/configs"}
    assert one("cluster=srtslurm").config["cluster"]["default_mounts"] == mounts
    Path("srtslurm.yaml").write_text(f"srtctl_root: {tmp_path}/checkout\ndefault_mounts: {{/own: /configs}}\n")
    assert one("cluster=srtslurm").config["cluster"]["default_mounts"] == {"/own": "/configs"}


def test_an_empty_file_has_the_defaults_of_srt_slurm() -> None:
    Path("srtslurm.yaml").write_text("")
    cluster = one("cluster=srtslurm").config["cluster"]
    assert cluster["use_segment_directive"] is True
    assert cluster["use_exclusive_directive"] is False


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "srtslurm.yaml").write_text("default_account: too-far-up\n")
    with pytest.raises(SrtctlError, match=r"there is no srtslurm\.yaml"):
        one("cluster=srtslurm")
    (tmp_path / "a/srtslurm.yaml").write_text("default_account: above\n")
    assert one("cluster=srtslurm").config["cluster"]["account"] == "above"
    (tmp_path / "named.yaml").write_text("default_account: named\n")
    monkeypatch.setenv("SRTSLURM_CONFIG", str(tmp_path / "named.yaml"))
    assert one("cluster=srtslurm").config["cluster"]["account"] == "named"
    monkeypatch.setenv("SRTSLURM_CONFIG", str(tmp_path / "gone.yaml"))
    with pytest.raises(SrtctlError, match="SRTSLURM_CONFIG names a file that is not there"):
        one("cluster=srtslurm")


def test_everything_wrong_is_said_at_its_line() -> None:
    Path("srtslurm.yaml").write_text("default_container: x\ndefault_partitoin: y\ngpus_per_node: many\n")
    with pytest.raises(SrtctlError) as caught:
        one("cluster=srtslurm")
    said = str(caught.value)
    assert "default_container: srt-slurm knows no such key" in said
    assert "did you mean default_partition?" in said
    assert "gpus_per_node: has a value of another kind" in said
    assert "srtslurm.yaml:2" in said


def test_a_broken_file_harms_nobody_who_does_not_use_it() -> None:
    Path("srtslurm.yaml").write_text("nonsense: 1\n")
    assert one("cluster=slurm").config["cluster"]["name"] == "slurm"


def test_what_has_no_effect_is_named() -> None:
    Path("srtslurm.yaml").write_text("default_bash_preamble: ulimit -n 65536\nreporting: {status: {}}\ncloud: {}\n")
    keys = [problem.key for problem in one("cluster=srtslurm").problems]
    assert keys == ["default_bash_preamble", "reporting"]
    assert one("cluster=slurm").problems == ()


def test_a_plain_recipe_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("srtslurm.yaml").write_text(FILE)
    Path("r.yaml").write_text("name: r\nmodel: {path: dsr1}\nresources: {agg_nodes: 1, agg_workers: 1}\n")
    (point,) = points([], recipes.load(Path("r.yaml")))
    assert point.config["cluster"]["account"] == "inference"
    own = tmp_path / "home/srtctl/conf/cluster/default.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# ours\nname: ours\nexecutor: slurm\n")
    assert default_cluster() == "default"
    monkeypatch.setenv("SRTSLURM_CONFIG", "srtslurm.yaml")
    assert default_cluster() == "srtslurm"
    monkeypatch.setenv("SRTCTL_CLUSTER", "local")
    assert default_cluster() == "local"


def test_options_of_the_users_win_over_the_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("home/srtctl/conf", "variable", "flag"):
        place = tmp_path / name / "cluster"
        place.mkdir(parents=True)
        (place / "slurm.yaml").write_text(f"# x\nname: {name.partition('/')[0]}\nexecutor: slurm\n")
    assert one("cluster=slurm").config["cluster"]["name"] == "home"
    monkeypatch.setenv("SRTCTL_CONF", str(tmp_path / "variable"))
    assert one("cluster=slurm").config["cluster"]["name"] == "variable"
    assert one("cluster=slurm", "--config-dir", str(tmp_path / "flag")).config["cluster"]["name"] == "flag"


def test_a_file_that_would_replace_the_beginning_of_every_job_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("name: mine\n")
    monkeypatch.setenv("SRTCTL_CONF", str(tmp_path))
    with pytest.raises(SrtctlError, match="every job begins with"):
        one()
