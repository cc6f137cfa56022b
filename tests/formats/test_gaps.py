"""Shared bytes with gaps become each message's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.formats.gaps import Gap, Gapped

NAMES = ("name", "email", "link")
PIECES = st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(NAMES).map(Gap)), max_size=12)
VALUES = st.fixed_dictionaries({name: st.binary(max_size=200) for name in NAMES})


@given(PIECES, VALUES, VALUES)
def test_each_filling_is_the_pieces_and_its_own_values(
    pieces: list[bytes | Gap], first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    """One attendee's values leave no trace in the next one's body."""
    body = Gapped(pieces)
    for values in (first, second):
        joined = bytearray()
        for piece in pieces:
            joined += values[piece.name] if isinstance(piece, Gap) else piece
        assert body.filled(values) == bytes(joined)


def test_a_gap_without_a_value_is_an_error() -> None:
    """Nobody gets a letter with a hole in it."""
    with pytest.raises(KeyError):
        Gapped([b"Hello ", Gap("name")]).filled({})
