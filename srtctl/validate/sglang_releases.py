"""SGLang's flags against the table of the job's release: what its argument parser would refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from srtctl.backends.dynamo_sglang import belongs_to_dynamo
from srtctl.backends.flags import canonical
from srtctl.backends.sglang_flags import Choice, choose, container_release
from srtctl.backends.sglang_older import taken
from srtctl.backends.sglang_releases import SHORT, Flag, flag_history, order, releases
from srtctl.backends.sglang_translate import Replacement, replacement, rewritten
from srtctl.errors import Problem, Severity, suggestion
from srtctl.validate.context import Context, Rule
from srtctl.validate.flags import FLAG_NAME
from srtctl.validate.flagvalues import allowed_values, wrong_value


def release_known(context: Context) -> Iterator[Problem]:
    """The tables are those of the release that runs, or nearly so."""
    choice, tag = choose(context.job), container_release(context.job)
    version, container = context.job.backend.version, context.job.model.container
    if not choice.exact:
        text = f"srtctl has no table of this release; flags are checked against {choice.release.version}"
        hint = f"tables: {releases()[0]} to {releases()[-1]}"
        yield Problem("engine-release", text, choice.key, choice.wanted, hint=hint, severity=Severity.WARNING)
    if version and tag and order(version) != order(tag):
        text = f"backend.version says {version}, the container's name {tag}"
        yield Problem("engine-release", text, "model.container", container, severity=Severity.WARNING)
    if not choice.sure:
        text = f"its name tells no release of SGLang; flags are checked against the newest, {choice.release.version}"
        hint = "say backend.version"
        yield Problem("engine-release", text, "model.container", container, hint=hint, severity=Severity.NOTE)


def engine_flags(context: Context) -> Iterator[Problem]:
    """Every flag is one that the release takes, with a value that it takes."""
    choice = choose(context.job)
    translate = context.job.backend.flags == "translate"
    for owner, where, flags in context.flag_maps:
        if owner != "common" and owner not in context.workers:
            continue
        for written, value in flags.items():
            if FLAG_NAME.fullmatch(written) is None:
                continue  # said by the rules of every backend
            if belongs_to_dynamo(canonical(written)):
                continue  # said by the backend where the launcher hasn't it
            yield from _flag(choice, f"{where}.{written}", written, value, flags, translate)


def _flag(
    choice: Choice, key: str, written: str, value: Any, others: Mapping[str, Any], translate: bool
) -> Iterator[Problem]:
    release, name = choice.release, choice.release.canonical(written)
    if name.startswith("no-") and release.is_toggle(name[3:]):
        if not isinstance(value, bool):
            yield Problem("flag-value", "a switch takes no value", key, value, "true, false or null")
        return
    spelled = {release.canonical(other): its for other, its in others.items()}
    new = rewritten(name, value, spelled, release) if translate else None
    if new is not None:
        yield _translated(choice, key, name, value, new)
        for target, its in new.items():
            yield from _value(release.flags[target], key, its)
        return
    if not taken(release, name):
        yield _not_taken(choice, key, name, value)
        return
    flag = release.flags[name]
    plain = canonical(written)
    if plain not in release.spellings and plain not in SHORT:
        text = f"short for {name}, which is what the command line will say"
        yield Problem("flag-abbreviated", text, key, value, severity=Severity.NOTE)
    if flag.deprecated is not None and value not in (None, False):
        hint = f"use {flag.deprecated}" if flag.deprecated else ""
        text = f"deprecated in SGLang {release.version}, which still takes it"
        yield Problem("deprecated-flag", text, key, value, hint=hint, severity=Severity.WARNING)
    yield from _value(flag, key, value)


def _translated(choice: Choice, key: str, name: str, value: Any, new: Mapping[str, Any]) -> Problem:
    release = choice.release
    if new:
        words = " ".join(_words(flag, its) for flag, its in new.items())
    else:
        found = replacement(name, release, value)
        words = "nothing" + (f" ({found.why})" if found and found.why else "")
    text = f"translated for SGLang {release.version}: {words}"
    return Problem("translated-flag", text, key, value, severity=Severity.WARNING)


def _words(flag: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"--{flag} " + " ".join(str(item) for item in value)
    return f"--{flag}" if value is True else f"--{flag} {value}"


def _not_taken(choice: Choice, key: str, name: str, value: Any) -> Problem:
    """A flag that the release has no use for: what it should be called, and what to do."""
    release = choice.release
    instead = replacement(name, release, value)
    hint = _hint(instead, name, choice)
    flag = release.flags.get(name)
    if flag is not None and flag.kind == "ignored":
        text = f"SGLang {release.version} takes this flag without effect"
        return Problem("ignored-flag", text, key, value, hint=hint, severity=Severity.WARNING)
    known = bool(flag_history(name)) or instead is not None
    severity = Severity.ERROR if choice.sure or not known else Severity.WARNING
    if flag is not None:
        text = f"SGLang {release.version} refuses this flag"
    else:
        text = f"SGLang {release.version} has no such flag{_when(name, release.version)}"
    return Problem("unknown-flag", text, key, value, hint=hint, severity=severity)


def _hint(instead: Replacement | None, name: str, choice: Choice) -> str:
    if instead is None:
        return "" if flag_history(name) else suggestion(name, [*choice.release.flags, *SHORT])
    if instead.near:
        return f"SGLang {choice.release.version} has {instead.near}"
    if not instead.flags:
        return f"leave it out: {instead.why}"
    return f"use {instead}, or let backend.flags=translate do it"


def _when(name: str, version: str) -> str:
    """`; it was removed in 0.5.20` or `; it came with 0.5.22`, as far as the tables reach."""
    history = flag_history(name)
    past = [since for since, spec in history.items() if spec is None and order(since) <= order(version)]
    if past:
        return f"; it was removed in {past[-1]}"
    coming = [since for since, spec in history.items() if spec is not None and order(since) > order(version)]
    return f"; it came with {coming[0]}" if coming else ""


def _value(flag: Flag, key: str, value: Any) -> Iterator[Problem]:
    """What the release's parser says about a value; null and false leave a flag out."""
    found = wrong_value(flag, value)
    if found is not None:
        yield Problem("flag-value", found.message, key, found.value, allowed_values(flag), found.hint)


RULES: tuple[Rule, ...] = (release_known, engine_flags)
