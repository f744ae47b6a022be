"""Recipe files: `srtctl apply -f recipe.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srtctl.composition.recipes import Recipe
from srtctl.composition.recipes import load as _load

__all__ = ["Recipe", "load"]


def load(path: Path | str, selector: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: The file.
        selector: `base`, `override_NAME`, `zip_override_NAME`, `zip_override_NAME[N]` or a glob, in a file with
            variants; empty for all of them.
        overrides: The command line: groups named there replace what the recipe says about them.

    Raises:
        SrtctlError: Everything that is wrong with the file.
    """
    return _load(Path(path), selector, overrides)
