"""The accounts and QOSs that a user may name, where Slurm keeps account of users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from srtctl.errors import Problem, SrtctlError, suggestion
from srtctl.slurm.command import run

_FIELDS = {"slurm.account": "accounts", "slurm.qos": "qos"}


@dataclass(frozen=True)
class Choices:
    """What the user may name; nothing where Slurm does not say.

    Attributes:
        accounts: Account -> its QOSs.
        enforced: What Slurm refuses without: `associations`, `qos`, …
    """

    accounts: Mapping[str, frozenset[str]]
    enforced: frozenset[str] = frozenset()

    @property
    def qos(self) -> frozenset[str]:
        """QOSs of all accounts."""
        return frozenset().union(*self.accounts.values())


@cache
def choices() -> Choices:
    """Ask Slurm, once. A cluster that can't be asked has no choices: sbatch then decides alone."""
    try:
        user = run(["id", "-un"]).stdout.strip()
        argv = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=account,qos"]
        rows = [line.split("|") for line in run(argv).stdout.splitlines()]
        settings = run(["scontrol", "show", "config"]).stdout.splitlines() if rows else []
    except SrtctlError:
        return Choices({})
    found: dict[str, frozenset[str]] = {}
    for account, qos in (row for row in rows if len(row) == 2):
        found[account] = found.get(account, frozenset()) | frozenset(word for word in qos.split(",") if word)
    enforced = next((line.partition("=")[2] for line in settings if line.startswith("AccountingStorageEnforce ")), "")
    return Choices(found, frozenset(word.strip() for word in enforced.split(",")))


def account_problems(part: Mapping[str, str | None]) -> Iterator[Problem]:
    """An account or a QOS that Slurm would refuse.

    Args:
        part: The options of one component of a job.
    """
    account, qos = part.get("account"), part.get("qos")
    if not account and not qos:
        return
    known = choices()
    if account and "associations" in known.enforced and account not in known.accounts:
        yield _unknown("account", account, "is no account of yours", known.accounts)
    theirs = known.accounts.get(account, frozenset()) if account else known.qos
    if qos and "qos" in known.enforced and theirs and qos not in theirs:
        yield _unknown("qos", qos, f"is no QOS of {f'account {account}' if account else 'yours'}", theirs)


def with_choices(problem: Problem) -> Problem:
    """A refusal of sbatch's, with the accounts or QOSs that the user has."""
    if problem.key not in _FIELDS or problem.allowed:
        return problem
    return replace(problem, allowed=", ".join(sorted(getattr(choices(), _FIELDS[problem.key]))))


def _unknown(name: str, value: str, what: str, known: Mapping[str, object] | frozenset[str]) -> Problem:
    hint = suggestion(value, known) or "`sacctmgr show assoc user=$USER format=account,qos` lists them"
    return Problem(name, what, f"slurm.{name}", value, ", ".join(sorted(known)), hint)
