"""A roster as cells, before anything is known about what they mean, and its bytes as text.

What is no UTF-8 is refused in the words that say what else the file is.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final, NamedTuple, NoReturn, Self

from invites.errors import RosterRefusedError
from invites.problems import Problem

ROWS_AT_ONCE: Final = 5_000
"""Rows that are in memory as cells at one time."""

ROWS_AT_MOST: Final = 1_000_000
COLUMNS_AT_MOST: Final = 200
BYTES_AT_MOST: Final = 1_000_000_000
"""What a roster may have; beyond it is somebody's mistake, or an attack on the memory."""


class Chunk(NamedTuple):
    """Some rows, column by column: `numbers[i]` is the row whose cells are `columns[…][i]`.

    Numbers are those that a spreadsheet shows; all columns are as long as `numbers`.
    """

    numbers: Sequence[int]
    columns: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A roster's header and rows, as the file has them.

    `source` is the roster's name for messages, `digest` the SHA-256 of the file's bytes in hex.
    `rows` can be gone through once.
    `faults` are the rows with more or fewer cells than the header; `rows` is without them.
    `blank_columns` are the places (from 0) of columns without name and without any text.
    `final_newline` is false where the file ends without a line end: it may be cut.
    `size` is how many rows there are at the most, those without text included; 0 for a few.
    `typed` is true for a workbook: its cells know what is a date and what is true, and its formulas
    can fail.
    """

    source: str
    digest: str
    header: tuple[str, ...]
    rows: Iterable[Chunk]
    faults: tuple[Problem, ...] = ()
    blank_columns: frozenset[int] = frozenset()
    final_newline: bool = True
    typed: bool = False
    size: int = 0


STRIDE = 10_000_000
"""Rows that a file of a list may have; row 7 of the second file is number 10,000,007 in order."""


class RowOf(int):
    """A row's number that orders the rows of several files, and reads `7 of b.csv`."""

    source: str

    def __new__(cls, row: int, source: str, *, part: int) -> Self:
        """Take `row` of the file at place `part` (from 0) in the list."""
        number = super().__new__(cls, part * STRIDE + row)
        number.source = source
        return number

    def __getnewargs_ex__(self) -> tuple[tuple[int, str], dict[str, int]]:
        """Return what makes it again, where it was written aside."""
        part, row = divmod(int(self), STRIDE)
        return (row, self.source), {"part": part}

    def __str__(self) -> str:
        """Return the number that a spreadsheet shows, and the file."""
        return f"{int(self) % STRIDE} of {self.source}"

    def __format__(self, spec: str) -> str:
        """Return the same, so that every message that names a row names its file as well."""
        return format(str(self), spec)


def joined(tables: Sequence[Table]) -> Table:
    """Return one table with the rows of all `tables`, whose headers must be the same.

    Row numbers become `RowOf`: a problem reads `a.csv + b.csv: row 7 of b.csv, column …`.
    The digest is `joined_digest`; the final newline is there where every file has it.
    Raises RosterRefusedError for headers that differ, ValueError without any table.
    """
    if not tables:
        raise ValueError("a roster is one file or more")
    if len(tables) == 1:
        return tables[0]
    source = " + ".join(table.source for table in tables)
    first = tables[0]
    differing = [_header_problem(table, first, part=part) for part, table in enumerate(tables)]
    problems = [problem for problem in differing if problem is not None]
    if problems:
        raise RosterRefusedError(source, problems)
    return Table(
        source=source,
        digest=joined_digest([table.digest for table in tables]),
        header=first.header,
        rows=_rows(tables),
        faults=tuple(_faults(tables)),
        blank_columns=frozenset.intersection(*(table.blank_columns for table in tables)),
        final_newline=all(table.final_newline for table in tables),
        typed=any(table.typed for table in tables),
        size=sum(table.size for table in tables),
    )


def joined_digest(digests: Sequence[str]) -> str:
    """Return the digest (SHA-256, hex) of a roster of these files, by theirs in order.

    That of one file is its own, as `sha256sum` shows it.
    """
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _header_problem(table: Table, first: Table, *, part: int) -> Problem | None:
    """Return the first column at which a header is another than the first file's."""
    same = "files of a list have the same columns in the same order"
    pairs = zip_longest(table.header, first.header)
    for place, (theirs, ours) in enumerate(pairs, start=1):
        if theirs == ours:
            continue
        if theirs is None:
            expected = f'column {place} is missing, "{ours}" in {first.source}; {same}'
        elif ours is None:
            expected = f"no column {place}, for {first.source} has none; {same}"
        else:
            expected = f'"{ours}" as column {place}, as in {first.source}; {same}'
        row = RowOf(1, table.source, part=part)
        return Problem(row=row, column=None, found=theirs, expected=expected, refuses_file=True)
    return None


def _rows(tables: Sequence[Table]) -> Iterator[Chunk]:
    for part, table in enumerate(tables):
        for chunk in table.rows:
            numbers = [RowOf(row, table.source, part=part) for row in chunk.numbers]
            yield Chunk(numbers=numbers, columns=chunk.columns)


def _faults(tables: Sequence[Table]) -> Iterator[Problem]:
    for part, table in enumerate(tables):
        for fault in table.faults:
            row = None if fault.row is None else RowOf(fault.row, table.source, part=part)
            yield replace(fault, row=row)


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


def plain_start(beginning: bytes) -> int | None:
    """Return where the text begins in a file that begins like CSV in UTF-8; None in another one."""
    others = tuple(start for start, _ in (*_OTHER_FORMATS, *_UTF_16))
    if beginning.startswith(others) or _is_wide(beginning):
        return None
    text = beginning.removeprefix(_BOM)
    return len(beginning) - len(text) if text.strip() else None


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
    """Refuse UTF-16 and UTF-32 without BOM."""
    if _is_wide(content):
        what = "UTF-16 or UTF-32 text without a byte order mark"
        refuse(source, None, f"the file is {what}, expected CSV in UTF-8; {SAVE_AS}")


def _is_wide(content: bytes) -> bool:
    """Tell text of two or four bytes a character by the zeros in every second place."""
    sample = content[:1_000]
    return any(
        len(every_second) > 1 and every_second.count(0) * 2 > len(every_second)
        for every_second in (sample[::2], sample[1::2])
    )


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
