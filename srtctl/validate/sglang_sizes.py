"""How a worker of SGLang is parallel, from its flags: the sizes that several rules ask for."""

from __future__ import annotations

from srtctl.backends.sglang_command import data_parallel
from srtctl.backends.sglang_flags import choose
from srtctl.backends.sglang_older import taken
from srtctl.backends.sglang_releases import Release, order
from srtctl.validate.context import Context

# `_A2A_EP_SPANNING_BACKENDS` of 0.5.23: with these, experts are spread over all ranks, whatever ep-size says. `deepep`
# and `mooncake` do so in every release (`_handle_a2a_moe`), the others since they came.
OVER_ALL_RANKS = frozenset(
    """
    ascend_fuseep deepep deepep_v2 flashinfer flashinfer_megamoe megamoe mooncake mori nixl pplx
    """.split()
)


def size(context: Context, role: str, name: str) -> int:
    """A size, 1 where it isn't said or is none."""
    return max(1, context.integer(role, name) or 1)


def replicas_and_ranks(context: Context, role: str) -> tuple[int, int]:
    """Replicas of the model in one worker, and the attention ranks inside one model."""
    return data_parallel({name: flag.value for name, flag in context.flags(role).items()})


def text_of(context: Context, role: str, name: str) -> str | None:
    """A flag's value as text, None where it isn't said."""
    flag = context.flags(role).get(name)
    return None if flag is None or flag.value is None else str(flag.value)


def is_on(context: Context, role: str, name: str) -> bool:
    flag = context.flags(role).get(name)
    return flag is not None and flag.value is True


def release_of(context: Context) -> Release:
    """The release whose table the job is checked against."""
    return choose(context.job).release


def since(context: Context, version: str) -> bool:
    """Whether the job's release is this one or newer."""
    return order(release_of(context).version) >= order(version)


def first_taken(context: Context, *names: str) -> str:
    """The first of these flags that the job's release takes, for a hint."""
    return next((name for name in names if taken(release_of(context), name)), names[0])
