"""`apply`, `dry-run` and `validate`: srtctl's own flags are taken out, the rest goes to Hydra as it is."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from srtctl.cli.flags import Arguments, parse
from srtctl.errors import ExitCode, Problem, SrtctlError

if TYPE_CHECKING:
    from srtctl.invocation import Invocation

APPLY_HELP = """\
usage: srtctl {verb} [-f RECIPE[:VARIANT] | -f DIRECTORY | -f -]
              [key=value ...] [group=option ...] [-m]

{what}

  -f, --file FILE[:VARIANT]  recipe to start from; without it the job is made of
                             the groups alone. A directory: every *.yaml in it,
                             as one sweep, all or none. -: standard input
  key=value                  any key of the job: benchmark.isl=2048
  group=option               any option of a group: mode=disagg. One that there
                             is not (mode=?) is answered with those there are
  -m, --multirun             sweep over lists, ranges and globs of values:
                             mode=agg,disagg 'benchmark.isl=range(64,257,64)'
  --setup-script SCRIPT      runs before every worker (a path from here, else
                             beside the recipe)
  --tags a,b                 words to find the run by
  --wait                     stay until the results are there, with live
                             progress; Ctrl-C detaches
  -o, --output-dir DIR       where results go; else $SRTCTL_OUTPUT_DIR, the
                             cluster's output_dir, ./outputs
  --resume SWEEP             run what that sweep lacks: as it was (slurm.* and
                             launcher.* may be given anew), or, with a recipe or
                             other overrides, what these points lack
  resume=true                the same for the newest sweep that has any of the
                             points; a new sweep where there is none
  --check-cluster            let Slurm judge each job first (sbatch --test-only)
  --json                     print one JSON document
  --sources                  dry-run: where each value came from
  -v, --verbose              dry-run: every key, and every process with its
                             whole environment

Hydra's flags work too: --cfg job, --info, --resolve, --config-dir DIR,
-sc install=bash (shell completion); see srtctl --hydra-help.

  srtctl {verb} mode=disagg                    a simulated job on this machine
  srtctl {verb} -f recipe.yaml benchmark.isl=2048
  srtctl {verb} mode=agg,disagg benchmark.isl=1024,8192 -m"""

WHAT = {
    "apply": "Compose a job, check it, plan it and start it. Returns at once; see it with\n`srtctl status`.",
    "dry-run": "Everything that `apply` does, except that nothing is started.",
    "validate": "The same as dry-run.",
}


def main(verb: str, argv: list[str]) -> int:
    """Carry out `verb` (apply, dry-run or validate)."""
    arguments = parse(argv)
    if arguments.help:
        print(APPLY_HELP.format(verb=verb, what=WHAT[verb]))
        return ExitCode.OK
    if "query=bash" in arguments.hydra and not _completes():
        return ExitCode.OK
    from srtctl.invocation import Invocation, current

    invocation = Invocation(
        verb="apply" if verb == "apply" else "dry-run",
        argv=(verb, *argv),
        output_dir=Path(arguments.output_dir) if arguments.output_dir else None,
        as_json=arguments.as_json,
        show_sources=arguments.show_sources,
        verbose=arguments.verbose,
        resume_latest=arguments.resume_latest,
        check_cluster=arguments.check_cluster,
    )
    if arguments.resume is not None:
        invocation = replace(invocation, resume=_sweep_named(arguments))
    token = current.set(invocation)
    try:
        return _frozen(arguments, invocation) if _is_frozen(arguments) else _composed(arguments, invocation)
    finally:
        current.reset(token)


def _completes() -> bool:
    from srtctl.cli import VERBS, completion

    return completion.line_for_hydra(os.environ, VERBS, [verb for verb, module in VERBS.items() if module == "apply"])


def _composed(arguments: Arguments, invocation: Invocation) -> int:
    """Compose the command line's points and hand them over."""
    from srtctl import compose
    from srtctl import recipe as recipes
    from srtctl.invocation import current

    launcher = None if invocation.verb == "apply" else "srtctl_preview"
    words = arguments.hydra + own_overrides(arguments)
    if arguments.file is None:
        return int(compose.run(words, None, launcher) or ExitCode.OK)
    named = recipes.named(arguments.file, overrides=arguments.hydra)
    current.set(
        replace(
            invocation,
            recipe=named.path,
            recipe_files=tuple(recipe.path for recipe in named.recipes) if named.is_directory else (),
            recipe_text=named.text,
            selector=named.selector,
        )
    )
    if named.is_directory:
        return int(compose.run_directory(words, named.path, named.recipes, preview=launcher is not None))
    return int(compose.run(words, named.recipes[0], launcher) or ExitCode.OK)


def _is_frozen(arguments: Arguments) -> bool:
    """A sweep is resumed, and nothing is said about its points."""
    if arguments.resume is None or arguments.file is not None or arguments.setup_script is not None:
        return False
    from srtctl.composition.frozen import only_settings

    return only_settings(arguments.hydra)


def _frozen(arguments: Arguments, invocation: Invocation) -> int:
    """Hand over the points of the sweep that is resumed, as they were."""
    from hydra_plugins.srtctl_launchers.launcher import of_executor
    from srtctl.composition.frozen import frozen_points
    from srtctl.invocation import current, exit_code
    from srtctl.rundir import SweepDir

    assert invocation.resume is not None
    current.set(replace(invocation, frozen=True))
    points = frozen_points(SweepDir(invocation.resume), arguments.hydra + own_overrides(arguments))
    executor = str(points[0].config["cluster"]["executor"])
    of_executor(executor, preview=invocation.verb != "apply").launch_points(points)
    return exit_code.get()


def _sweep_named(arguments: Arguments) -> Path:
    from srtctl.results.select import select_sweep
    from srtctl.rundir import output_directory

    return select_sweep(arguments.resume, output_directory(arguments.output_dir)).path.absolute()


def own_overrides(arguments: Arguments) -> list[str]:
    """What srtctl's flags mean for the job, written as overrides so that they are composed like any other."""
    overrides = []
    if arguments.setup_script is not None:
        overrides.append(f"setup_script={quote(str(find_setup_script(arguments)))}")
    if arguments.tags is not None:
        words = [quote(tag.strip()) for tag in arguments.tags.split(",") if tag.strip()]
        overrides.append(f"tags=[{','.join(words)}]")
    if arguments.wait:
        overrides.append("launcher.wait=true")
    return overrides


def find_setup_script(arguments: Arguments) -> Path:
    """The script named on the command line: from the current directory, else beside the recipe."""
    named = Path(str(arguments.setup_script))
    places = [named]
    if arguments.file is not None and not named.is_absolute():
        from srtctl.recipe import split_selector

        path = split_selector(arguments.file)[0]
        places.append((path if path.is_dir() else path.parent) / named)
    for place in places:
        if place.is_file():
            return place.absolute()
    looked = " and ".join(str(place.absolute()) for place in places)
    raise SrtctlError(
        Problem(
            "setup-script",
            "there is no such file",
            key="--setup-script",
            value=str(named),
            allowed="a script that can be read",
            hint=f"looked for {looked}",
            source="command line",
        )
    )


def quote(text: str) -> str:
    """`text` as a quoted value in Hydra's override grammar, where a backslash is special only before a quote."""
    escaped = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{escaped}'"
