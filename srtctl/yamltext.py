"""YAML text of a resolved config, fast: a sweep's points share most of their sections, so each is dumped once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
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

    text: str = yaml.dump(value, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=1000)
    return text


@cache
def _dumper() -> Any:
    """A dumper that quotes texts which OmegaConf, unlike plain YAML 1.1, reads as numbers: 1e3, 6.e2."""
    import yaml

    # the C dumper is 8 times as fast; wheels of PyYAML have it, a build from source may not
    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper = type("Dumper", (base,), {})
    exponent = re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+")
    dumper.add_implicit_resolver("tag:yaml.org,2002:float", exponent, list("-+.0123456789"))  # type: ignore[attr-defined]
    return dumper
