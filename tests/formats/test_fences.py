"""Base64 with slots decodes to what was put in, wherever the slots stand."""

from __future__ import annotations

import re
from base64 import b64decode, encodebytes
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.formats.fences import FencedBody, Gap, encoded

NAMES = ("name", "email", "link")
PIECES = st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(NAMES).map(Gap)), max_size=12)
VALUES = st.fixed_dictionaries({name: st.binary(max_size=200) for name in NAMES})


def joined(pieces: list[bytes | Gap], values: dict[str, bytes]) -> bytes:
    """Return what the body is to say."""
    return b"".join(values[piece.name] if isinstance(piece, Gap) else piece for piece in pieces)


@given(PIECES, VALUES)
def test_a_filled_body_decodes_to_the_joined_pieces(
    pieces: list[bytes | Gap], values: dict[str, bytes]
) -> None:
    """Strict base64 of the whole: padding at its end alone, and nothing else in the lines."""
    filled = FencedBody(pieces).filled(values)
    text = filled.replace(b"\r\n", b"")
    assert b64decode(text, validate=True) == joined(pieces, values)
    assert b"=" not in text[:-2]
    assert len(text) % 4 == 0


@given(PIECES, VALUES)
def test_lines_of_a_filled_body_are_short_and_never_empty(
    pieces: list[bytes | Gap], values: dict[str, bytes]
) -> None:
    """RFC 2045 6.8: at most 76 characters; CRLF ends each."""
    filled = FencedBody(pieces).filled(values)
    assert re.fullmatch(rb"(?:[A-Za-z0-9+/=]{1,76}\r\n)*", filled)


@given(PIECES, VALUES, VALUES)
def test_a_body_can_be_filled_again(
    pieces: list[bytes | Gap], first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    """One attendee's values leave no trace in the next one's body."""
    body = FencedBody(pieces)
    body.filled(first)
    assert body.filled(second) == FencedBody(pieces).filled(second)


@given(PIECES, VALUES)
def test_the_mail_parser_decodes_it(pieces: list[bytes | Gap], values: dict[str, bytes]) -> None:
    """As a receiver's program does."""
    part = b"Content-Transfer-Encoding: base64\r\n\r\n" + FencedBody(pieces).filled(values)
    assert message_from_bytes(part).get_payload(decode=True) == joined(pieces, values)


@given(st.binary(max_size=500))
def test_a_content_without_slots_is_encoded_in_full_lines(content: bytes) -> None:
    """As the standard library does, with CRLF."""
    assert encoded(content) == encodebytes(content).replace(b"\n", b"\r\n")


def test_a_slot_without_a_value_is_an_error() -> None:
    """Nobody gets a letter with a hole in it."""
    with pytest.raises(KeyError):
        FencedBody([b"Hello ", Gap("name")]).filled({})
