"""nginx.conf and the batch script: golden texts, and nothing injected."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest

from srtctl.errors import SrtctlError
from srtctl.frontends.nginx import nginx_problems
from srtctl.render import allocation_time_s, render_batch, render_template
from srtctl.schema import DecodeNodesConfig
from tests.plan.jobs import agg, disagg, job, plan_of

GOLDEN = Path(__file__).parent / "golden"


def nginx_conf(**values: Any) -> str:
    plan = plan_of(disagg(frontend__count=2, **values))
    return next(file.text for file in plan.files if file.path == "nginx.conf")


@pytest.mark.parametrize("affinity", [False, True])
def test_nginx_conf(affinity: bool, golden: Any) -> None:
    text = nginx_conf(frontend__nginx_session_affinity=affinity, cluster__nodes_share_host=True)
    golden(GOLDEN / f"nginx{'-affinity' if affinity else ''}.conf", text)


def test_on_a_cluster_the_entrance_is_open_on_every_interface_of_its_node() -> None:
    assert "listen 0.0.0.0:@port:nginx/http@ " in nginx_conf()
    assert "listen @host:slot0@:@port:nginx/http@ " in nginx_conf(cluster__nodes_share_host=True)


def test_settings_that_would_break_nginx_conf() -> None:
    made = disagg(frontend__nginx_session_affinity_header="X; evil", frontend__nginx_keepalive_timeout="1s; daemon on")
    keys = [problem.key for problem in nginx_problems(made)]
    assert keys == ["frontend.nginx_session_affinity_header", "frontend.nginx_keepalive_timeout"]
    assert nginx_problems(disagg()) == []


def slurm(made: Any, **values: Any) -> Any:
    made.cluster.executor, made.cluster.python = "slurm", "/opt/python3"
    for key, value in values.items():
        setattr(made.slurm, key, value)
    return made


def batch_cases() -> dict[str, Any]:
    full = slurm(
        disagg(cluster__use_segment_directive=True, cluster__partition="batch"), account="team", time_limit="01:00:00",
        qos="high", exclude="n[1-3],n7", comment="two words", exclusive=True, mail_type=["END", "FAIL"],
    )  # fmt: skip
    full.sbatch_directives = {"mem": "64G", "switches": 1, "contiguous": None}
    het = slurm(
        job(prefill_nodes=2, prefill_workers=2, decode_nodes=3, decode_workers=3, het_jobs=True), account="team",
        time_limit="30",
    )  # fmt: skip
    two_kinds = slurm(
        job(prefill_nodes=2, prefill_workers=2, decode_nodes=3, decode_workers=3, het_jobs=True), partition="h200",
        constraint="fast", decode=DecodeNodesConfig(partition="gb200", gres="gpu:gb200:4"),
    )  # fmt: skip
    return {
        "batch-local.sh": agg(cluster__python="/opt/python3"),
        "batch-slurm.sh": slurm(disagg()),
        "batch-slurm-full.sh": full,
        "batch-slurm-het.sh": het,
        "batch-slurm-het-two-kinds.sh": two_kinds,
        "batch-slurm-no-gpus.sh": slurm(disagg(cluster__simulated_gpus=True)),
    }


@pytest.mark.parametrize(
    ("change", "whole"),
    [({}, True), ({"exclusive": False}, False), ({"exclusive": True, "mem": "64G"}, True), ({"mem": "64G"}, False),
     ({"mem": "0"}, True)],
)  # fmt: skip
def test_a_job_that_takes_all_memory_asks_for_all_cpus(change: dict[str, Any], whole: bool) -> None:
    made = slurm(disagg(), **change)
    assert ("#SBATCH --exclusive\n" in render_batch(made, plan_of(made))) is whole


@pytest.mark.parametrize("name", ["cpus-per-task", "cpus-per-gpu", "mem-per-gpu", "oversubscribe"])
def test_who_says_how_many_cpus_gets_these(name: str) -> None:
    made = slurm(disagg())
    made.sbatch_directives = {name: "8"}
    assert "--exclusive" not in render_batch(made, plan_of(made))


def test_a_part_of_the_gpus_is_no_whole_node() -> None:
    made = slurm(disagg())
    made.cluster.gpus_per_node, made.resources.gpus_per_node = 8, 4
    assert "--exclusive" not in render_batch(made, plan_of(made))


WARNINGS = {4: "B:TERM@60", "00:03:00": "B:TERM@30", "1:30": None, "1-0": "B:TERM@120", "infinite": "B:TERM@120"}


@pytest.mark.parametrize(("limit", "signal"), WARNINGS.items())
def test_the_warning_fits_the_time_limit(limit: Any, signal: str | None) -> None:
    made = slurm(disagg())
    made.sbatch_directives = {"time": limit}
    lines = render_batch(made, plan_of(made)).splitlines()
    found = [line.partition("--signal=")[2] for line in lines if "--signal" in line]
    assert found == ([] if signal is None else [signal])


@pytest.mark.parametrize("name", batch_cases())
def test_batch_script(name: str, golden: Any) -> None:
    made = batch_cases()[name]
    text = render_batch(made, plan_of(made), points=3)
    golden(GOLDEN / name, text)
    assert text.splitlines()[-1].startswith("exec ")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_allocation_s_time_is_bring_up_and_all_points() -> None:
    made = slurm(disagg(health_check__max_attempts=6, health_check__interval_seconds=10.0), time_limit="00:20:00")
    assert allocation_time_s(made, 4) == 60 + 4 * 1200
    assert "#SBATCH --time=01:21:00\n" in render_batch(made, plan_of(made), points=4)
    assert allocation_time_s(disagg(), 4) is None


def test_a_json_object_keeps_its_quotes() -> None:
    made = slurm(disagg(), comment='{"a": {"b": 1}}')
    assert '#SBATCH --comment=\'{"a": {"b": 1}}\'\n' in render_batch(made, plan_of(made))


@pytest.mark.parametrize(
    "value",
    [
        "x\n#SBATCH --qos=urgent",
        "x\r",
        'a"b',
        '{"a": "\'"}',
        '{"a": "$(id)"}',
        '["a"]',
        "a'b",
        "a\\",
        "$(id)",
        "`id`",
        "",
    ],
)
def test_a_value_can_not_bring_a_line_of_its_own(value: str) -> None:
    made = slurm(disagg(), comment=value)
    with pytest.raises(SrtctlError, match="--comment"):
        render_batch(made, plan_of(made))


@pytest.mark.parametrize("name", ["x\n#SBATCH --qos", "Mem", "", "a b"])
def test_a_directive_s_name_is_a_name(name: str) -> None:
    made = slurm(disagg())
    made.sbatch_directives = {name: "1"}
    with pytest.raises(SrtctlError, match="batch script"):
        render_batch(made, plan_of(made))


def test_the_interpreter_s_path_is_quoted(tmp_path: Path) -> None:
    program = tmp_path / "with $(touch oops) and 'quotes'"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    made = agg(cluster__python=str(program))
    script = tmp_path / "batch.sh"
    script.write_text(render_batch(made, plan_of(made)))
    seen = subprocess.run(["bash", script, "/some dir"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert seen.stdout.splitlines() == ["-I", "-S", "/some dir/orchestrator.pyz", "/some dir"]
    assert not (tmp_path / "oops").exists()


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="python"):
        render_template("batch.sh.j2", components=[], slurm=False)
