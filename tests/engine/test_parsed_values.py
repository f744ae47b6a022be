"""Random flags with random values: what SGLang's own parser makes of the command line and of the config file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from srtctl.backends import BACKENDS
from srtctl.backends.sglang import OWNED
from srtctl.backends.sglang_releases import Flag, release
from srtctl.plan.model import Rank, Worker
from srtctl.schema import RoleFlags
from tests.plan.jobs import disagg

from .real_parser import RELEASES, RealParser
from .test_flag_parsers import argv_of

# Letters of several alphabets and whatever a shell or YAML might take for its own.
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), min_size=1)
HUMAN = {"8k": 8000, "2M": 2_000_000, "4Ki": 4096, "1.5k": 1500, 4096: 4096, "12": 12}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.dictionaries(TEXTS, inner, max_size=3),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-(10**9), 10**9),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "human-int": st.sampled_from(list(HUMAN)),
    "json": st.dictionaries(TEXTS, JSON, max_size=3),
    "str": TEXTS,
    "switch": st.booleans(),
    "toggle": st.booleans(),
}
# Placement's, or with checks of their own behind the parser's type.
ELSEWHERE = {*OWNED, "served-model-name", "disaggregation-mode", "lora-paths"}


def usable(flag: Flag) -> bool:
    return flag.kind in VALUES and flag.name not in ELSEWHERE and flag.deprecated is None


def values_of(flag: Flag) -> st.SearchStrategy[Any]:
    one = st.sampled_from(list(flag.choices)) if flag.choices else VALUES[flag.kind]
    if flag.nargs not in ("+", "*"):
        return one
    items = one.filter(lambda item: not str(item).startswith("-"))  # argparse has no way to say such a list
    return st.lists(items, min_size=1, max_size=4)


def expected(flag: Flag, value: Any) -> Any:
    if isinstance(value, list):
        return [expected(flag, item) for item in value]
    return str(value) if flag.choices else HUMAN[value] if flag.kind == "human-int" else value


def as_text(flag: Flag, found: Any) -> Any:
    """Choices compare as text: a table has them as they are written."""
    if isinstance(found, list):
        return [as_text(flag, item) for item in found]
    return str(found) if flag.choices else found


@pytest.fixture(scope="module", params=RELEASES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def parser(version: str) -> Iterator[RealParser]:
    with RealParser(version) as made:
        yield made


def section_of(version: str, flags: dict[str, Any]) -> str:
    """The section of the config file that a job with these flags has for its decode workers."""
    job: Any = disagg(backend="sglang", backend__version=version)
    job.backend.sglang_config = RoleFlags(decode=flags)
    (file,) = BACKENDS["sglang"].files(job, [Worker("decode", 0, (Rank(0, (0,)),))])
    return textwrap.dedent(file.text.partition("decode:\n")[2])


def in_a_file(parser: RealParser, version: str, flag: Flag, value: Any) -> bool:
    """Whether SGLang's reader of config files can say it: no `--no-`, nothing that looks like an option, and in some
    releases no field that has a deprecated name, too."""
    old = {parser.kept_in[name] for name, other in release(version).flags.items() if other.deprecated is not None}
    option = str(value).startswith("-") and not isinstance(value, int)
    return flag.kind != "toggle" and not option and parser.kept_in[flag.name] not in old


def holds(parser: RealParser, version: str, flags: dict[str, Any], request: list[str] | str) -> None:
    (answer,) = parser.answers([request])
    assert answer["error"] is None, (answer["error"], request)
    for name, value in flags.items():
        flag, field = release(version).flags[name], parser.kept_in[name]
        found = answer["set"].get(field, parser.defaults[field])
        if value is False and flag.kind == "switch":
            value = parser.defaults[field]  # not said
        assert as_text(flag, found) == expected(flag, value), (name, request)


@settings(derandomize=True, deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_come_through(version: str, parser: RealParser, data: st.DataObject) -> None:
    known = {parser.kept_in[name]: flag for name, flag in release(version).flags.items() if usable(flag)}
    chosen = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=12, unique=True))
    flags = {known[field].name: data.draw(values_of(known[field]), label=known[field].name) for field in chosen}
    holds(parser, version, flags, argv_of(version, flags))
    written = {
        name: value for name, value in flags.items() if in_a_file(parser, version, release(version).flags[name], value)
    }
    holds(parser, version, written, section_of(version, written))
