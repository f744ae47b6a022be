"""What srtctl believes about SGLang's flags, against the argument parsers of several releases themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from srtctl.backends.flags import to_argv
from srtctl.backends.sglang_flags import for_parser, layered
from srtctl.backends.sglang_releases import Flag, order, release, releases
from srtctl.schema import RoleFlags
from srtctl.validate.flagvalues import wrong_value
from tests.groups.modes import NEEDS, config_for, plan_of, published
from tests.plan.jobs import disagg

from .real_parser import RELEASES, RealParser

# Published shapes that a release has nothing for; see `NEEDS`.
EARLY = {
    "0.5.8.post1": {"dsv4-gb200-4p1d-dep16"},
    "0.5.5.post2": {"dsv4-gb200-4p1d-dep16", "gb200-fp4-10p1d-dep32", "gb200-fp4-1p1d-dep48", "gb200-fp4-1p4d-tp4",
                    "gb300-fp4-10p1d-dep32", "gb300-fp4-1p4d-tp4"},
}  # fmt: skip
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


@pytest.fixture(scope="module", params=RELEASES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def parser(version: str) -> Iterator[RealParser]:
    with RealParser(version) as made:
        yield made


def default_of(flag: Flag) -> Any:
    return flag.default or None  # off is off, however it is written


def test_the_table_is_the_parser(version: str, parser: RealParser) -> None:
    table = {
        frozenset({name, *flag.aliases} | ({f"no-{name}"} if flag.kind == "toggle" else set())): (
            flag.kind,
            flag.nargs,
            sorted(map(str, flag.choices)) or None,
            default_of(flag),
        )
        for name, flag in release(version).flags.items()
    }
    real = {
        frozenset(names): (kind, nargs, choices, default or None)
        for names, kind, nargs, choices, default in parser.options
    }
    assert table == real


EXAMPLES = {
    "int": 2,
    "float": 0.5,
    "human-int": "8k",
    "json": {"a": [1]},
    "str": "text",
    "switch": True,
    "toggle": True,
    "ignored": True,
    "nullable_str": "/scales.json",
    "parse_cuda_graph_config_arg": {"decode": {"backend": "disabled"}},
}


def example(flag: Flag) -> Any:
    """A value that the flag takes."""
    value = flag.choices[0] if flag.choices else EXAMPLES.get(flag.kind)
    return [value, value] if flag.nargs in ("+", "*") and value is not None else value


def argv_of(version: str, flags: dict[str, Any], way: str = "strict") -> list[str]:
    """The arguments that a worker gets for some flags."""
    job: Any = disagg(backend="sglang", backend__version=version, backend__flags=way)
    job.backend.sglang_config = RoleFlags(decode=flags)
    found = to_argv(for_parser(layered(job, "decode").values, release(version)))
    return found if "--model-path" in found else ["--model-path", "m", *found]


def test_a_command_line_with_every_flag(version: str, parser: RealParser) -> None:
    flags = {name: example(flag) for name, flag in release(version).flags.items() if flag.kind != "refused"}
    on, off = argv_of(version, flags), argv_of(version, dict.fromkeys(flags, False))
    assert sorted(word[2:] for word in on if word.startswith("--")) == sorted(flags)  # none is left out
    assert parser.errors([on, off]) == [None, None]
    bare = {name: True for name, flag in release(version).flags.items() if flag.nargs in ("*", "?")}
    assert bare and parser.errors([argv_of(version, bare)]) == [None]


def words_of(version: str, mode: str) -> list[tuple[str, list[str]]]:
    """(role, what stands behind the program) of each worker's process of a mode on the image of a release."""
    found = []
    for process in plan_of(config_for(mode, version)).processes:
        if process.worker:
            words = process.argv[process.argv.index("--model-path") :]
            found.append((process.role, ["30000" if word.startswith("@port:") else word for word in words]))
    return found


def test_the_command_lines_of_the_published_shapes_parse(version: str, parser: RealParser) -> None:
    """Translated for the release, and with the attention ranks that the mode's file has."""
    lines, early = 0, set()
    for mode in published():
        written = config_for(mode, version)["backend"]["sglang_config"]
        pairs = {(name, str(value)) for flags in written.values() for name, value in flags.items()}
        if any(order(NEEDS[pair]) > order(version) for pair in pairs & NEEDS.keys()):
            early.add(mode)  # the release has nothing that would do
            continue
        roles, requests = zip(*words_of(version, mode), strict=True)
        for role, answer in zip(roles, parser.answers(list(requests)), strict=True):
            said, lines = answer.get("set", {}), lines + 1
            replicas = said.get(parser.kept_in["dp-size"], 1)
            ranks = said.get("attn_dp_size") or (replicas if said.get("enable_dp_attention") else 1)
            assert (answer["error"], ranks) == (None, written[role].get("attn-dp-size", 1)), (mode, role)
    assert early == EARLY.get(version, set())
    assert lines > 100


def test_older_and_newer_names_parse_when_translated(version: str, parser: RealParser) -> None:
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
    answers = parser.errors(list(lines.values()))
    assert not {name: answer for name, answer in zip(lines, answers, strict=True) if answer}


def test_srtctl_refuses_what_the_parser_refuses_and_nothing_else(version: str, parser: RealParser) -> None:
    # `config` is a file, and lora-paths has a check of its own for what looks like JSON
    known = {"switch", "toggle", "str", "int", "float", "human-int", "json"}
    cases = [
        (name, value)
        for name, flag in release(version).flags.items()
        if flag.kind in known and name not in ("config", "lora-paths")
        for value in [*VALUES, *flag.choices]
    ]
    answers = parser.errors([argv_of(version, {name: value}) for name, value in cases])
    ours = [wrong_value(release(version).flags[name], value) for name, value in cases]
    differ = [
        (name, value, own and own.message, theirs)
        for (name, value), own, theirs in zip(cases, ours, answers, strict=True)
        if (own is None) != (theirs is None)
    ]
    assert not differ, (len(differ), differ[:40])
