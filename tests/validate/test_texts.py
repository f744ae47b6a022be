"""Texts that end up in scripts, paths and command lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.validate.jobs import ERROR, MOCKER, findings, rows

TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "name with a slash": ({"name": "a/b"}, "name"),
    "name with a blank": ({"name": "a b"}, "name"),
    "empty name": ({"name": ""}, "name"),
    "name of dots": ({"name": ".."}, "name"),
    "long name": ({"name": "x" * 101}, "name"),
    "name with a quote": ({"name": "x'y"}, "name"),
    "name not in ASCII": ({"name": "größe"}, "name"),
    "partition": ({"slurm.partition": "batch --qos=high"}, "slurm.partition"),
    "account": ({"slurm.account": "me\n#SBATCH --qos=x"}, "slurm.account"),
    "qos": ({"slurm.qos": "$(id)"}, "slurm.qos"),
    "constraint": ({"slurm.constraint": "h100;rm"}, "slurm.constraint"),
    "node list": ({"slurm.nodelist": "node[01-04] x"}, "slurm.nodelist"),
    "dependency": ({"slurm.dependency": "afterok:1 2"}, "slurm.dependency"),
    "memory": ({"slurm.mem": "all"}, "slurm.mem"),
    "comment": ({"slurm.comment": 'say "hi"'}, "slurm.comment"),
    "mail": ({"slurm.mail_user": "a b"}, "slurm.mail_user"),
    "mail type": ({"slurm.mail_type": ["end"]}, "slurm.mail_type[0]"),
    "tag": ({"tags": ["good", "no\nway"]}, "tags[1]"),
    "cluster's partition": ({"cluster.partition": "a\nb"}, "cluster.partition"),
    "served name": ({"model.served_name": "a b"}, "model.served_name"),
    "interface": ({"cluster.network_interface": "eth0;"}, "cluster.network_interface"),
    "model path": ({"model.path": "hf:org/name", "model.stage_dir": "/a\nb"}, "model.stage_dir"),
    "engine flag": ({"backend.mocker_config": {"decode": {"x": "a\x00b"}}}, "backend.mocker_config.decode.x"),
    "NUL in a variable": ({"environment.A": "a\x00b"}, "environment.A"),
    "frontend argument": ({"frontend.args": {"router-mode": "kv\nx"}}, "frontend.args.router-mode"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_would_end_up_in_a_script(name: str) -> None:
    changes, key = TEXTS[name]
    assert rows(findings(MOCKER, changes)) == {("text", ERROR, key)}


def test_good_texts_pass() -> None:
    changes = {
        "name": "dsr1-fp8_1k1k.v2", "tags": ["nightly", "team/a:b", "v1.2"], "slurm.partition": "batch,gpu",
        "slurm.account": "proj_1", "slurm.constraint": "[rack1*2&rack2*4]", "slurm.nodelist": "node[01-04],gpu7",
        "slurm.dependency": "afterok:12:13?afterany:4", "slurm.mem": "0", "slurm.gres": "gpu:h100:8",
        "slurm.comment": "weekly run, please keep", "slurm.mail_user": "a.b+c@d.org",
        "slurm.mail_type": ["END", "TIME_LIMIT_90"],
        "environment.TEXT": "two\nlines", "benchmark.extra_args": ["--x", "a b"],
    }  # fmt: skip
    assert rows(findings(MOCKER, changes)) == set()


@pytest.mark.parametrize("text", ["30", "90:00", "04:00:00", "1-12", "1-12:30", "1-12:30:15"])
def test_time_limits_of_slurm(text: str) -> None:
    assert rows(findings(MOCKER, {"slurm.time_limit": text})) == set()


@pytest.mark.parametrize("text", ["4h", "1:2:3:4", "-5", "", "1-", "04:00:00 ", "0", "٣"])
def test_texts_that_are_no_time_limit(text: str) -> None:
    assert rows(findings(MOCKER, {"slurm.time_limit": text})) == {("time-limit", ERROR, "slurm.time_limit")}
