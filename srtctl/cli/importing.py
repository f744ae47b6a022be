"""`srtctl import`: job files of srt-slurm as groups and short recipes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from srtctl.errors import ExitCode, Problem, SrtctlError, format_problems

if TYPE_CHECKING:
    from srtctl.composition.importing import Importer

EPILOG = """\
What is served becomes an option of the group `model`, workers with their flags
and variables one of `mode`, random prompts at a ladder of concurrencies one of
`benchmark`; options that are there with the same content are used again. A
file with `sweep:` becomes one recipe with it; a file with variants one recipe
for each. Each recipe that is made has been composed beside its original: the
same points with the same values, or nothing is written.

  srtctl import h200.yaml                 imported/h200.yaml and imported/conf/…
  srtctl import recipes/ -o ours          every *.yaml below the directory
  srtctl import gb200.yaml:override_small one variant; globs too
  srtctl apply -f imported/h200.yaml      finds the options in `conf` beside it"""


def main(argv: list[str]) -> int:
    """Carry out `srtctl import`; returns the exit code.

    Raises:
        SrtctlError: A file is no plain recipe or has what srtctl refuses; or a file would be overwritten.
    """
    from srtctl.composition.importing import Importer

    options = _parser().parse_args(argv)
    importer = Importer(Path(options.output_dir))
    try:
        _add_all(importer, options.file)
        written = list(importer.files) if options.dry_run else importer.write()
    finally:
        importer.close()
    if options.json:
        print(json.dumps(_document(importer, written, dry_run=options.dry_run), indent=2))
    else:
        _show(importer, written, dry_run=options.dry_run)
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="srtctl import",
        description="Turn job files of srt-slurm into groups and short recipes, with equal plans.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="+", metavar="FILE[:VARIANT]", help="a job file, or a directory of them")
    parser.add_argument(
        "-o", "--output-dir", default="imported", metavar="DIR", help="where files are made (default: imported)"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the files and write nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser


def _add_all(importer: Importer, named: list[str]) -> None:
    """Make the recipes of every file; all that is wrong with any of them is said together."""
    from srtctl.recipe import recipes_in, split_selector

    problems: list[Problem] = []
    for text in named:
        path, selector = split_selector(text)
        for file in recipes_in(path) if path.is_dir() else [path]:
            try:
                importer.add(file, selector)
            except SrtctlError as error:
                problems += error.problems
    if problems:
        raise SrtctlError(problems)


def _document(importer: Importer, written: list[Path], *, dry_run: bool) -> dict[str, object]:
    from srtctl.sweep import problem_record

    return {
        "dry_run": dry_run,
        "output_dir": str(importer.out),
        "written": [str(importer.out / path) for path in written],
        "unchanged": [str(importer.out / path) for path in importer.files if path not in written],
        "recipes": [
            {
                "source": made.source,
                "recipe": str(importer.out / made.recipe),
                "points": made.points,
                "options": dict(made.options),
                "warnings": [problem_record(problem) for problem in made.warnings],
            }
            for made in importer.done
        ],
    }


def _show(importer: Importer, written: list[Path], *, dry_run: bool) -> None:
    warnings = list(dict.fromkeys(problem for made in importer.done for problem in made.warnings))
    if warnings:
        print(format_problems(warnings), file=sys.stderr)
    for path in importer.files:
        if dry_run:
            print(f"--- {importer.out / path}\n{importer.files[path]}")
        else:
            print(f"{'wrote    ' if path in written else 'unchanged'} {importer.out / path}")
    for made in importer.done:
        chosen = " ".join(f"{group}={option}" for group, option in made.options.items())
        count = "1 point" if made.points == 1 else f"{made.points} points"
        print(f"{made.source} -> {importer.out / made.recipe}: {count}, the same as before; {chosen}")
    if dry_run:
        print("nothing was written")
    else:
        print(f"start one with: srtctl apply -f {importer.out / importer.done[0].recipe}")
