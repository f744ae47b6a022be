"""The command line as Hydra wants it: overrides first, flags after, and a sweep only where one was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

# Hydra's flags (1.3 and 1.4) that take the next word as their value
_WITH_VALUE = frozenset(
    "-c --cfg -p --package -cp --config-path -cn --config-name -cd --config-dir --experimental-rerun".split()
)
_INFO = frozenset({"-i", "--info"})
_MULTIRUN = frozenset({"-m", "--multirun"})
# Flags that show something instead of running
_INSPECT = frozenset("-c --cfg -i --info --hydra-help -h --help --version -sc --shell-completion".split())


@dataclass(frozen=True)
class Arguments:
    """A command line, taken apart.

    Attributes:
        overrides: `key=value` and `group=option` words, in order.
        flags: Hydra's flags with their values, in order.
        multirun: -m was given.
    """

    overrides: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    multirun: bool = False

    @property
    def inspects(self) -> bool:
        """Hydra is asked to show something, not to run."""
        return any(flag.partition("=")[0] in _INSPECT for flag in self.flags)

    @property
    def completes(self) -> bool:
        """The shell asks for completions, or for the script that installs them."""
        return any(flag in ("-sc", "--shell-completion") for flag in self.flags)

    def values_of(self, *names: str) -> tuple[str, ...]:
        """The values of a flag, in order; `names` are its spellings."""
        found = [after for flag, after in zip(self.flags, self.flags[1:], strict=False) if flag in names]
        found += [flag.partition("=")[2] for flag in self.flags if flag.partition("=")[0] in names and "=" in flag]
        return tuple(found)


def split(argv: Sequence[str]) -> Arguments:
    """Tell overrides from flags.

    -m is taken out: Hydra is always asked for a sweep by an override, because it ignores the launcher otherwise, and
    it refuses -m together with --cfg.
    """
    overrides: list[str] = []
    flags: list[str] = []
    multirun = False
    words = list(argv)
    while words:
        word = words.pop(0)
        if word in _MULTIRUN:
            multirun = True
        elif word in _WITH_VALUE or (word in _INFO and words and _is_bare(words[0])):
            flags += [word, *words[:1]]
            words = words[1:]
        elif word.startswith("-") and not word.startswith("-="):
            flags.append(word)
        else:
            overrides.append(word)
    return Arguments(tuple(overrides), tuple(flags), multirun)


def opened(overrides: Iterable[str], adds_keys: Callable[[str, str], bool]) -> Iterator[str]:
    """`++` before overrides that add keys of the user's own making, such as `environment.NCCL_DEBUG=INFO`.

    Hydra asks for a + where the key is not there yet. A recipe doesn't, and what can be written in a recipe can be
    written on the command line.

    Args:
        overrides: The words.
        adds_keys: Whether a key and its value's text do that.
    """
    for word in overrides:
        key, _, value = word.partition("=")
        marked = not word or word[0] in "+~" or "/" in key or "@" in key or key.startswith(("hydra", "sweep"))
        yield word if marked or not adds_keys(key, value) else f"++{word}"


def _is_bare(word: str) -> bool:
    return not word.startswith("-") and "=" not in word
