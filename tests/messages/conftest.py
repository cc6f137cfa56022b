"""What the tests of composing share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from invites.errors import MessageFaultError
from tests.factory import Factory
from tests.messages.planting import Alter, meeting, planting


@pytest.fixture
def planted(factory: Factory, tmp_path: Path) -> Callable[..., MessageFaultError]:
    """Give what builds a meeting of two with a fault planted, and returns the error."""

    def planting_it(alter: Alter, *, only: str = "") -> MessageFaultError:
        composer = factory.composer(planting(alter, only=only))
        with pytest.raises(MessageFaultError) as caught:
            factory.build(tmp_path / "out", meeting(factory), composer=composer)
        return caught.value

    return planting_it
