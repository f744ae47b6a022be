"""Values of Slurm's options as a line of a batch script holds them."""

from __future__ import annotations

import json
import re

ALLOWED = 'one line without quotes, backslashes, $ and `; or a JSON object, in which " may stand'

_BARE = re.compile(r"[A-Za-z0-9_.,:/@%+=\[\]&|*~^()!<>-]+")
# Slurm reads quotes and backslashes in these lines; a line break would begin a line of its own.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\"'\\`$]")


def quoted(text: str) -> str | None:
    """The value in such quotes as it needs, so that Slurm reads it as it was written; None where none would do.

    Some sites read a JSON object in `comment`: between single quotes sbatch takes all that isn't one of them.
    """
    if not text:
        return None
    if _UNSAFE.search(text):
        return f"'{text}'" if _is_json_object(text) and not _UNSAFE.search(text.replace('"', "")) else None
    return text if _BARE.fullmatch(text) else f'"{text}"'


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
