"""A few rounds on this machine; `python -m tests.chaos` plays hundreds."""

from __future__ import annotations

import pytest

from tests.chaos.rounds import Here, play
from tests.system.conftest import User, user  # noqa: F401 - a fixture


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_nothing_is_lost_or_left(user: User, seed: int) -> None:  # noqa: F811 - the fixture above
    assert play(user, Here(user), seed).wrong == []
