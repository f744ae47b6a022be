"""What the documentation tells users to type works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent.parent
PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted((REPOSITORY / "docs").glob("*.md")))]
NOT_A_WHOLE_COMMAND = ("…", "|", "...")


def commands() -> list[str]:
    """Every `srtctl apply` and `srtctl dry-run` in an indented block, continuation lines joined, comments cut."""
    found = []
    for page in PAGES:
        text = (REPOSITORY / page).read_text().replace("\\\n", " ")
        for line in re.findall(r"^ {4}(?:\.venv/bin/)?(srtctl (?:apply|dry-run) .*)$", text, flags=re.MULTILINE):
            if not any(mark in line for mark in NOT_A_WHOLE_COMMAND):
                found.append(re.split(r"\s+#", line)[0].strip())
    return list(dict.fromkeys(found))


def block_after(page: str, mark: str) -> str:
    """The indented block that follows `mark` on a page, without its indentation."""
    _, found, rest = (REPOSITORY / page).read_text().partition(mark)
    assert found, f"{page} has no {mark!r}"
    lines = rest.split("\n\n", 1)[1].splitlines()
    stop = next(i for i, line in enumerate(lines) if line and not line.startswith("    "))
    return "\n".join(line[4:] for line in lines[:stop])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user who has followed the documentation: the quickstart's recipe, and the README's cluster."""
    place = tmp_path_factory.mktemp("home")
    (place / "recipe.yaml").write_text(block_after("docs/quickstart.md", "`recipe.yaml`:"))
    (place / "recipes/h200").mkdir(parents=True)
    recipe = (place / "recipe.yaml").read_text()
    (place / "recipes/h200/agg.yaml").write_text(recipe)
    variants = "base:\n" + "".join(f"  {line}\n" for line in recipe.splitlines())
    (place / "recipes/gb200.yaml").write_text(variants + "override_small: {environment: {A: b}}\n")
    data_sets(place / "data")
    cluster = place / "srtctl/conf/cluster/default.yaml"
    cluster.parent.mkdir(parents=True)
    site = block_after("README.md", "cluster/default.yaml`:")
    tools = Path(sys.prefix) / "tools"
    cluster.write_text(site.replace("/shared/srtctl-tools", str(tools)).replace("/shared/results", str(place / "out")))
    return place


def data_sets(place: Path) -> None:
    """What the documentation has under /data, a few records of each."""
    lines = {
        "traces/conversation.jsonl": {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46]},
        "prompts.jsonl": {"text": "What comes after 7, and why?"},
        "gsm8k/test.jsonl": {"question": "How many?", "answer": "As many.\n#### 7"},
    }
    for name, record in lines.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text((json.dumps(record) + "\n") * 9)
    (place / "huggingface").mkdir()


def dry_run(words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    # The default cluster is only for commands that name it: all others are about this machine.
    env = {**os.environ, "XDG_CONFIG_HOME": str(home), "SRTCTL_CLUSTER": "local", "SRTCTL_CONF": ""}
    program = [sys.executable, "-m", "srtctl", *words]
    return subprocess.run(program, cwd=home, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", commands())
def test_command_of_the_documentation(command: str, home: Path) -> None:
    words = [word.replace("=/data/", f"={home}/data/") for word in shlex.split(command)[1:]]
    words[0] = "dry-run"
    if "benchmark=sglang-bench" in words:  # its client need not be there: nothing is started
        words.append(f"cluster.tools.sglang_python={sys.executable}")
    done = dry_run([word for word in words if word != "--wait"], home)
    assert done.returncode == 0, done.stderr


def test_there_are_commands_to_try() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize(("kind", "points"), [("grid", 4), ("zip", 2)])
def test_sweeps_of_the_documentation(home: Path, kind: str, points: int) -> None:
    page = "docs/sweeps.md"
    sweep = block_after(page, "## In a recipe")
    if kind == "zip":
        rest = (
            sweep[sweep.index("\nresources:") :].replace('"{decode_workers}"', "1").replace("osl: 128", 'osl: "{osl}"')
        )
        sweep = block_after(page, "side by side instead:") + rest
    start = 'name: s\nmodel: {path: "builtin:tiny"}\nbackend: {type: mocker}\n'
    shape = "gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 1, decode_nodes: 0, "
    recipe = start + sweep.replace("resources: {", "resources: {gpus_per_decode: 1, " + shape)
    (home / f"{kind}.yaml").write_text(recipe)
    done = dry_run(["dry-run", "-f", f"{kind}.yaml"], home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"s: {points} points on ")


def test_reference_is_up_to_date() -> None:
    script = REPOSITORY / "docs/generate_reference.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, "CONTRIBUTING.md", "news/README.md"]:
        path = REPOSITORY / page
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{page} -> {target}"
