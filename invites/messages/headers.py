"""Header fields of a message (RFC 5322, RFC 2047), as bytes that hold whatever they are given.

Values are cleaned before they are encoded, so that no value can end a line, open an encoded word
that it did not mean, or name a further recipient.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from invites.errors import MessageFaultError
from invites.messages.content_lines import one_line
from invites.text import BLANKS

LINE_AT_MOST = 76
"""Characters of a header line that holds an encoded word (RFC 2047 2)."""

_FRAME = len("=?utf-8?B??=")

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_SEVERAL_BLANKS = re.compile(f"[{BLANKS}]{{2,}}")
_SPECIAL_IN_QUOTED = re.compile(r'(["\\])')


def unstructured(name: str, text: str) -> bytes:
    """Return a header field of free text, such as Subject, folded, with its CRLF.

    Blanks at the ends of `text` go.
    """
    text = one_line(text).strip(" ")
    if _is_plain(text) and len(name) + 2 + len(text) <= LINE_AT_MOST:
        return f"{name}: {text}\r\n".encode("ascii")
    return _with_words(name, text)


def mailbox_field(name: str, display_name: str, mailbox: str) -> bytes:
    """Return a header field with the one mailbox `display_name <mailbox>`, with its CRLF.

    `mailbox` is ASCII with its domain as A-labels; an empty display name is left out, and several
    blanks of one, of whatever kind, become one.  Raises MessageFaultError for a mailbox that is not one alone.
    """
    if _MAILBOX.fullmatch(mailbox) is None:
        raise MessageFaultError(
            "mailbox", name, found="an address of another form", expected="one local@domain, ASCII"
        )
    phrase = one_line(display_name).strip(BLANKS)
    # Parsers fold blanks between atoms: written as one, the name reads back as it was meant.
    phrase = _SEVERAL_BLANKS.sub(lambda run: " " if " " in run[0] else run[0][0], phrase)
    address = f"<{mailbox}>"
    if not phrase:
        return f"{name}: {address}\r\n".encode("ascii")
    if not _is_plain(phrase) or len(phrase) > LINE_AT_MOST - len(name) - 4:
        return _with_words(name, phrase)[:-2] + f"\r\n {address}\r\n".encode("ascii")
    # What opens an encoded word never stands quoted: some decode it there (CVE-2024-6923).
    if _ATOMS.fullmatch(phrase) is None:
        phrase = '"' + _SPECIAL_IN_QUOTED.sub(r"\\\1", phrase) + '"'
    gap = " " if len(name) + len(phrase) + len(address) + 3 <= LINE_AT_MOST else "\r\n "
    return f"{name}: {phrase}{gap}{address}\r\n".encode("ascii")


@lru_cache
def date_field(instant: datetime) -> bytes:
    """Return Date (RFC 5322 3.6.1) for an aware instant in UTC."""
    return f"Date: {format_datetime(instant)}\r\n".encode("ascii")


def _is_plain(text: str) -> bool:
    """Whether `text` can stand in a header as it is: printable ASCII that opens no encoded word."""
    return text.isascii() and text.isprintable() and "=?" not in text


def _with_words(name: str, text: str) -> bytes:
    """Return a header field whose text stands in encoded words, a line each (RFC 2047 5)."""
    words = [b"=?utf-8?B?" + b64encode(piece) + b"?=" for piece in _pieces(text, len(name) + 2)]
    return name.encode("ascii") + b": " + b"\r\n ".join(words) + b"\r\n"


def _pieces(text: str, taken: int) -> list[bytes]:
    """Cut UTF-8 into pieces for one encoded word each, never inside a character or at a blank.

    `taken` characters of the first line are the field's name; of each further one, one is a blank.
    """
    content = text.encode()
    pieces = []
    room = _bytes_in_word(taken)
    while len(content) > room:
        piece = _piece(content, room)
        pieces.append(piece)
        content = content[len(piece) :]
        room = _bytes_in_word(1)
    pieces.append(content)
    return pieces


def _piece(content: bytes, room: int) -> bytes:
    """Return the beginning of `content` that fits; CPython's parser drops blanks at a word's ends."""
    cut = room
    while content[cut] & 0xC0 == 0x80:
        cut -= 1
    text = content[: cut + 4].decode(errors="ignore")
    whole = end = len(content[:cut].decode())
    while end > 1 and (text[end - 1].isspace() or text[end].isspace()):
        end -= 1
    # Nothing but blanks: there is no better place.
    return text[: end if end > 1 else whole].encode()


def _bytes_in_word(taken: int) -> int:
    """Return how many bytes fit into an encoded word on a line that has `taken` characters."""
    return (LINE_AT_MOST - taken - _FRAME) // 4 * 3
