"""Base64 is what the standard library makes, in the lines of mail."""

from __future__ import annotations

import re
from base64 import encodebytes
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.messages.mime import Body, encoded
from invites.templating import Slot

SLOTS = (Slot("attendee.name"), Slot("attendee.email"), Slot("link"))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
PIECES = st.lists(st.one_of(TEXT, st.sampled_from(SLOTS)), max_size=12)
VALUES = st.fixed_dictionaries(dict.fromkeys(SLOTS, TEXT))


@given(st.binary(max_size=500))
def test_a_content_is_encoded_in_full_lines(content: bytes) -> None:
    """As the standard library does, with CRLF."""
    assert encoded(content) == encodebytes(content).replace(b"\n", b"\r\n")


@given(st.binary(max_size=500))
def test_lines_are_short_and_never_empty(content: bytes) -> None:
    """RFC 2045 6.8: at most 76 characters; CRLF ends each."""
    assert re.fullmatch(rb"(?:[A-Za-z0-9+/=]{1,76}\r\n)*", encoded(content))


@given(pieces=PIECES, first=VALUES, second=VALUES)
def test_a_filled_body_is_the_pieces_and_its_own_values_in_base64(
    pieces: list[str | Slot], first: dict[Slot, str], second: dict[Slot, str]
) -> None:
    """As if it were encoded in one go; one attendee's values leave no trace in the next one's."""
    body = Body(tuple(pieces))
    for values in (first, second):
        joined = "".join(values[piece] if isinstance(piece, Slot) else piece for piece in pieces)
        expected = joined.encode().replace(b"\n", b"\r\n")
        filled = body.filled(values)
        assert filled == encoded(expected)
        part = b"Content-Transfer-Encoding: base64\r\n\r\n" + filled
        assert message_from_bytes(part).get_payload(decode=True) == expected


def test_a_slot_without_a_value_is_an_error() -> None:
    """Nobody gets a letter with a hole in it."""
    with pytest.raises(KeyError):
        Body(("Hello ", Slot("name"))).filled({})
