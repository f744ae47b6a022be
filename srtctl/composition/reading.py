"""A plain recipe in srt-slurm's format, read by the rules of `jobfile`: changed in place into keys of ours."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from srtctl.composition import jobfile
from srtctl.composition.jobfile import FormatKey, Reading
from srtctl.composition.placeholders import RUNTIME
from srtctl.composition.registration import IN_CONTAINERS
from srtctl.errors import Problem, Severity, suggestion

Source = Callable[[str], str]

_MOVED = {
    "backend.enable_multiple_frontends": "frontend.enable_multiple_frontends",
    "backend.num_additional_frontends": "frontend.num_additional_frontends",
}
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_PYTHON_NAME = re.compile(r"(?=.*[_.])[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_MOCKED_ENGINE = "vllm"


def read(config: dict[str, Any], source: Source) -> list[Problem]:
    """Turn `config` into keys of ours.

    Args:
        config: The recipe's content, without what groups of the command line replaced; changed in place.
        source: Dotted key -> where it is written.

    Returns:
        Errors about what is refused, and warnings about what has no effect.
    """
    config.pop("lock", None)
    problems = [*_refused_types(config, source), *_sorted_out(config, source)]
    for node in jobfile.FOREIGN_NODES:
        config.pop(node, None)
    for old, new in _MOVED.items():
        _move(config, old, new)
    problems += _unused_benchmark_keys(config, source)
    problems += _tokenizer_in_python(config, source)
    _defaults_of_the_format(config)
    problems += _shell_variables(config, source)
    problems += _mount_placeholders(config, source)
    return problems


def find_script(config: dict[str, Any], path: Path) -> None:
    """A setup script that does not lie beside its recipe: srt-slurm keeps them in `configs` of its checkout."""
    named = config.get("setup_script")
    here = path.absolute().parent
    if not isinstance(named, str) or Path(named).is_absolute() or (here / named).is_file():
        return
    places = [above / "configs" / below / named for above in (here, *here.parents) for below in ("", "patches")]
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        config["setup_script"] = str(found)


def _refused_types(config: dict[str, Any], source: Source) -> Iterator[Problem]:
    """Types that only srt-slurm has; those of ours under another name are renamed."""
    for node, hints in jobfile.REFUSED_TYPES.items():
        inner = config.get(node)
        if not isinstance(inner, dict):
            continue
        name = inner.get("type")
        if name in hints:
            yield Problem("unsupported-key", f"there is no such {node} in srtctl", f"{node}.type", name,
                          hint=hints[str(name)], source=source(f"{node}.type"))  # fmt: skip
        elif name in jobfile.RENAMED_TYPES.get(node, {}):
            inner["type"] = jobfile.RENAMED_TYPES[node][str(name)]


def _sorted_out(config: dict[str, Any], source: Source) -> list[Problem]:
    """Take out what is refused or has no effect, and say so."""
    problems = []
    for path, value in list(_leaves(config)):
        found = jobfile.entry_of(path)
        if found is None:
            if path.partition(".")[0] in jobfile.FOREIGN_NODES:
                problems.append(_unknown(path, value, source))
            continue
        key, entry = found
        if entry.reading in (Reading.KEPT, Reading.CHANGED):
            continue
        problem = _about(config, path, key, value, entry, source)
        problems += [problem] if problem is not None else []
    for path in jobfile.KEYS:
        if jobfile.KEYS[path].reading in (Reading.NO_EFFECT, Reading.REFUSED, Reading.PART):
            _remove(config, path)
    seen: dict[str, Problem] = {}
    for problem in problems:
        seen.setdefault(problem.key, problem)
    return list(seen.values())


def _about(
    config: Mapping[str, Any], path: str, key: str, value: Any, entry: FormatKey, source: Source
) -> Problem | None:
    whole = _value_at(config, key)
    if any(type(whole) is type(off) and whole == off for off in entry.off):
        return None
    if entry.reading is Reading.REFUSED:
        return Problem("unsupported-key", "srtctl has nothing like it", key, whole, hint=entry.text, source=source(key))
    reason = entry.text
    if entry.reading is Reading.PART:
        if _value_at(config, entry.part_of):
            return None  # refused by that key
        reason = f"{entry.part_of} is off"
    return Problem("ignored-key", f"has no effect: {reason}", key, source=source(key), severity=Severity.WARNING)


def _unknown(path: str, value: Any, source: Source) -> Problem:
    known = [*jobfile.known_below(path.partition(".")[0])]
    allowed, hint = ", ".join(known), suggestion(path, known)
    return Problem("unknown-key", "srt-slurm knows no such key", path, value, allowed, hint, source(path))


def _unused_benchmark_keys(config: dict[str, Any], source: Source) -> list[Problem]:
    """Keys of other benchmark types: srt-slurm has one set of keys for all types and reads those of the chosen one."""
    from srtctl.benchmarks import BENCHMARKS

    node = config.get("benchmark")
    if not isinstance(node, dict) or str(node.get("type", "manual")) not in BENCHMARKS:
        return []
    name = str(node.get("type", "manual"))
    ours = BENCHMARKS[name].params.__dataclass_fields__
    problems = []
    for key in [key for key in node if key not in ours]:
        entry = jobfile.KEYS.get(f"benchmark.{key}")
        if entry is None:
            continue  # unknown to both: the schema refuses it
        value, path = node.pop(key), f"benchmark.{key}"
        if name in entry.types and value is not None:
            problems.append(Problem("unsupported-key", f"srtctl's {name} has no such setting", path, value,
                                    ", ".join(sorted(ours)), entry.text, source=source(path)))  # fmt: skip
        elif value is not None:
            problems.append(Problem("ignored-key", f"has no effect: {name} does not use it", path, source=source(path),
                                    severity=Severity.WARNING))  # fmt: skip
    return problems


def _tokenizer_in_python(config: Mapping[str, Any], source: Source) -> list[Problem]:
    """Take a tokenizer out that is code of srt-slurm's own client: ours read tokenizers as the hub's library does."""
    key, node = "benchmark.custom_tokenizer", config.get("benchmark")
    named = node.get("custom_tokenizer") if isinstance(node, dict) else None
    if not isinstance(node, dict) or not isinstance(named, str) or not _PYTHON_NAME.fullmatch(named):
        return []
    del node["custom_tokenizer"]
    reason = f"{named} is code of srt-slurm's client; the model's own tokenizer is used"
    return [Problem("ignored-key", f"has no effect: {reason}", key, source=source(key), severity=Severity.WARNING)]


def _defaults_of_the_format(config: dict[str, Any]) -> None:
    """Where leaving a key out means something else there than here."""
    backend, dynamo, profiling = (config.get(name) for name in ("backend", "dynamo", "profiling"))
    if isinstance(backend, dict) and backend.get("type") == "mocker":
        backend.setdefault("engine_type", _MOCKED_ENGINE)
    if isinstance(dynamo, dict) and (dynamo.get("version") or dynamo.get("wheel")):
        dynamo.setdefault("install", f"${{{IN_CONTAINERS}:${{cluster.container_runtime}}}}")
    if isinstance(profiling, dict) and isinstance(profiling.get("extra_nsys_args"), str):
        profiling["extra_nsys_args"] = shlex.split(profiling["extra_nsys_args"])


def _shell_variables(config: dict[str, Any], source: Source) -> list[Problem]:
    """`$HOME/x:/x`: in mounts srt-slurm takes variables from the shell that submits."""
    problems: list[Problem] = []

    def expanded(text: Any, key: str) -> Any:
        if not isinstance(text, str):
            return text

        def one(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in os.environ:
                problems.append(Problem("unset-variable", f"the variable {name} is not set in your shell", key, text,
                                        hint=f"export {name}=…", source=source(key)))  # fmt: skip
            return os.environ.get(name, match[0])

        return _VARIABLE.sub(one, text)

    mounts, more = config.get("container_mounts"), config.get("extra_mount")
    if isinstance(mounts, dict):
        paths = {host: (f"container_mounts.{host}", target) for host, target in mounts.items()}
        config["container_mounts"] = {expanded(h, key): expanded(target, key) for h, (key, target) in paths.items()}
    if isinstance(more, list):
        config["extra_mount"] = [expanded(text, "extra_mount") for text in more]
    return problems


def _mount_placeholders(config: Mapping[str, Any], source: Source) -> list[Problem]:
    """`{log_dir}` and the like: srt-slurm fills them in when the job runs."""
    mounts, more = config.get("container_mounts"), config.get("extra_mount")
    table = mounts if isinstance(mounts, dict) else {}
    texts = [(f"container_mounts.{host}", f"{host}:{target}") for host, target in table.items()]
    texts += [("extra_mount", str(text)) for text in (more if isinstance(more, list) else [])]
    return [
        Problem("unsupported-placeholder", f"{{{name}}} is not filled in", key, text,
                "paths; in containers /logs is the run's logs, /model the model", source=source(key.partition(".")[0]))
        for key, text in texts for name in sorted(RUNTIME) if f"{{{name}}}" in text
    ]  # fmt: skip


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _value_at(config: Mapping[str, Any], path: str) -> Any:
    node: Any = config
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _remove(config: dict[str, Any], path: str) -> None:
    *parents, last = path.split(".")
    node: Any = config
    for part in parents:
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(last, None)


def _move(config: dict[str, Any], old: str, new: str) -> None:
    (old_node, name), (new_node, new_name) = old.split("."), new.split(".")
    if isinstance(config.get(old_node), dict) and name in config[old_node]:
        value = config[old_node].pop(name)
        if isinstance(config.setdefault(new_node, {}), dict):
            config[new_node].setdefault(new_name, value)
