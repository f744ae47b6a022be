"""What srtctl believes about SGLang's flags, against the argument parsers of several releases themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from srtctl.backends.flags import to_argv
from srtctl.backends.sglang_flags import for_parser, layered
from srtctl.backends.sglang_releases import Flag, release, releases
from srtctl.schema import RoleFlags
from srtctl.validate.flagvalues import wrong_value
from tests.groups.modes import config_of, plan_of, published
from tests.plan.jobs import disagg

from .packages import unpacked
from .stack import ENVIRONMENT

RELEASES = ["0.5.5.post2", "0.5.8.post1", "0.5.14", "0.5.23"]
# Values of which each flag takes some; JSON, because a job's values come from YAML.
VALUES: list[Any] = [
    1,
    "1",
    1.5,
    -1,
    "8k",
    "auto",
    "-x",
    "a b",
    "",
    True,
    [1, 2],
    ["a"],
    [],
    {"a": 1},
    [{"a": 1}],
    "{}",
]


@pytest.fixture(params=RELEASES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def package(version: str) -> Path:
    """A folder with the sources of a release, downloaded once."""
    return unpacked("sglang", version)


def ask(package: Path, lines: list[list[str]]) -> dict[str, Any]:
    """The parser's options, and what it says to each command line."""
    python, script = ENVIRONMENT / "bin/python", Path(__file__).with_name("parser_of.py")
    done = subprocess.run([str(python), str(script), str(package)], input=json.dumps(lines), text=True,
                          capture_output=True, timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    assert len(answer["answers"]) == len(lines)
    return answer


def default_of(flag: Flag) -> Any:
    return flag.default or None  # off is off, however it is written


def test_the_table_is_the_parser(version: str, package: Path) -> None:
    table = {
        frozenset({name, *flag.aliases} | ({f"no-{name}"} if flag.kind == "toggle" else set())): (
            flag.kind,
            flag.nargs,
            sorted(map(str, flag.choices)) or None,
            default_of(flag),
        )
        for name, flag in release(version).flags.items()
    }
    parser = {
        frozenset(names): (kind, nargs, choices, default or None)
        for names, kind, nargs, choices, default in ask(package, [])["options"]
    }
    assert table == parser


EXAMPLES = {
    "int": 2,
    "float": 0.5,
    "human-int": "8k",
    "json": {"a": [1]},
    "str": "text",
    "switch": True,
    "toggle": True,
}


def example(flag: Flag) -> Any:
    """A value that the flag takes; none where only SGLang knows what it takes."""
    value = flag.choices[0] if flag.choices else EXAMPLES.get(flag.kind)
    return [value, value] if flag.nargs in ("+", "*") and value is not None else value


def argv_of(version: str, flags: dict[str, Any], way: str = "strict") -> list[str]:
    """The arguments that a worker gets for some flags."""
    job: Any = disagg(backend="sglang", backend__version=version, backend__flags=way)
    job.backend.sglang_config = RoleFlags(decode=flags)
    found = to_argv(for_parser(layered(job, "decode").values, release(version)))
    return found if "--model-path" in found else ["--model-path", "m", *found]


def test_a_command_line_with_every_flag(version: str, package: Path) -> None:
    flags = {name: example(flag) for name, flag in release(version).flags.items() if flag.kind != "refused"}
    on, off = argv_of(version, flags), argv_of(version, dict.fromkeys(flags, False))
    assert sum(word.startswith("--") for word in on) > 250
    assert ask(package, [on, off])["answers"] == [None, None]


def test_the_command_lines_of_the_published_shapes_parse(version: str, package: Path) -> None:
    if version != releases()[-1]:
        return  # the ready-made modes are written for the newest
    lines = []
    for mode in published():
        for process in plan_of(config_of(mode)).processes:
            if process.worker:
                words = process.argv[process.argv.index("--model-path") :]
                lines.append(["30000" if word.startswith("@port:") else word for word in words])
    assert len(lines) > 200
    assert not [answer for answer in ask(package, lines)["answers"] if answer]


def test_older_and_newer_names_parse_when_translated(version: str, package: Path) -> None:
    """Every flag of every release, one at a time: what translation changes, the parser takes."""
    lines: dict[str, list[str]] = {}
    for other in releases():
        for name, flag in release(other).flags.items():
            job: Any = disagg(backend="sglang", backend__version=version, backend__flags="translate")
            job.backend.sglang_config = RoleFlags(decode={name: example(flag)})
            made = layered(job, "decode")
            fits = all(wrong_value(release(version).flags[new], made.values[new]) is None for new in made.translated)
            if made.translated and fits:
                lines[f"{name} of {other}"] = argv_of(version, {name: example(flag)}, "translate")
    assert len(lines) > 20
    answers = ask(package, list(lines.values()))["answers"]
    assert not {name: answer for name, answer in zip(lines, answers, strict=True) if answer}


def test_srtctl_refuses_what_the_parser_refuses_and_nothing_else(version: str, package: Path) -> None:
    # `config` is a file, and lora-paths has a check of its own for what looks like JSON
    known = {"switch", "toggle", "str", "int", "float", "human-int", "json"}
    cases = [
        (name, value)
        for name, flag in release(version).flags.items()
        if flag.kind in known and name not in ("config", "lora-paths")
        for value in [*VALUES, *flag.choices]
    ]
    answers = ask(package, [argv_of(version, {name: value}) for name, value in cases])["answers"]
    ours = [wrong_value(release(version).flags[name], value) for name, value in cases]
    differ = [
        (name, value, own and own.message, theirs)
        for (name, value), own, theirs in zip(cases, ours, answers, strict=True)
        if (own is None) != (theirs is None)
    ]
    assert not differ, (len(differ), differ[:40])
