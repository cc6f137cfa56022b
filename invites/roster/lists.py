"""Rows that list several attendees in one cell, as calendars export them: a row for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from invites.errors import RosterRefusedError
from invites.problems import Problem
from invites.roster.columns import folded_name
from invites.roster.table import Chunk, Table
from invites.text import BLANKS

_NAMED = re.compile(r"\"?([^<>]*?)\"?\s*<([^<>]*)>")


def with_row_each(table: Table, columns: Sequence[str]) -> Table:
    """Return the table with a row for each attendee that these columns list, and his name and email.

    All rows made of one keep its number; one that lists nobody stays, and lacks an email.
    The listing columns are taken out, for nobody is to read who the others are.
    Raises RosterRefusedError where a column is not there, or the file has an email column beside.
    """
    names = [folded_name(cell.strip(BLANKS)) for cell in table.header]
    missing = [column for column in columns if folded_name(column) not in names]
    if missing:
        _refuse(table, f'column "{missing[0]}" is missing, which [roster] attendees names')
    if "email" in names:
        _refuse(table, 'there is a column "email" beside those of [roster] attendees; keep one')
    places = [names.index(folded_name(column)) for column in columns]
    kept = [at for at in range(len(names)) if at not in places]
    own_names = "name" in names
    header = [table.header[at] for at in kept]
    return replace(
        table,
        header=(*header, "email") if own_names else (*header, "email", "name"),
        rows=_rows(table, places, kept, own_names=own_names),
        blank_columns=frozenset(new for new, at in enumerate(kept) if at in table.blank_columns),
    )


def _rows(
    table: Table, places: Sequence[int], kept: Sequence[int], *, own_names: bool
) -> Iterator[Chunk]:
    for chunk in table.rows:
        numbers: list[int] = []
        rows: list[tuple[str, ...]] = []
        for number, cells in zip(chunk.numbers, zip(*chunk.columns, strict=True), strict=True):
            rest = tuple(cells[at] for at in kept)
            listed = [one for at in places for one in _listed(cells[at])]
            for name, address in listed or [("", "")]:
                numbers.append(number)
                rows.append((*rest, address) if own_names else (*rest, address, name))
        if rows:
            yield Chunk(numbers, list(zip(*rows, strict=True)))


def _listed(cell: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the address of each attendee in a cell; an address alone is the name too.

    Outlook separates by semicolons; a comma separates where there is none, for it may be in a name.
    """
    for item in re.split(r"[;\n]" if ";" in cell or "\n" in cell else ",", cell):
        text = item.strip().strip(BLANKS)
        if named := _NAMED.fullmatch(text):
            yield named[1].strip() or named[2].strip(), named[2].strip()
        elif text:
            yield text, text


def _refuse(table: Table, expected: str) -> None:
    problem = Problem(row=1, column=None, found=None, expected=expected, refuses_file=True)
    raise RosterRefusedError(table.source, [problem])
