"""The command that is being carried out, for those who can't be given it as an argument.

Hydra stands between the command line and the launcher and hands nothing through, so the command line leaves the
invocation here and the launcher picks it up.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Invocation:
    """One srtctl command.

    Attributes:
        verb: `apply` or `dry-run` (`validate` is the same).
        argv: What the user typed after `srtctl`.
        recipe: The file or directory given with -f; `-` for standard input.
        recipe_files: Where `recipe` is a directory: the recipes in it.
        recipe_text: What came from standard input.
        selector: The part after a colon in `-f FILE:selector`.
        output_dir: The value of -o.
        as_json: Print one JSON document instead of text.
        show_sources: Show where each value came from.
        verbose: Show every process with its whole environment.
        resume: Directory of the sweep to run what is missing of.
        resume_latest: The same for the newest sweep that has any of the points; a new one where there is none.
        frozen: The points are those of the sweep that is resumed, as they were.
        check_cluster: Let Slurm judge the jobs before anything is submitted.
    """

    verb: str = "apply"
    argv: tuple[str, ...] = ()
    recipe: Path | None = None
    recipe_files: tuple[Path, ...] = ()
    recipe_text: str | None = None
    selector: str = ""
    output_dir: Path | None = None
    as_json: bool = False
    show_sources: bool = False
    verbose: bool = False
    resume: Path | None = None
    resume_latest: bool = False
    frozen: bool = False
    check_cluster: bool = False


current: ContextVar[Invocation] = ContextVar("srtctl_invocation", default=Invocation())


# What the launcher has to say about the whole command; Hydra's multirun returns nothing to its caller.
exit_code: ContextVar[int] = ContextVar("srtctl_exit_code", default=0)
