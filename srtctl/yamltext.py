"""YAML text of a resolved config, fast: a sweep's points share most of their sections, so each is dumped once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any


def dump_sections(value: Mapping[str, Any] | str) -> str:
    """`value` as YAML, keys in their order, a newline at the end; the same text as dumping it whole."""
    if isinstance(value, str):
        return _dump_text(value)
    return "".join(_section(key, repr(part), _Held(part)) for key, part in value.items())


class _Held:
    """Carries a section past the cache, which looks at its repr alone."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=512)
def _section(key: str, text: str, held: _Held) -> str:
    return _yaml({key: held.value})


@lru_cache(maxsize=512)
def _dump_text(text: str) -> str:
    return _yaml([text]).removeprefix("- ")


def _yaml(value: Any) -> str:
    import yaml

    # the C dumper is 8 times as fast; wheels of PyYAML have it, a build from source may not
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text
