"""What the tests of a pass share: a desk with settings, a ledger and a clock that is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run_desk import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give a desk that delivers into a folder."""
    return Desk(tmp_path)
