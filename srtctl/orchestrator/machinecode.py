"""For which architecture a program was made, from its first bytes."""

from __future__ import annotations

# The field e_machine of ELF files -> the name that `uname -m` has for it.
_MACHINES = {62: "x86_64", 183: "aarch64", 21: "ppc64le", 243: "riscv64"}


def machine_of(path: str) -> str:
    """The architecture as `uname -m` calls it; empty for a script, for what can't be read, and for what is unknown."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return ""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return ""
    order = "big" if head[5] == 2 else "little"
    return _MACHINES.get(int.from_bytes(head[18:20], order), "")  # type: ignore[arg-type]
