"""Base64 is what the standard library makes, in the lines of mail."""

from __future__ import annotations

import re
from base64 import encodebytes

from hypothesis import given
from hypothesis import strategies as st

from invites.formats.base64_lines import encoded


@given(st.binary(max_size=500))
def test_a_content_is_encoded_in_full_lines(content: bytes) -> None:
    """As the standard library does, with CRLF."""
    assert encoded(content) == encodebytes(content).replace(b"\n", b"\r\n")


@given(st.binary(max_size=500))
def test_lines_are_short_and_never_empty(content: bytes) -> None:
    """RFC 2045 6.8: at most 76 characters; CRLF ends each."""
    assert re.fullmatch(rb"(?:[A-Za-z0-9+/=]{1,76}\r\n)*", encoded(content))
