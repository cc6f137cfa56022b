"""Content lines of iCalendar (RFC 5545 3.1): values escaped, parameters quoted, lines folded."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from urllib.parse import quote

FOLD_AT = 75
"""Octets of a line at most, its line end not counted (RFC 5545 3.1)."""


_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")


_SUSPECT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]")


_ESCAPES = (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n"))
"""In this order: the backslashes that the later ones bring are no text."""


_RAW_IN_MAILTO = "!$&'*+/=._~-@"
"""Besides letters and digits: what an address and the path of a URI may have (RFC 3986 3.3)."""


_RAW_MAILBOX = re.compile(rf"[A-Za-z0-9{re.escape(_RAW_IN_MAILTO)}]+")


_TO_QUOTE = re.compile("[:;,=]")  # the last because some readers look for it


_CARET_BEFORE_CODE = re.compile(r"\^(?=[n^'])")


def one_line(text: str) -> str:
    """Return `text` with a space for everything that could end a line or hide as a control."""
    if text.isprintable() or _SUSPECT.search(text) is None:
        return text
    return _UNFIT.sub(" ", _LINE_END.sub(" ", text)).replace("\t", " ")


def text_value(text: str) -> str:
    """Return `text` escaped as a TEXT value (RFC 5545 3.3.11)."""
    if not text.isprintable() and _SUSPECT.search(text) is not None:
        text = _UNFIT.sub(" ", _LINE_END.sub("\n", text))
    for char, escape in _ESCAPES:
        if char in text:
            text = text.replace(char, escape)
    return text


def parameter_value(text: str) -> str:
    """Return `text` as a parameter's value (RFC 5545 3.2), quoted where it has to be.

    A double quote can't stand in one and becomes an apostrophe; a backslash becomes a slash, for
    libical and icalendar take it for an escape of what follows, be it the value's own end.
    A caret is doubled where a reader of RFC 6868 would take it for an escape.
    """
    text = one_line(text).replace('"', "'").replace("\\", "/")
    if "^" in text:
        text = _CARET_BEFORE_CODE.sub("^^", text)
    return f'"{text}"' if _TO_QUOTE.search(text) is not None else text


def mailto(mailbox: str) -> str:
    """Return the `mailto:` URI of one address (RFC 6068 2), raw wherever that is a URI.

    Percent-encoded, Thunderbird, KCalendarCore and Nextcloud do not know their own user.
    """
    return f"mailto:{_encoded(mailbox)}"


def calendar_user(mailbox: str) -> str:
    """Return what ends an ATTENDEE line: the URI, after EMAIL (RFC 7986 6.2) where it is not raw."""
    raw = _encoded(mailbox) == mailbox
    return f"{'' if raw else f';EMAIL={parameter_value(mailbox)}'}:{mailto(mailbox)}"


def _encoded(mailbox: str) -> str:
    if _RAW_MAILBOX.fullmatch(mailbox) is not None:
        return mailbox
    return quote(one_line(mailbox), safe=_RAW_IN_MAILTO)


@lru_cache(maxsize=4096)
def folded(line: str) -> bytes:
    """Return one content line, folded at 75 octets and never inside a character, with CRLF."""
    return folded_octets(line.encode()) + b"\r\n"


def folded_lines(lines: list[str]) -> bytes:
    """Return content lines, of which most need no folding, and so are encoded together."""
    text = "\r\n".join(lines).encode() + b"\r\n"
    if max(map(len, text.split(b"\r\n"))) <= FOLD_AT:
        return text
    return b"".join(map(folded, lines))


@lru_cache(maxsize=4096)
def cutter(pieces: int, length: int) -> Callable[..., tuple[bytes, ...]]:
    """Return what cuts so many pieces of `length` octets out of bytes, from an offset (0) on.

    It costs a third of what slicing each piece does.
    """
    return Struct(f"{length}s" * pieces).unpack_from


def folded_octets(line: bytes, taken: int = 0) -> bytes:
    """Fold `line`, which continues a line that has `taken` octets already."""
    room = FOLD_AT - taken
    if len(line) <= room:
        return line
    if line.isascii():
        whole, rest = divmod(len(line) - room, FOLD_AT - 1)
        pieces = [line[:room], *cutter(whole, FOLD_AT - 1)(line, room)]
        if rest:
            pieces.append(line[-rest:])
        return b"\r\n ".join(pieces)
    pieces = []
    start = 0
    while len(line) - start > room:
        # Bytes 10xxxxxx continue a character (RFC 3629 3): the cut goes before its first byte.
        cut = start + room
        while line[cut] & 0xC0 == 0x80:
            cut -= 1
        pieces.append(line[start:cut])
        start = cut
        room = FOLD_AT - 1
    pieces.append(line[start:])
    return b"\r\n ".join(pieces)
