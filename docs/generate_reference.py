"""Write the reference pages from the code: configuration keys, groups' options, fields of a result row, Slurm's words.

usage: docs/generate_reference.py            writes docs/reference/*.md
       docs/generate_reference.py --check    changes nothing; exit code 1 when a page is out of date
"""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from pathlib import Path

import yaml
from key_tables import cell, table

from srtctl.backends import BACKENDS
from srtctl.benchmarks import BENCHMARKS
from srtctl.benchmarks.rows import ROW_FIELDS
from srtctl.composition import jobfile
from srtctl.schema import JobConfig
from srtctl.slurm.reasons import ENDS, REASONS

DOCS = Path(__file__).resolve().parent
CONF = DOCS.parent / "conf"
GROUPS = ("model", "cluster", "mode", "benchmark", "backend", "frontend", "profiling")
MADE = "<!-- made by docs/generate_reference.py; do not edit -->\n"
REGISTRIES: dict[str, dict[str, typing.Any]] = {"backend": dict(BACKENDS), "benchmark": dict(BENCHMARKS)}
ROW_GROUPS = {
    "identity": "Which measurement it is",
    "settings": "What the client was asked for",
    "requests": "Requests and tokens",
    "score": "Score",
    "measures": "Measures",
    "per_gpu": "Per GPU, with every denominator",
    "timing": "Times",
    "trust": "How far to trust it",
}


def main(words: list[str]) -> int:
    """Write or check all pages; returns the exit code."""
    pages = {
        "reference/configuration.md": configuration(),
        "reference/options.md": options(),
        "reference/modes.md": modes(),
        "reference/results.md": results(),
        "reference/slurm.md": slurm(),
        "reference/srt-slurm-keys.md": srt_slurm_keys(),
    }
    stale = [name for name, text in pages.items() if _read(DOCS / name) != text]
    if "--check" in words:
        for name in stale:
            print(f"docs/{name} is out of date: run docs/generate_reference.py", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(pages[name], encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def srt_slurm_keys() -> str:
    """What becomes of every key of srt-slurm's job files."""
    lines = [
        MADE,
        "# Keys of srt-slurm's job files",
        "",
        "How `srtctl apply -f` reads each key of such a file; [Recipes of srt-slurm](../recipes-srt-slurm.md) tells",
        "the rest. *Supported* keys have the same meaning. A *refused* one ends the command with a hint, unless its",
        "value asks for nothing. One with *no effect* brings a warning that says why.",
        "",
        "| key | | what to know |",
        "|---|---|---|",
        *(f"| `{path}` | {' | '.join(jobfile.in_words(path))} |" for path in jobfile.KEYS),
        "",
        "Types that are refused:",
        "",
        *(
            f"- `{node}.type: {name}`: {hint}"
            for node, hints in jobfile.REFUSED_TYPES.items()
            for name, hint in hints.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def configuration() -> str:
    """Every key of a job."""
    lines = [
        MADE,
        "# Configuration keys",
        "",
        "The same names are used in a recipe (`resources: {decode_workers: 2}`), on the command line",
        "(`resources.decode_workers=2`) and in a sweep (`resources.decode_workers=1,2 -m`).",
        "Keys marked *transient* do not change what is measured and are no part of `config_id`.",
        "",
        "## The job",
        "",
        *table(JobConfig, "", nested=False),
    ]
    hints = typing.get_type_hints(JobConfig)
    for field in dataclasses.fields(JobConfig):
        kind = hints[field.name]
        if not dataclasses.is_dataclass(kind):
            continue
        lines += ["", f"## {field.name}", "", field.metadata["help"], ""]
        lines += table(typing.cast(type, kind), f"{field.name}.")
        registry = REGISTRIES.get(field.name, {})
        for name in sorted(registry):
            lines += ["", f"### {field.name}.type: {name}", ""]
            lines += table(registry[name].params, f"{field.name}.", without=typing.cast(type, kind))
    return "\n".join(lines) + "\n"


def options() -> str:
    """Every option of every group, with the comment at the head of its file."""
    lines = [
        MADE,
        "# Groups and their options",
        "",
        "`srtctl mode=disagg model=tiny` chooses options; `srtctl --info config` shows what they composed.",
    ]
    for group in GROUPS:
        lines += ["", f"## {group}", "", "| option | |", "|---|---|"]
        for path in sorted((CONF / group).glob("*.yaml")):
            lines.append(f"| `{group}={path.stem}` | {cell(_head_comment(path))} |")
    return "\n".join(lines) + "\n"


MODES_HEAD = """
# Ready-made modes

Shapes that somebody has published, in the flags of the newest SGLang; a few are ours after a published one, which they
say. Each has the command that runs it on the machine that it is made for: any benchmark goes with any of them, and any
value can be changed on the command line. On an older image, `backend.flags=translate` writes the flags as that release
takes them. `backend=mocker cluster=local model=tiny` tries a shape on this machine, with `cluster.gpus_per_node=4` one
of a rack.

A name is the machine it was published for, the shape (`2p1d`: two prefill workers and one decode worker; `agg`:
workers that do both phases), and how a decode worker is parallel: `tp8` is tensor parallel over 8 GPUs, `dep8` has
data-parallel attention and expert parallelism over them; `mtp` is multi-token prediction. NVFP4 weights (`fp4`) are
named too, and every model but DeepSeek-R1.

A published figure belongs to its source's release, workload and machine. Where each phase was stressed by itself, the
two figures are no end-to-end one, and their product means nothing.

| mode | workers x GPUs | nodes | GPUs | command | source | published figure | different here |
|---|---|---|---|---|---|---|---|
"""


def modes() -> str:
    """The published shapes: what they need, where they come from, what was reported."""
    lines = []
    for path in sorted((CONF / "mode").glob("*.yaml")):
        said = _labelled(path)
        if "Source" in said:
            shape, nodes, gpus = _size(path)
            words = (said.get(label, "") for label in ("Source", "Figure", "Ours"))
            cells = " | ".join((f"`{said['Run']}`", *(cell(text) for text in words)))
            lines.append(f"| `{path.stem}` | {shape} | {nodes} | {gpus} | {cells} |")
    return MADE + MODES_HEAD + "\n".join(lines) + "\n"


def _size(path: Path) -> tuple[str, int, int]:
    """Shape in words, nodes and GPUs of a mode."""
    asked = yaml.safe_load(path.read_text(encoding="utf-8"))["resources"]
    parts, nodes, gpus = [], 0, 0
    for short, word in (("prefill", "prefill"), ("decode", "decode"), ("agg", "aggregated")):
        workers, each = asked.get(f"{short}_workers", 0), asked.get(f"gpus_per_{short}", 0)
        if workers:
            parts.append(f"{workers} {word} x {each}")
            nodes, gpus = nodes + asked[f"{short}_nodes"], gpus + workers * each
    return ", ".join(parts), nodes, gpus


def results() -> str:
    """Every field of a result row."""
    lines = [
        MADE,
        "# Fields of a result row",
        "",
        "One row for each measurement, in `result.json`, `srtctl results --json` and `srtctl results --csv`.",
    ]
    for group in dict.fromkeys(field.group for field in ROW_FIELDS):
        lines += ["", f"## {ROW_GROUPS.get(group, group)}", "", "| field | unit | meaning |", "|---|---|---|"]
        lines += [f"| `{f.name}` | {f.unit} | {cell(f.meaning)} |" for f in ROW_FIELDS if f.group == group]
    return "\n".join(lines) + "\n"


def slurm() -> str:
    """Why a job waits and how it ended: Slurm's words, and ours for them."""
    lines = [
        MADE,
        "# Slurm's words",
        "",
        "What `srtctl status` makes of them. [When Slurm says no](../slurm-says-no.md) tells what to do first.",
        "",
        "## Why a job waits",
        "",
        "A job that is *stuck* never starts by itself.",
        "",
        "| Slurm says | it means | stuck | what to do |",
        "|---|---|---|---|",
    ]
    for reason in REASONS:
        stuck = "yes" if reason.stuck else ""
        lines.append(f"| {_words(reason.pattern)} | {cell(reason.words)} | {stuck} | {cell(reason.advice)} |")
    lines += ["", "## How a job ended", ""]
    lines += ["Where the run itself could still say how it ended, its own word counts.", ""]
    lines += ["| Slurm says | state | it means | what to do |", "|---|---|---|---|"]
    for end in ENDS:
        lines.append(f"| {_words(end.state)} | `{end.outcome}` | {cell(end.words)} | {cell(end.advice)} |")
    return "\n".join(lines) + "\n"


def _words(pattern: str) -> str:
    """The alternatives of a pattern, `*` for anything."""
    plain = pattern.replace(".*", "*").replace("(Max|Grp)", "Max*`, `QOSGrp").replace("(Job|Resource|Time)", "*")
    return ", ".join(f"`{word}`" for word in plain.split("|")).replace("Max**", "Max*")


LABELS = re.compile(r"(Source|Figure|Run|Ours): ")


def _labelled(path: Path) -> dict[str, str]:
    """The parts of a file's head comment by their labels; what stands before the first is called `What`."""
    parts = {"What": ""}
    for line in _head_lines(path):
        found = LABELS.match(line)
        label = found[1] if found else list(parts)[-1]
        parts[label] = f"{parts.get(label, '')} {line[found.end() if found else 0 :]}".strip()
    return parts


def _head_comment(path: Path) -> str:
    """What a file says about itself; where it comes from and so on stands in the page of modes."""
    parts = _labelled(path)
    return parts["What"] if path.parent.name == "mode" else " ".join(_head_lines(path))


def _head_lines(path: Path) -> list[str]:
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return lines


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
