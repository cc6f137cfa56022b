"""A roster as cells, before anything is known about what they mean."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final, NamedTuple, Self

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
