"""Texts that end up in scripts, paths and command lines: which characters each of them may have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from srtctl.errors import UNSET, Problem
from srtctl.plan.tokens import TOKEN
from srtctl.schema import JobConfig
from srtctl.validate.context import Context, Rule
from srtctl.validate.fieldplan import plan_of
from srtctl.validate.secrecy import SHORTEST_SECRET, looks_secret, secret_value


@dataclass(frozen=True)
class Charset:
    """A pattern that the whole text must match, in words too."""

    pattern: re.Pattern[str]
    words: str
    longest: int = 200


def _charset(first: str, rest: str, words: str, longest: int = 200) -> Charset:
    return Charset(re.compile(f"[{first}][{rest}]*"), words, longest)


_WORD = _charset(
    "A-Za-z0-9_", "A-Za-z0-9_.+@=-", "letters, digits and _ . + @ = -, beginning with a letter, digit or _"
)
_TITLE = _charset(
    "A-Za-z0-9_", "A-Za-z0-9_.+@=-", "letters, digits and _ . + @ = -, beginning with a letter, digit or _", 100
)
_ID = _charset(
    "A-Za-z0-9_", "A-Za-z0-9_.:/@+-", "letters, digits and _ . : / @ + -, beginning with a letter, digit or _"
)
_LIST = _charset("A-Za-z0-9_", "A-Za-z0-9_.,+@=-", "letters, digits and _ . + @ = -, several joined with commas")
_HOSTS = _charset("A-Za-z0-9", r"A-Za-z0-9_.,\[\]-", "host names and ranges, such as node[01-04],gpu7")
_FEATURES = _charset(r"A-Za-z0-9_(\[", r"A-Za-z0-9_.,:=*&|!()\[\]-", "feature names joined with & | , * ( ) [ ]")
_DEPENDENCY = _charset("a-z0-9", "A-Za-z0-9_:,?+-", "Slurm's form, such as afterok:1234")
_RESOURCE = _charset("A-Za-z0-9", "A-Za-z0-9_.,:=*/()-", "Slurm's form, such as gpu:8")
_MEMORY = Charset(re.compile(r"\d+[KMGTkmgt]?"), "a number with K, M, G or T, or 0 for all of it")
_VERSION = _charset("0-9A-Za-z", "A-Za-z0-9.+_-", "a release, such as 1.6.1")
_MAIL = _charset("A-Za-z0-9_.+-", "A-Za-z0-9_.+@-", "a mail address or user name")
_LINE = Charset(re.compile(r"[^\x00-\x1f\x7f\"'`\\$]+"), "one line without quotes, backslashes, $ and `")
_INTERFACE = _charset("A-Za-z0-9", "A-Za-z0-9_.:@-", "the name of a network interface", 15)

CHARSETS: dict[str, Charset] = {
    "name": _TITLE,
    "tags": _ID,
    "model.name": _ID,
    "model.served_name": _ID,
    "cluster.name": _WORD,
    "cluster.gpu_type": _WORD,
    "cluster.account": _WORD,
    "cluster.partition": _LIST,
    "cluster.network_interface": _INTERFACE,
    "resources.gpu_type": _WORD,
    "slurm.account": _WORD,
    "slurm.partition": _LIST,
    "slurm.qos": _WORD,
    "slurm.reservation": _LIST,
    "slurm.constraint": _FEATURES,
    "slurm.nodelist": _HOSTS,
    "slurm.exclude": _HOSTS,
    "slurm.dependency": _DEPENDENCY,
    "slurm.mem": _MEMORY,
    "slurm.gres": _RESOURCE,
    "slurm.decode.account": _WORD,
    "slurm.decode.partition": _LIST,
    "slurm.decode.qos": _WORD,
    "slurm.decode.reservation": _LIST,
    "slurm.decode.constraint": _FEATURES,
    "slurm.decode.nodelist": _HOSTS,
    "slurm.decode.exclude": _HOSTS,
    "slurm.decode.mem": _MEMORY,
    "slurm.decode.gres": _RESOURCE,
    "slurm.comment": _LINE,
    "slurm.mail_user": _MAIL,
    "slurm.mail_type": Charset(re.compile(r"[A-Z]+(?:_[A-Z0-9]+)*"), "Slurm's words, such as END or FAIL"),
    "dynamo.version": _VERSION,
    "backend.version": _VERSION,
    "launcher.metric": _WORD,
}
"""Dotted key -> what its text (or each text of its list) may be made of."""

_SCRIPTS = re.compile(r"benchmark\.command|(?:cluster\.|backend\.\w+_)?environment\.|(?:frontend|benchmark)\.env\.")
"""Keys whose texts may have several lines: a script, and the values of variables."""

_BY_NAME = "take it out, export it in your shell, and pass its name: pass_environment: [NAME]"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_SCRIPT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def texts(context: Context) -> Iterator[Problem]:
    """Every text of the job, however deep: its own characters, no control characters, none of our own marks."""
    for key, value in _texts_of(context.job, ""):
        charset = CHARSETS.get(key.partition("[")[0])
        if charset is not None and (charset.pattern.fullmatch(value) is None or len(value) > charset.longest):
            yield _refused(key, value, charset)
        elif len(value) >= SHORTEST_SECRET and secret_value(value):
            yield Problem("secret", "holds a secret; everything in a config is written to disk", key, hint=_BY_NAME)
        elif _plain(value):
            continue
        elif (_CONTROL_IN_SCRIPT if _SCRIPTS.match(key) else _CONTROL).search(value):
            yield Problem(
                "text",
                "has a line break or another control character",
                key,
                _shown(key, value),
                "printable characters on one line",
            )
        elif TOKEN.search(value):
            yield Problem(
                "reserved-mark",
                "holds a mark that srtctl replaces when the job starts",
                key,
                _shown(key, value),
                hint="write the text without @…@",
            )


def _plain(value: str) -> bool:
    """True for the texts that need no look: nearly all of them."""
    return value.isprintable() and "@" not in value


def _shown(key: str, value: str) -> object:
    return UNSET if looks_secret(key.rpartition(".")[2], value) else value


def _refused(key: str, value: str, charset: Charset) -> Problem:
    if not value:
        return Problem("text", "must not be empty", key, value, charset.words, "leave the key out, or set it to null")
    if len(value) > charset.longest:
        return Problem("text", f"is longer than {charset.longest} characters", key, value, charset.words)
    wrong = next((c for i, c in enumerate(value) if charset.pattern.fullmatch(value[: i + 1]) is None), "")
    # patterns with an inner structure refuse some prefixes of good texts; then no one character is at fault
    message = (
        f"has the character {wrong!r}, which is not allowed here" if wrong else "does not have the form wanted here"
    )
    return Problem("text", message, key, value, charset.words)


def _texts_of(node: Any, prefix: str) -> Iterator[tuple[str, str]]:
    cls: Any = type(node)
    for name in plan_of(cls):
        value = getattr(node, name)
        if type(value) is str:
            yield prefix + name, value
        elif value is None or type(value) in (int, float, bool):
            continue
        elif hasattr(value, "__dataclass_fields__"):
            yield from _texts_of(value, f"{prefix}{name}.")
        else:
            yield from _texts_in(value, prefix + name)


def _texts_in(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if type(name) is str and not _plain(name):
                yield f"{key} (name)", name
            yield from _texts_in(item, f"{key}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts_in(item, f"{key}[{index}]")


def setup_script(context: Context) -> Iterator[Problem]:
    """The script must be there now, because it is copied with the job."""
    job: JobConfig = context.job
    if job.setup_script is not None and context.facts.setup_script:
        yield Problem(
            "setup-script",
            context.facts.setup_script,
            "setup_script",
            job.setup_script,
            "a readable text file",
            "a path given with --setup-script counts from where you are, one in a recipe from the recipe's directory",
        )


RULES: tuple[Rule, ...] = (texts, setup_script)
