"""From a roster file's bytes to text in UTF-8, or the words that say what else the file is."""

from __future__ import annotations

import csv
import io
from typing import Final, NoReturn

from invites.errors import RosterRefusedError
from invites.problems import Problem

SAVE_AS: Final = 'save it as "CSV UTF-8" (Excel, LibreOffice: text CSV, character set UTF-8)'

_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_OTHER_FORMATS: Final = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls, expected .xlsx)"),
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\0\0\xfe\xff", "UTF-32 text"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"%PDF-", "a PDF document"),
)


def refuse(source: str, row: int | None, expected: str) -> NoReturn:
    """Raise a RosterRefusedError with one problem of the file."""
    problem = Problem(row=row, column=None, found=None, expected=expected, refuses_file=True)
    raise RosterRefusedError(source, [problem])


def utf_8_of(content: bytes, source: str, encoding: str = "") -> bytes:
    """Return a file's text in UTF-8 without BOM, whatever the file has it in.

    UTF-16 is known by its BOM.  `encoding` is tried where the text is not UTF-8, "" for none:
    text in cp1252 that has more than ASCII is as good as never UTF-8 by chance.
    Raises RosterRefusedError with what the file is instead.
    """
    for start, what in _OTHER_FORMATS:
        if content.startswith(start):
            refuse(source, None, f"the file is {what}, expected CSV in UTF-8; {SAVE_AS}")
    for start, codec in _UTF_16:
        if content.startswith(start):
            return _from_utf_16(content.removeprefix(start), codec, source)
    _refuse_wide_text(content, source)
    body = content.removeprefix(_BOM)
    if body.isascii():
        return body
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as fault:
        if encoding and body is content:
            return _from(encoding, body, source)
        _refuse_byte(body, fault.start, source)
    return body


def _from_utf_16(text: bytes, codec: str, source: str) -> bytes:
    try:
        return text.decode(codec).encode()
    except UnicodeDecodeError as fault:
        refuse(
            source,
            None,
            f"the file is UTF-16 text that is damaged at byte {fault.start + 2:,}, expected it "
            f"whole: export it again, or {SAVE_AS}",
        )


def _from(encoding: str, body: bytes, source: str) -> bytes:
    try:
        return body.decode(encoding).encode()
    except UnicodeDecodeError as fault:
        row = body.count(b"\n", 0, fault.start) + 1
        refuse(
            source,
            row,
            f"byte 0x{body[fault.start]:02X} is neither UTF-8 nor {encoding} ([roster] encoding), "
            f"expected CSV in one of them; {SAVE_AS}",
        )


def _refuse_wide_text(content: bytes, source: str) -> None:
    """Refuse UTF-16 and UTF-32 without BOM, by the zeros in every second place."""
    sample = content[:1_000]
    for evens_or_odds in (sample[::2], sample[1::2]):
        if len(evens_or_odds) > 1 and evens_or_odds.count(0) * 2 > len(evens_or_odds):
            what = "UTF-16 or UTF-32 text without a byte order mark"
            refuse(source, None, f"the file is {what}, expected CSV in UTF-8; {SAVE_AS}")


def _refuse_byte(body: bytes, at: int, source: str) -> NoReturn:
    """Refuse bytes that are not UTF-8, naming the row and what the file probably is."""
    valid = body[:at].decode("utf-8")
    row = sum(1 for _ in csv.reader(io.StringIO(valid + "x", newline="")))
    shown = body[at : at + 1].decode("cp1252", "replace")
    refuse(
        source,
        row,
        f"byte 0x{body[at]:02X} is not UTF-8, expected CSV in UTF-8; in Windows-1252 it is "
        f'"{shown}"; if the file was not damaged, {SAVE_AS}, or set [roster] encoding = "cp1252"',
    )
