"""What is shown is what is submitted, and what was run can be run again."""

from __future__ import annotations

import json
from pathlib import Path

from srtctl.site import TINY_MODEL
from tests.system.conftest import User


def allocation_files(sweep: Path) -> dict[str, bytes]:
    """Every text that the allocation will use, by name."""
    names = ["plan.json", "batch.sh", "points.json", "orchestrator.pyz"]
    base = sweep / "allocations/0000"
    rendered = {str(p.relative_to(base)): p.read_bytes() for p in (base / "rendered").rglob("*") if p.is_file()}
    return rendered | {name: (base / name).read_bytes() for name in names}


def dry_run(user: User, *argv: str) -> Path:
    return Path(user.json("dry-run", *argv)["directory"])


def test_a_dry_run_writes_what_apply_submits(user, quick):
    shown = dry_run(user, "-f", str(quick), "--wait")
    assert user.srtctl("apply", "-f", str(quick), "--wait").returncode == 0
    assert allocation_files(shown) == allocation_files(user.sweep())
    for name in ("config.yaml", "steps.json"):
        assert (shown / "points/0000" / name).read_bytes() == (user.sweep() / "points/0000" / name).read_bytes()


def test_a_points_config_applied_again_is_the_same_job(user, quick):
    user.write("setup.sh", "echo prepared\n")
    first = dry_run(user, "-f", str(quick), "--setup-script", "setup.sh", "mode=agg", "environment.A=b")
    again = dry_run(user, "-f", str(first / "points/0000/config.yaml"))
    ids = [json.loads((d / "sweep.json").read_text())["points"][0]["config_id"] for d in (first, again)]
    assert ids[0] == ids[1]
    assert allocation_files(first) == allocation_files(again)
    assert (first / "points/0000/config.yaml").read_text() == (again / "points/0000/config.yaml").read_text()


def test_a_changed_setup_script_is_another_job(user, quick):
    seen = []
    for text in ("echo one\n", "echo two\n"):
        user.write("setup.sh", text)
        seen.append(user.json("dry-run", "-f", str(quick), "--setup-script", "setup.sh")["points"][0]["config_id"])
    assert seen[0] != seen[1]


def test_group_jobs_repeat_too(user):
    first = dry_run(user, "mode=disagg", "model=tiny", "benchmark=sa-1k1k")
    again = dry_run(user, "-f", str(first / "points/0000/config.yaml"))
    assert allocation_files(first) == allocation_files(again)


def test_a_relative_model_path_is_the_same_job_elsewhere(user, quick):
    (user.home / "models").mkdir()
    (user.home / "models/here").symlink_to(Path(TINY_MODEL))
    first = dry_run(user, "-f", str(quick), "model.path=models/here")
    again = dry_run(user, "-f", str(first / "points/0000/config.yaml"))
    ids = [json.loads((d / "sweep.json").read_text())["points"][0]["config_id"] for d in (first, again)]
    assert ids[0] == ids[1]
    assert allocation_files(first) == allocation_files(again)
