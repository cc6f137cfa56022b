"""From a roster's cells to its meetings, with every problem in one go.

Rows that list several attendees in one cell, as calendars export them, become a row for each; what
can only be seen over all meetings, rooms that are spelt twice or shared, is looked at last.
"""

from __future__ import annotations

import gc
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from heapq import heappop, heappush
from itertools import islice
from typing import Final
from unicodedata import normalize

from invites.errors import RosterRefusedError
from invites.jitsi.validity import ValidityRule, validity_for
from invites.model import Meeting, Roster, Status, Validity
from invites.problems import Problem, Warned, escaped
from invites.roster.cells import RosterRules
from invites.roster.columns import folded_name
from invites.roster.groups import Found, Keeping, Seen, groups, key_of
from invites.roster.header import Layout, layout_of
from invites.roster.meetings import Spelling
from invites.roster.table import Chunk, Table
from invites.text import BLANKS, catalog_for, counted

__all__ = ["Chunk", "RosterRules", "Table", "parse_roster"]


ROWS_IN_MEMORY: Final = 100_000
"""Rows of a roster that is read as one; of a larger one what was read lies aside."""


def parse_roster(
    table: Table, rules: RosterRules, *, skip_invalid: bool = False, kept: Keeping = list
) -> Roster:
    """Return the roster that `table` holds; `kept` is where rows and meetings of a large one lie.

    With `skip_invalid` a row with a problem is left out and reported in `left_out`, and its
    meeting is `incomplete`; otherwise, and for problems of the file, nothing is taken.
    Raises RosterRefusedError with all problems in row order.
    """
    if table.typed:
        rules = replace(rules, typed=True)
    if rules.attendees:
        table = with_row_each(table, rules.attendees)
    layout = layout_of(table.header, rules, blank=table.blank_columns)
    if not layout.usable:
        raise RosterRefusedError(table.source, _in_order([*layout.problems, *table.faults], layout))
    with _no_garbage():
        return _parsed(table, layout, rules, kept, skip_invalid=skip_invalid)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Pause the collector of cycles: a roster's values have none and all of them stay.

    Looking through them again and again takes a fifth of the time at 100,000 rows.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parsed(
    table: Table, layout: Layout, rules: RosterRules, kept: Keeping, *, skip_invalid: bool
) -> Roster:
    # What makes one series of many meetings wants all of them together.
    large = table.size > ROWS_IN_MEMORY and not rules.series
    found = Found(layout, rules, kept if large else list, skip_invalid=skip_invalid)
    for chunks in groups(table, layout, kept()) if large else (table.rows,):
        found.add(chunks)
    rows_read = found.rows_read + len(table.faults)
    problems = [*layout.problems, *table.faults, *found.row_problems, *_no_rows(rows_read)]
    problems += found.meeting_problems
    problems += second_spellings(found.spellings, layout.shown("room"))
    problems = _in_order(problems, layout)
    if problems and (not skip_invalid or any(problem.refuses_file for problem in problems)):
        raise RosterRefusedError(table.source, problems, rows_read=rows_read)
    return Roster(
        source=table.source,
        digest=table.digest,
        meetings=found.in_order() if large else tuple(sorted(found.meetings, key=key_of)),
        rows_read=rows_read,
        accepted=rows_read - found.rejected,
        rejected=found.rejected,
        repeated=found.repeated,
        left_out=tuple(problems),
        left_out_meetings=tuple(sorted(found.left_out)),
        warnings=tuple(_warnings(found, layout, rules)),
        complete=found.complete,
        final_newline=table.final_newline,
        columns=frozenset(place.column.name for place in layout.places),
        joined=found.joined,
    )


def _no_rows(rows_read: int) -> list[Problem]:
    if rows_read:
        return []
    expected = "the file has a header and no rows; each attendee of each meeting is a row"
    return [Problem(row=None, column=None, found=None, expected=expected, refuses_file=True)]


def _in_order(problems: Iterable[Problem], layout: Layout) -> list[Problem]:
    """Return problems by row, and within a row as the columns stand in the file."""
    place = {place.shown: place.index for place in layout.places}
    return sorted(problems, key=lambda one: (one.row or 0, place.get(one.column or "", -1)))


def _warnings(found: Found, layout: Layout, rules: RosterRules) -> Iterator[Warned]:
    for name, rows in sorted(found.unknown_features.items()):
        text = f'feature "{escaped(name)}" is none of Jitsi\'s own; it is passed on as it is'
        yield _warned(rows, layout.shown("features"), text)
    for tag, rows in sorted(found.languages.items()):
        if catalog_for(tag, rules.languages) is None:
            text = f'no catalog for "{tag}"; the mail is in {rules.language}'
            yield _warned(rows, layout.shown("language"), text)
    with_room = sorted(found.with_room, key=key_of)
    yield from shared_rooms(with_room, rules.validity, layout.shown("room"))


def _warned(rows: Seen, column: str, text: str) -> Warned:
    more = f" (and in {counted(rows.rows - 1, 'more row')})" if rows.rows > 1 else ""
    return Warned(row=rows.first, column=column, text=text + more)


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


NAMED_AT_MOST: Final = 5
"""Meetings that one warning names; the others are counted."""


def second_spellings(spellings: Iterable[Spelling], column: str) -> Iterator[Problem]:
    """Yield a problem of the file for each text that comes to the room of an earlier text.

    Texts that differ in normalisation alone (NFC) look the same and are one spelling; `Standup`
    and `standup` are two, for one of them may be meant to be another room.
    """
    first: dict[str, Spelling] = {}
    seen: set[tuple[str, str]] = set()
    for spelling in sorted(spellings):
        written = normalize("NFC", spelling.text)
        earlier = first.setdefault(spelling.claim, spelling)
        if written == normalize("NFC", earlier.text) or (spelling.claim, written) in seen:
            continue
        seen.add((spelling.claim, written))
        yield Problem(
            row=spelling.row,
            column=column,
            found=spelling.text,
            expected=f'"{escaped(earlier.text)}" as in row {earlier.row}: '
            "both are one room, which is spelt one way throughout a roster",
            refuses_file=True,
        )


def shared_rooms(
    meetings: Iterable[Meeting], rule: ValidityRule, column: str | None
) -> Iterator[Warned]:
    """Yield a warning for each meeting whose room is open for an earlier meeting as well.

    Only rooms that the roster names can be shared; a cancelled meeting opens none.
    """
    by_claim: dict[str, list[tuple[Validity, Meeting]]] = defaultdict(list)
    for meeting in meetings:
        if meeting.room is not None and meeting.status is not Status.CANCELLED:
            validity = validity_for(meeting.opens, meeting.over_at, rule)
            by_claim[meeting.room.claim].append((validity, meeting))
    for claim, uses in by_claim.items():
        if len(uses) > 1:
            yield from _overlaps(claim, uses, column)


def _overlaps(
    claim: str, uses: Iterable[tuple[Validity, Meeting]], column: str | None
) -> Iterator[Warned]:
    # By start, with a heap by end: each meeting enters and leaves once, so that thousands in one
    # room cost no more than their sorting.
    still_open: dict[int, Meeting] = {}
    ends: list[tuple[int, int]] = []
    in_order = sorted(uses, key=lambda use: (use[0].not_before, use[0].expires, use[1].id))
    for number, (validity, meeting) in enumerate(in_order):
        while ends and ends[0][0] <= validity.not_before:
            del still_open[heappop(ends)[1]]
        if still_open:
            others = list(islice(still_open.values(), NAMED_AT_MOST))
            yield Warned(
                row=meeting.row,
                column=column,
                text=f'meeting "{escaped(meeting.id)}" and {_named(others, len(still_open))} '
                f'share room "{escaped(claim)}" at the same time: their links admit to both',
            )
        still_open[number] = meeting
        heappush(ends, (validity.expires, number))


def _named(others: Iterable[Meeting], count: int) -> str:
    names = [f'"{escaped(other.id)}" (row {other.row})' for other in others]
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(names) + more
