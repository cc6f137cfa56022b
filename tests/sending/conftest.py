"""What the tests of a pass share: a world with settings, a ledger and a clock that is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world import PassWorld


@pytest.fixture
def world(tmp_path: Path) -> PassWorld:
    """Give a world that delivers into a folder."""
    return PassWorld(folder=tmp_path)
