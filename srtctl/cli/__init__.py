"""The command line: which verb, then hand over. One module per group of verbs, imported only when asked for."""

from __future__ import annotations

import importlib
import os
import sys

from srtctl.cli.help import HELP, VERSION_TEXT
from srtctl.errors import ExitCode, SrtctlError, format_problems, near_words, wrapped

# verb -> module in this package whose `main(argv) -> int` carries it out
VERBS = {
    "apply": "apply",
    "dry-run": "apply",
    "validate": "apply",
    "status": "status",
    "logs": "logs",
    "cancel": "cancel",
    "results": "results",
    "ssh": "ssh",
    "import": "importing",
    "init": "init",
    "tools": "tools",
}


def main(argv: list[str]) -> int:
    """Carry out one command.

    Args:
        argv: What was typed after `srtctl`. Without a verb it is an `apply`: `srtctl mode=disagg model=…`.

    Returns:
        The exit code; a user's mistake is printed to standard error, never a traceback.
    """
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _help(argv[1:])
    if argv[0] in ("-V", "--version", "version"):
        print(VERSION_TEXT)
        return ExitCode.OK
    verb, rest = (argv[0], argv[1:]) if argv[0] in VERBS else ("apply", argv)
    if verb == "apply" and rest is argv and _looks_like_a_verb(argv[0]):
        return _unknown_verb(argv[0])
    return _run(verb, rest)


def _run(verb: str, rest: list[str]) -> int:
    module = importlib.import_module(f"srtctl.cli.{VERBS[verb]}")
    try:
        code = int(module.main(verb, rest) if VERBS[verb] == "apply" else module.main(rest))
        sys.stdout.flush()  # at the end of the process it would be too late to forgive a reader that has left
        return code
    except SrtctlError as error:
        _say(format_problems(error.problems))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # the reader (`| head`) has left: no message, and nothing more may be flushed to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def _help(topics: list[str]) -> int:
    if topics and topics[0] in VERBS:
        return _run(topics[0], ["--help"])
    if topics:
        return _unknown_verb(topics[0])
    print(HELP)
    return ExitCode.OK


def _looks_like_a_verb(word: str) -> bool:
    """A bare word: no override (`key=value`), no flag."""
    return word.isascii() and word.replace("-", "").isalpha() and not word.startswith("-")


def _unknown_verb(word: str) -> int:
    close = near_words(word, VERBS)
    hint = f"did you mean `srtctl {close[0]}`?" if close else "`srtctl --help` lists the commands"
    allowed = f"{', '.join(VERBS)}, or overrides such as mode=disagg"
    _say(f"error: unknown command `{word}`\n  allowed: {allowed}\n  hint: {hint}")
    return ExitCode.USAGE


def _say(text: str) -> None:
    if sys.stderr.isatty():
        import shutil

        text = wrapped(text, shutil.get_terminal_size().columns)
    print(text, file=sys.stderr)
