"""What the model of a GPU says: how new it is, and which processor stands beside it."""

from __future__ import annotations

import re

BLACKWELL = (10, 0)

# NVIDIA's compute capability: which instructions a GPU has, and so which kernels run on it.
_CAPABILITIES = {
    "v100": (7, 0),
    "t4": (7, 5),
    **dict.fromkeys(("a100", "a800", "a30"), (8, 0)),
    **dict.fromkeys(("a10", "a40", "a6000"), (8, 6)),
    **dict.fromkeys(("l4", "l20", "l40", "l40s"), (8, 9)),
    **dict.fromkeys(("h100", "h200", "h800", "h20", "gh200"), (9, 0)),
    **dict.fromkeys(("b200", "gb200"), (10, 0)),
    **dict.fromkeys(("b300", "gb300"), (10, 3)),
}
# Grace, an Arm processor, is on one board with these.
_ON_GRACE = ("gh200", "gb200", "gb300")
_WORDS = re.compile(r"[a-z]+\d+[a-z]*")


def compute_capability(gpu_type: str | None) -> tuple[int, int] | None:
    """The CUDA compute capability of a GPU, such as (9, 0) for `h200`; None for one that is not known here."""
    return next((_CAPABILITIES[word] for word in _words(gpu_type) if word in _CAPABILITIES), None)


def host_architecture(gpu_type: str | None) -> str | None:
    """The architecture of nodes with this GPU, as `uname -m` calls it; None where the GPU does not tell."""
    return "aarch64" if any(word in _ON_GRACE for word in _words(gpu_type)) else None


def _words(gpu_type: str | None) -> list[str]:
    """`gb200` of `gb200`, `NVIDIA_GB200` and `gb200-nvl72`."""
    return _WORDS.findall((gpu_type or "").lower())
