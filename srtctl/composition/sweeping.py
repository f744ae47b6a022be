"""`sweep:` in a recipe: its parameters become Hydra's, its `{placeholders}` become interpolations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from srtctl.composition.overridetext import joined_text, to_text
from srtctl.composition.ownership import GROUPS, OWNED
from srtctl.composition.placeholders import Placeholders
from srtctl.errors import Problem, Severity, SrtctlError, suggestion


@dataclass
class Section:
    """A recipe's sweep, read.

    Attributes:
        placeholders: Parameter -> values, for those that the file uses as `{parameter}`.
        keys: Config path or group -> values (or a text in Hydra's grammar), for the others.
        zipped: Walk all lists together instead of their product.
        warnings: What is odd about it.
    """

    placeholders: dict[str, list[Any]] = field(default_factory=dict)
    keys: dict[str, list[Any] | str] = field(default_factory=dict)
    zipped: bool = False
    warnings: list[Problem] = field(default_factory=list)
    as_text: set[str] = field(default_factory=set)

    @property
    def groups(self) -> list[str]:
        """Config groups that are swept."""
        return [key for key in self.keys if key in GROUPS]

    def rows(self) -> list[dict[str, Any]]:
        """Every combination of values, in order: the last parameter varies fastest, or one row per list index."""
        lists = {**self.placeholders, **{k: v for k, v in self.keys.items() if isinstance(v, list)}}
        if self.zipped:
            count = max(len(values) for values in lists.values())
            return [{k: v[n if len(v) > 1 else 0] for k, v in lists.items()} for n in range(count)]
        return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def read(config: dict[str, Any], source: Callable[[str], str], top_keys: Sequence[str]) -> Section | None:
    """Take the sweep out of `config` (changed in place) and replace its placeholders.

    Args:
        config: The recipe's content.
        source: Dotted key -> where it is written.
        top_keys: The keys that a job has at its top, to tell a config path from a misspelt parameter.

    Raises:
        SrtctlError: Everything that is wrong with the section.
    """
    if "sweep" not in config:
        return None
    parameters, zipped, prefix = _parameters(config.pop("sweep"), source)
    found = Placeholders(set(parameters))
    for key in list(config):
        config[key] = found.replace(config[key], key)
    section = Section(zipped=zipped)
    problems: list[Problem] = []
    for name, values in parameters.items():
        _sort_in(section, name, values, found, source(f"{prefix}.{name}"), top_keys, problems)
    problems += _zip_problems(section, source)
    if problems:
        raise SrtctlError(problems)
    section.warnings = [
        Problem(
            "unknown-placeholder",
            f"{{{name}}} is no sweep parameter; the text stays as it is",
            key=key,
            allowed=", ".join(f"{{{parameter}}}" for parameter in parameters),
            hint=suggestion(name, parameters),
            source=source(key),
            severity=Severity.WARNING,
        )
        for name, key in found.unknown
    ]
    section.as_text = {
        name for name in found.embedded if any(not _joins_well(value) for value in section.placeholders.get(name, []))
    }
    return section


def forget_unused(section: Section, config: Mapping[str, Any], groups: Sequence[str]) -> list[str]:
    """Take out parameters that nothing uses any more because `groups` replaced it; returns their keys.

    They would only multiply equal points.
    """
    gone = [name for name in section.placeholders if not _refers(config, f"${{sweep.{name}}}")]
    for name in gone:
        del section.placeholders[name]
    section.as_text -= set(gone)
    owned = [path for group in groups for path in OWNED[group]]
    replaced = [key for key in section.keys if any(key == path or key.startswith(f"{path}.") for path in owned)]
    replaced = [key for key in replaced if key not in GROUPS]
    for key in replaced:
        del section.keys[key]
    return [f"sweep.{name}" for name in (*gone, *replaced)]


def _refers(value: Any, reference: str) -> bool:
    if isinstance(value, Mapping):
        return any(_refers(inner, reference) for inner in value.values())
    if isinstance(value, list):
        return any(_refers(inner, reference) for inner in value)
    return isinstance(value, str) and reference in value


def apply(section: Section, config: dict[str, Any]) -> dict[str, str]:
    """Write the section into `config` as the sweep's first point; returns Hydra's multirun parameters.

    A grid is one parameter per name. A zip is one parameter whose values are the rows of a table; so is a grid whose
    values have to be written into texts as something that interpolation would not write.
    """
    if not section.placeholders and not section.keys:
        return {}
    if not section.zipped and not section.as_text:
        config["sweep"] = {name: values[0] for name, values in section.placeholders.items()}
        params = {f"sweep.{name}": ",".join(map(to_text, values)) for name, values in section.placeholders.items()}
        for key, values in section.keys.items():
            params[key] = values if isinstance(values, str) else ",".join(map(to_text, values))
        return params
    if any(isinstance(values, str) for values in section.keys.values()):
        raise SrtctlError(Problem("sweep", "a zip needs lists of values", key="sweep", allowed="lists in brackets"))
    rows = [bake(section, row) for row in section.rows()]
    for key in section.keys:
        set_path(config, key, f"${{sweep.{mangled(key)}}}")
    config["sweep"] = rows[0]
    return {"sweep": ",".join("{" + ",".join(f"{k}:{to_text(v)}" for k, v in row.items()) + "}" for row in rows)}


def bake(section: Section, row: Mapping[str, Any]) -> dict[str, Any]:
    """The value of the config's `sweep` node for one row."""
    values = {mangled(name): value for name, value in row.items()}
    values.update({f"{name}_text": joined_text(row[name]) for name in sorted(section.as_text)})
    return values


def mangled(key: str) -> str:
    """A parameter name for a config path."""
    return key.replace(".", "_")


def set_path(config: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted path, making mappings on the way."""
    *parents, last = key.split(".")
    for part in parents:
        inner = config.get(part)
        if not isinstance(inner, dict):
            inner = config[part] = {}
        config = inner
    config[last] = value


def use_texts(section: Section, config: Any) -> Any:
    """`config` with embedded placeholders of `section.as_text` pointing at the parameter's text."""
    if isinstance(config, dict):
        return {key: use_texts(section, value) for key, value in config.items()}
    if isinstance(config, list):
        return [use_texts(section, value) for value in config]
    if isinstance(config, str):
        for name in section.as_text:
            reference = f"${{sweep.{name}}}"
            if reference in config and config != reference:
                config = config.replace(reference, f"${{sweep.{name}_text}}")
    return config


def _parameters(raw: Any, source: Callable[[str], str]) -> tuple[dict[str, Any], bool, str]:
    """The parameters, whether they are zipped, and the key that they stand under."""
    problem = Problem(
        "sweep",
        "must name parameters and their values",
        key="sweep",
        value=raw,
        allowed="{parameter: [values]}, or {mode: zip, parameters: {parameter: [values]}}",
        source=source("sweep"),
    )
    if not isinstance(raw, dict) or not raw:
        raise SrtctlError(problem)
    mode = "grid"
    parameters = raw
    if isinstance(raw.get("parameters"), dict) or isinstance(raw.get("mode"), str):
        mode = raw.get("mode", "grid")
        parameters = raw.get("parameters", {k: v for k, v in raw.items() if k != "mode"})
        extra = [key for key in raw if key not in ("mode", "parameters")] if "parameters" in raw else []
        if extra:
            raise SrtctlError(replace(problem, key=f"sweep.{extra[0]}", value=raw[extra[0]]))
    if mode not in ("grid", "zip"):
        raise SrtctlError(
            Problem("sweep", "there is no such mode", "sweep.mode", mode, "grid, zip", source=source("sweep.mode"))
        )
    if not parameters:
        raise SrtctlError(problem)
    return parameters, mode == "zip", "sweep.parameters" if "parameters" in raw and parameters is not raw else "sweep"


def _sort_in(
    section: Section,
    name: str,
    values: Any,
    found: Placeholders,
    where: str,
    top_keys: Sequence[str],
    problems: list[Problem],
) -> None:
    is_path = name not in found.used and (name in GROUPS or name.split(".")[0] in top_keys)
    if isinstance(values, str) and is_path:
        section.keys[name] = values
        return
    if not isinstance(values, list) or not values:
        problems.append(
            Problem("sweep", "must be a list of values, not empty", f"sweep.{name}", values, "[1, 2, 3]", source=where)
        )
    elif name in found.used:
        section.placeholders[name] = values
    elif is_path:
        section.keys[name] = values
    else:
        seen = [other for other, _ in found.unknown]
        hint = suggestion(name, [*seen, *top_keys, *GROUPS])
        problems.append(
            Problem(
                "unused-parameter",
                f"the file has no {{{name}}}, and a job has no such key",
                key=f"sweep.{name}",
                allowed="a name used as {name} somewhere in the file, or a key such as benchmark.isl",
                hint=hint,
                source=where,
            )
        )


def _zip_problems(section: Section, source: Callable[[str], str]) -> list[Problem]:
    if not section.zipped:
        return []
    problems = []
    lists = {**section.placeholders, **{k: v for k, v in section.keys.items() if isinstance(v, list)}}
    lengths = {name: len(values) for name, values in lists.items() if len(values) > 1}
    if len(set(lengths.values())) > 1:
        problems.append(unequal_lists("sweep", lengths, source("sweep")))
    for group in section.groups:
        problems.append(
            Problem(
                "zip",
                "a group can't be swept in a zip",
                f"sweep.{group}",
                hint="use override_* variants, or a grid",
                source=source(f"sweep.parameters.{group}"),
            )
        )
    return problems


def unequal_lists(key: str, lengths: Mapping[str, int], source: str) -> Problem:
    """Lists that are to be walked together have different lengths."""
    found = ", ".join(f"{name} has {length}" for name, length in lengths.items())
    message = f"the lists of a zip must be as long as each other: {found}"
    return Problem("zip", message, key, allowed="lists of one length, or of one value", source=source)


def _joins_well(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
