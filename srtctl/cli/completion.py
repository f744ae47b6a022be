"""What the shell may complete: verbs here; groups, options and keys by Hydra, which sees only what it understands."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from srtctl.cli.flags import HYDRA_SWITCHES, HYDRA_VALUES, SWITCHES, VALUES

_FLAGS = {flag for table in (SWITCHES, VALUES, HYDRA_SWITCHES, HYDRA_VALUES) for flag in table if flag.startswith("-")}


def line_for_hydra(environ: MutableMapping[str, str], verbs: Iterable[str], composing: Iterable[str]) -> bool:
    """Rewrite COMP_LINE to program, overrides and the word that is being typed; print verbs and flags where they stand.

    Hydra parses the line with its own parser, which complains about our verbs and flags in the middle of the prompt.

    Args:
        environ: The environment in which Hydra will look for COMP_LINE.
        verbs: All commands.
        composing: Those that take overrides.

    Returns:
        False when there is nothing for Hydra to complete; the shell then offers files.
    """
    program, *words = environ.get("COMP_LINE", "").split(" ")
    *before, typed = words or [""]
    if not before and "=" not in typed:
        print(" ".join(verb for verb in verbs if verb.startswith(typed)))
    if before and before[0] in verbs:
        if before[0] not in composing:
            return False
        before = before[1:]
    if typed.startswith("-"):
        print(" ".join(flag for flag in sorted(_FLAGS) if flag.startswith(typed)))
        return False
    if before and before[-1] in VALUES.keys() | HYDRA_VALUES:
        return False
    overrides = [word for word in before if "=" in word and not word.startswith("-")]
    line = " ".join([program, *overrides, typed])
    environ.update(COMP_LINE=line, COMP_POINT=str(len(line)))
    return True
