"""Plain recipes as options of groups and short recipes that compose to the same jobs.

Equality is not hoped for: each made recipe is composed beside its original before anything is written.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srtctl.composition import reading, variants, yamlfile
from srtctl.composition.plain import BASE, GROUP_ORDER, escape_texts
from srtctl.composition.registration import conf_directory, register, user_directories
from srtctl.composition.splitting import option_name, parameters_of, quoted_placeholders, split
from srtctl.composition.variants import Variant
from srtctl.composition.yamlfile import Document
from srtctl.errors import ExitCode, Problem, Severity, SrtctlError, errors_of
from srtctl.yamltext import dump_sections

OPTIONS = "conf"  # beside the recipes: searched for whatever recipe lies there
_GLOBAL = "# @package _global_\n"


@dataclass(frozen=True)
class Imported:
    """One recipe that was made.

    Attributes:
        source: What it was made from: `FILE`, or `FILE:VARIANT`.
        recipe: Its path below the output directory.
        points: How many points it has.
        options: Group -> the option that it chooses.
        warnings: What of the original has no effect.
    """

    source: str
    recipe: Path
    points: int
    options: Mapping[str, str]
    warnings: tuple[Problem, ...]


class Importer:
    """Makes files, keeps them in memory until all are known to be right, then writes them.

    Attributes:
        out: The output directory.
        files: Path below it -> text, for every file that is new.
        done: The recipes made.
    """

    def __init__(self, out: Path):
        register()
        self.out = out
        self.files: dict[Path, str] = {}
        self.done: list[Imported] = []
        self._staging = tempfile.TemporaryDirectory()
        self._stage = Path(self._staging.name)
        if (out / OPTIONS).is_dir():
            shutil.copytree(out / OPTIONS, self._stage / OPTIONS)

    def close(self) -> None:
        """Remove what was kept aside."""
        self._staging.cleanup()

    def add(self, path: Path, selector: str = "") -> None:
        """Make the recipes of one file: one, or one for each variant.

        Raises:
            SrtctlError: It is no plain recipe, has keys that srtctl refuses, or what was made of it is another job.
        """
        document = yamlfile.read(path)
        yamlfile.require_mapping(document)
        problems: list[Problem] = []
        for variant in variants.select(document, selector):
            try:
                self._add(document, variant)
            except SrtctlError as error:
                problems += error.problems
        if problems:
            raise SrtctlError(yamlfile.distinct(problems))

    def write(self) -> list[Path]:
        """Write all files; returns those that are new.

        Raises:
            SrtctlError: One is there with another content, or the directory can't be written.
        """
        new = [path for path, text in self.files.items() if not _same(self.out / path, text)]
        there = [path for path in new if (self.out / path).exists()]
        if there:
            hint = "name another directory with -o DIR, or remove the file"
            raise SrtctlError([Problem("exists", "is there already, with another content",
                                       value=str(self.out / path), hint=hint) for path in there])  # fmt: skip
        try:
            for path in new:
                (self.out / path).parent.mkdir(parents=True, exist_ok=True)
                (self.out / path).write_text(self.files[path], encoding="utf-8")
        except OSError as error:
            message = f"can't be written: {error.strerror or error}"
            raise SrtctlError(
                Problem("output-directory", message, "-o", str(self.out)), ExitCode.UNAVAILABLE
            ) from error
        return new

    def _add(self, document: Document, variant: Variant) -> None:
        path = document.path
        config = copy.deepcopy(variant.config)
        _refuse_ours(config, path)

        def source(key: str) -> str:
            return Document(path, None, dict(variant.lines)).source(key)

        sweep = config.pop("sweep", None)
        found = reading.read(config, source)
        reading.find_script(config, path)
        if errors_of(found):
            raise SrtctlError(found)
        parameters = parameters_of(sweep)
        config = {key: quoted_placeholders(escape_texts(value), parameters) for key, value in config.items()}
        config["model"] = _absolute(config.get("model"), path)
        suffix = option_name(variant.name) if variant.name not in ("", "base") else ""
        name = "_".join(part for part in (option_name(path.stem), suffix) if part)
        parts = split(config, name, parameters)
        origin = f"{path}:{variant.name}" if variant.name else str(path)
        options = {group: self._option(group, *parts.options[group], origin) for group in parts.options}
        body = {**parts.body, **({} if sweep is None else {"sweep": sweep})}
        recipe = self._recipe(name, options, body, origin)
        self._copy_script(config.get("setup_script"), path)
        points = self._proven(path, variant.name, recipe)
        warnings = tuple(problem for problem in found if problem.severity is Severity.WARNING)
        self.done.append(Imported(origin, recipe, points, options, warnings))

    def _option(self, group: str, name: str, content: Mapping[str, Any], origin: str) -> str:
        """The option with this content: one that is there under any name, else a new one."""
        directories = [
            conf_directory() / group,
            *(d / group for d in user_directories()),
            self._stage / OPTIONS / group,
        ]
        taken: dict[str, Any] = {}
        for file in (file for directory in directories for file in sorted(directory.glob("*.yaml"))):
            taken[file.stem] = yamlfile.read(file).data
        equal = [option for option, there in taken.items() if there == content]
        if equal:
            return equal[-1]
        number = 1
        chosen = name
        while chosen in taken:
            number += 1
            chosen = f"{name}-{number}"
        head = (_GLOBAL if group == "mode" else "") + f"# Imported from {origin}.\n"
        self._keep(Path(OPTIONS) / group / f"{chosen}.yaml", head + dump_sections(content))
        return chosen

    def _recipe(self, name: str, options: Mapping[str, str], body: Mapping[str, Any], origin: str) -> Path:
        chosen = [{group: options[group]} for group in GROUP_ORDER if group in options]
        first = {key: body[key] for key in ("name",) if key in body}
        content = {"defaults": [BASE, *chosen, "_self_"], **first, **{k: v for k, v in body.items() if k not in first}}
        path = Path(f"{name}.yaml")
        number = 1
        while path in self.files:
            number += 1
            path = Path(f"{name}-{number}.yaml")
        self._keep(path, f"# Imported from {origin}.\n" + dump_sections(content))
        return path

    def _copy_script(self, named: Any, path: Path) -> None:
        """A setup script lies beside its recipe."""
        if isinstance(named, str) and not Path(named).is_absolute() and (path.parent / named).is_file():
            self._keep(Path(named), (path.parent / named).read_text(encoding="utf-8"))

    def _keep(self, path: Path, text: str) -> None:
        self.files[path] = text
        (self._stage / path).parent.mkdir(parents=True, exist_ok=True)
        (self._stage / path).write_text(text, encoding="utf-8")

    def _proven(self, path: Path, variant: str, recipe: Path) -> int:
        """How many points the made recipe has, all of them those of the original."""
        from srtctl import compose
        from srtctl.composition.recipes import load

        before = [_comparable(point.config, path) for point in compose.points([], load(path, variant))]
        after = [_comparable(point.config, path) for point in compose.points([], load(self._stage / recipe))]
        if before != after:
            message = f"what was made of it is another job ({_difference(before, after)}); nothing was written"
            raise SrtctlError(Problem("import", message, source=str(path), hint="this is a fault of srtctl: report it"))
        return len(after)


def _refuse_ours(config: Mapping[str, Any], path: Path) -> None:
    if "defaults" in config or "srtctl" in config:
        what = "has a defaults list" if "defaults" in config else "is a resolved job"
        raise SrtctlError(Problem("import", f"{what}: it is srtctl's already", source=str(path),
                                  allowed="a plain recipe, or a job file of srt-slurm"))  # fmt: skip


def _absolute(model: Any, path: Path) -> Any:
    """The model with paths that do not depend on where the recipe lies."""
    if not isinstance(model, dict):
        return model
    return {key: _from(path, value) if key in ("path", "tokenizer_path") else value for key, value in model.items()}


def _from(path: Path, value: Any) -> Any:
    relative = isinstance(value, str) and value.startswith(("./", "../"))
    return str((path.absolute().parent / value).resolve()) if relative else value


def _comparable(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    return {**config, "model": _absolute(dict(config["model"]), path)}


def _difference(before: Sequence[Any], after: Sequence[Any]) -> str:
    if len(before) != len(after):
        return f"{len(before)} points, {len(after)} of them made"
    for left, right in zip(before, after, strict=True):
        for key in left:
            if left[key] != right.get(key):
                return str(key)
    return "other keys"


def _same(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except OSError:
        return False
