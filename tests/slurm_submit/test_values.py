"""Odd values reach Slurm and the job as data, or are refused; secrets reach the job and are written nowhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import pytest
import yaml

from srtctl.site import TINY_MODEL

from .conftest import SlurmUser

# A text that would leave a mark if any shell or Slurm read it as more than text
BITES = [
    "x\n#SBATCH --nodes=4",
    "x$(touch bitten)",
    "x`touch bitten`",
    'x"; touch bitten; "',
    "x'; touch bitten; '",
    "x\\",
]
PLACES = ["slurm.comment", "sbatch_directives.comment", "slurm.account", "slurm.partition", "name", "tags", "slurm.qos"]


@pytest.mark.parametrize("key", PLACES)
def test_values_that_bite_are_refused(slurm_user: SlurmUser, key: str) -> None:
    for text in BITES:
        quoted = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        value = f"[{quoted}]" if key == "tags" else quoted
        done = slurm_user.srtctl("dry-run", "-f", slurm_user.job(), f"{key}={value}")
        assert done.returncode == 2, (text, done.stdout)
        assert f"error: {key}" in done.stderr, done.stderr
    assert not (slurm_user.home / "bitten").exists()


def test_names_of_options_that_bite_are_refused(slurm_user: SlurmUser) -> None:
    more = 'sbatch_directives: {"comment=x\\n#SBATCH --nodes": 3, "a b": 1, "--nice": 2}'
    done = slurm_user.srtctl("dry-run", "-f", slurm_user.job(more=more))
    assert done.returncode == 2
    assert done.stderr.count("no name of an option") == 3


ODD_DIRECTORIES = [
    "with space",
    "$(touch bitten)",
    'quote\'s "two"',
    "ünïcödé ☃",
    "-dash",
    "semi;colon & #hash",
    "*[a-z]?",
]


@pytest.mark.parametrize("name", ODD_DIRECTORIES)
def test_output_directories_of_any_name(slurm_user: SlurmUser, name: str) -> None:
    done = slurm_user.srtctl("apply", "-f", slurm_user.job("batch"), f"--output-dir=./{name}")
    assert done.returncode == 0, done.stderr
    (sweep,) = (path.parent for path in (slurm_user.home / name).glob("*/*/sweep.json"))
    job = json.loads((sweep / "sweep.json").read_text())["allocations"][0]["job_id"]
    own = sweep / "allocations/0000/job_id"
    end = time.monotonic() + 30
    while not own.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert own.read_text().strip() == job
    assert slurm_user.shown(job)["WorkDir"] == str(sweep / "allocations/0000")
    assert not (slurm_user.home / "bitten").exists()


def test_models_scripts_and_variables_of_any_name(slurm_user: SlurmUser) -> None:
    """They reach the engines, the client and bash on the nodes as they are."""
    odd = "mödel 'x' \"y\" $(touch bitten) `touch bitten` ;#"
    shutil.copytree(TINY_MODEL, slurm_user.home / odd)
    slurm_user.write("set up's $(x).sh", 'printf "value=%s\\n" "$ODD"\n')
    recipe = yaml.safe_load(Path(slurm_user.job("batch")).read_text())
    recipe |= {
        "setup_script": "set up's $(x).sh",
        "environment": {"ODD": odd},
        "model": {"path": f"./{odd}", "name": "m"},
    }
    path = slurm_user.write("ünï $(code).yaml", yaml.safe_dump(recipe, allow_unicode=True))
    done = slurm_user.srtctl("apply", "-f", str(path), "--wait")
    logs = slurm_user.sweep() / "allocations/0000/attempt-0/logs"
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"value={odd}\n" in (logs / "aggregated0.log").read_text()
    assert not list(slurm_user.home.rglob("bitten"))


@pytest.mark.parametrize("name", ["100%", "%j", "back\\slash", "line\nbreak"])
def test_directories_that_slurm_would_change_are_refused(slurm_user: SlurmUser, name: str) -> None:
    done = slurm_user.srtctl("apply", "-f", slurm_user.job(), f"--output-dir=./{name}")
    assert done.returncode == 2
    assert "which Slurm would not take as it is" in done.stderr
    assert not (slurm_user.home / name).exists()


def test_the_job_has_the_submitter_s_environment(slurm_user: SlurmUser) -> None:
    """Secrets by name, everything else as it was; what belongs to an outer job or steers sbatch is left out."""
    secret = f"planted-{os.getpid()}-{time.time_ns()}"
    odd = "two\nlines 'and' \"quotes\" $HOME ünï"
    env = {"MY_TOKEN": secret, "PLAIN": odd, "SBATCH_EXPORT": "NONE", "SLURM_CPU_BIND": "outer-job",
           "PMIX_RANK": "outer-job", "SLURM_STEP_ID": "outer-job", "NCCL_DEBUG": "INFO"}  # fmt: skip
    command = (
        'printf %s \\"$MY_TOKEN\\" | sha256sum > token.sha; printf %s \\"$PLAIN\\" | sha256sum > plain.sha; '
        "env | grep -c -e outer-job -e SBATCH_EXPORT > outer; "
        "env | cut -d= -f1 > names; echo '{\\\"answer\\\": 1}' > result.json; sleep 1"
    )
    recipe = Path(slurm_user.job("batch", more="pass_environment: [MY_TOKEN]")).read_text()
    begin, _, rest = recipe.partition("benchmark:")
    text = f'{begin}benchmark: {{type: custom, command: "{command}"}}\n{rest.partition(chr(10))[2]}'
    recipe_path = slurm_user.write("job.yaml", text)
    done = slurm_user.srtctl("apply", "-f", str(recipe_path), env=env)
    assert done.returncode == 0, done.stderr
    seen = _wait_for(slurm_user.sweep(), "points/0000/attempt-0/measurements/*/names", secret)
    measured = next(slurm_user.sweep().glob("points/0000/attempt-0/measurements/*"))
    wanted = {"token.sha": secret, "plain.sha": odd}
    found = {name: (measured / name).read_text().split()[0] for name in wanted}
    assert found == {name: hashlib.sha256(value.encode()).hexdigest() for name, value in wanted.items()}
    names = set((measured / "names").read_text().split())
    assert "NCCL_DEBUG" in names
    assert (measured / "outer").read_text().strip() == "0"
    assert not seen, f"the secret was on the command line of {seen}"
    holding = [path for path in slurm_user.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert not holding


def _wait_for(sweep: Path, pattern: str, secret: str) -> list[str]:
    """Wait for a file of the run; returns every command line that held the secret meanwhile."""
    seen: list[str] = []
    end = time.monotonic() + 60
    while time.monotonic() < end and not list(sweep.glob(pattern)):
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if secret.encode() in line:
                seen.append(line.replace(b"\0", b" ").decode())
        time.sleep(0.05)
    assert list(sweep.glob(pattern)), [p.read_text() for p in sweep.glob("allocations/0000/attempt-0/events.jsonl")]
    time.sleep(0.2)
    return seen
