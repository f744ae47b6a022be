"""The flags of `apply`, `dry-run` and `validate`: which are srtctl's, which are Hydra's; and what is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from srtctl.errors import Problem, SrtctlError, suggestion

SWITCHES = {
    "--json": "as_json",
    "--sources": "show_sources",
    "-v": "verbose",
    "--verbose": "verbose",
    "--wait": "wait",
    "--check-cluster": "check_cluster",
    "resume=true": "resume_latest",
}
VALUES = {
    "-f": "file",
    "--file": "file",
    "--setup-script": "setup_script",
    "--tags": "tags",
    "-o": "output_dir",
    "--output-dir": "output_dir",
    "--output": "output_dir",
    "--resume": "resume",
}
# Hydra's own flags (1.3 and 1.4); the second set takes the next word as its value
HYDRA_SWITCHES = {
    "-m",
    "--multirun",
    "-r",
    "--run",
    "--hydra-help",
    "--version",
    "-sc",
    "--shell-completion",
    "--resolve",
}
HYDRA_VALUES = {
    "-c",
    "--cfg",
    "-p",
    "--package",
    "-cp",
    "--config-path",
    "-cn",
    "--config-name",
    "-cd",
    "--config-dir",
    "-i",
    "--info",
}


@dataclass
class Arguments:
    """The command line of apply or dry-run, taken apart."""

    file: str | None = None
    setup_script: str | None = None
    tags: str | None = None
    output_dir: str | None = None
    as_json: bool = False
    show_sources: bool = False
    verbose: bool = False
    wait: bool = False
    check_cluster: bool = False
    resume: str | None = None
    resume_latest: bool = False
    help: bool = False
    hydra: list[str] = field(default_factory=list)


def parse(argv: list[str]) -> Arguments:
    """Take srtctl's flags out of `argv`; everything else stays, in order, for Hydra.

    Raises:
        SrtctlError: A flag lacks its value, or is none of ours and none of Hydra's.
    """
    found = Arguments()
    problems: list[Problem] = []
    words = iter(argv)
    for word in words:
        flag, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            found.help = True
        elif word == "resume=false":
            found.resume_latest = False
        elif word in SWITCHES:
            setattr(found, SWITCHES[word], True)
        elif flag in VALUES and flag.startswith("-"):
            taken = value if equals else next(words, None)
            if taken is None or taken == "":
                value_name = "SWEEP" if flag == "--resume" else VALUES[flag].upper()
                problems.append(Problem("flag", f"{flag} needs a value", hint=f"{flag} {value_name}"))
            else:
                setattr(found, VALUES[flag], taken)
        elif word.startswith("-") and not _is_hydra_flag(flag):
            problems.append(_unknown_flag(word))
        else:
            found.hydra.append(word)
            if word in HYDRA_VALUES and (follow := next(words, None)) is not None:
                found.hydra.append(follow)
    if problems:
        raise SrtctlError(problems)
    return found


def _is_hydra_flag(flag: str) -> bool:
    return flag in HYDRA_SWITCHES or flag in HYDRA_VALUES or flag.startswith("--experimental")


def _unknown_flag(word: str) -> Problem:
    known = [*SWITCHES, *VALUES, *HYDRA_SWITCHES, *HYDRA_VALUES]
    hint = suggestion(word.partition("=")[0], known) or "`srtctl apply --help` lists the flags"
    return Problem("flag", f"unknown flag {word}", hint=hint, source="command line")
