"""What looks like a secret; such a value is never shown and never written."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"(?:^|[_-])(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|APIKEY|KEY)(?:$|[_-])", re.IGNORECASE
)
_HARMLESS_END = re.compile(r"[_-](?:PATH|FILE|DIR|URL|LEN|LENGTH|SIZE|COUNT|LIMIT|IDS?|PER[_-]\w+)$", re.IGNORECASE)
_ACCESS_ID = re.compile(r"ACCESS[_-]KEY[_-]ID$", re.IGNORECASE)
_PLAIN_VALUE = re.compile(r"[+-]?\d{0,9}(?:\.\d+)?|true|false|yes|no|on|off|none|null", re.IGNORECASE)
_KNOWN_FORMS = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\bnvapi-[\w-]{20,}|\bsk-[\w-]{20,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"
    r"|\bglpat-[\w-]{20,}|\bxox[abpr]-[\w-]{10,}|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)

SHORTEST_SECRET = 15
"""No text of a well-known form is shorter."""


def secret_name(name: str) -> bool:
    """True for names such as HF_TOKEN or api-key, false for TOKENIZERS_PARALLELISM or KEY_FILE."""
    if _WORDS.search(name) is None:
        return False
    return _HARMLESS_END.search(name) is None or _ACCESS_ID.search(name) is not None


def secret_value(value: str) -> bool:
    """True for texts that hold a token of a well-known form."""
    return _KNOWN_FORMS.search(value) is not None


def looks_secret(name: str, value: object) -> bool:
    """True when a variable or flag should not be written down."""
    text = str(value)
    if secret_value(text):
        return True
    return secret_name(name) and _PLAIN_VALUE.fullmatch(text) is None
