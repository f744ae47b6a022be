"""Composition without the settings of whoever runs the tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SRTCTL_CLUSTER", "SRTCTL_CONF"):
        monkeypatch.delenv(name, raising=False)
