"""From a roster's cells to its meetings, with every problem in one go."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from invites.errors import RosterRefusedError
from invites.model import Meeting, Roster
from invites.problems import Problem, Warned, escaped
from invites.roster.cells import RosterRules
from invites.roster.checks import second_spellings, shared_rooms
from invites.roster.header import Layout, layout_of
from invites.roster.lists import with_row_each
from invites.roster.meetings import MeetingParser, ParsedMeeting
from invites.roster.rows import RowReader
from invites.roster.table import Chunk, Table
from invites.text import catalog_for, counted

__all__ = ["Chunk", "RosterRules", "Table", "parse_roster"]


def parse_roster(table: Table, rules: RosterRules, *, skip_invalid: bool = False) -> Roster:
    """Return the roster that `table` holds.

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
        return _parsed(table, layout, rules, skip_invalid=skip_invalid)


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


def _parsed(table: Table, layout: Layout, rules: RosterRules, *, skip_invalid: bool) -> Roster:
    reader = RowReader(layout, rules)
    for chunk in table.rows:
        reader.read(chunk)
    rows_read = reader.rows_read + len(table.faults)
    problems = [*layout.problems, *table.faults, *reader.problems, *_no_rows(rows_read)]
    parsed = _parsed_meetings(reader, layout, rules, skip_invalid=skip_invalid)
    problems += [problem for one in parsed for problem in one.problems]
    spellings = (spelling for one in parsed for spelling in one.spellings)
    problems += second_spellings(spellings, _shown(layout, "room"))
    problems = _in_order(problems, layout)
    if problems and (not skip_invalid or any(problem.refuses_file for problem in problems)):
        raise RosterRefusedError(table.source, problems, rows_read=rows_read)
    meetings = tuple(
        sorted((one.meeting for one in parsed if one.meeting), key=lambda m: (m.start, m.id))
    )
    rejected = len(set().union(*(one.refused for one in parsed)))
    return Roster(
        source=table.source,
        digest=table.digest,
        meetings=meetings,
        rows_read=rows_read,
        accepted=rows_read - rejected,
        rejected=rejected,
        repeated=sum(one.repeated for one in parsed),
        left_out=tuple(problems),
        left_out_meetings=_left_out_meetings(reader, meetings),
        warnings=tuple(_warnings(reader, meetings, layout, rules)),
        complete=not reader.strays.refused,
        final_newline=table.final_newline,
        columns=frozenset(place.column.name for place in layout.places),
    )


def _parsed_meetings(
    reader: RowReader, layout: Layout, rules: RosterRules, *, skip_invalid: bool
) -> list[ParsedMeeting]:
    parser = MeetingParser(
        reader.meeting_places, rules, email_shown=_shown(layout, "email"), skip_invalid=skip_invalid
    )
    return [parser.parse(said) for said in (*reader.meetings.values(), reader.strays)]


def _no_rows(rows_read: int) -> list[Problem]:
    if rows_read:
        return []
    expected = "the file has a header and no rows; each attendee of each meeting is a row"
    return [Problem(row=None, column=None, found=None, expected=expected, refuses_file=True)]


def _in_order(problems: Iterable[Problem], layout: Layout) -> list[Problem]:
    """Return problems by row, and within a row as the columns stand in the file."""
    place = {place.shown: place.index for place in layout.places}
    return sorted(problems, key=lambda one: (one.row or 0, place.get(one.column or "", -1)))


def _shown(layout: Layout, name: str) -> str:
    """Return what the file calls a known column."""
    place = layout.place_of(name)
    return place.shown if place else name


def _left_out_meetings(reader: RowReader, meetings: Iterable[Meeting]) -> tuple[str, ...]:
    """Return the ids of meetings of which every row was left out."""
    return tuple(sorted(reader.meetings.keys() - {meeting.id for meeting in meetings}))


def _warnings(
    reader: RowReader, meetings: Iterable[Meeting], layout: Layout, rules: RosterRules
) -> Iterator[Warned]:
    for name, rows in sorted(reader.unknown_features.items()):
        more = f" (and in {counted(len(rows) - 1, 'more row')})" if len(rows) > 1 else ""
        yield Warned(
            row=min(rows),
            column=_shown(layout, "features"),
            text=f'feature "{escaped(name)}" is none of Jitsi\'s own; it is passed on as it is{more}',
        )
    yield from _without_catalog(meetings, rules, _shown(layout, "language"))
    yield from shared_rooms(meetings, rules.validity, _shown(layout, "room"))


def _without_catalog(
    meetings: Iterable[Meeting], rules: RosterRules, column: str
) -> Iterator[Warned]:
    """Yield a warning for each language that letters can't be in, with its first row."""
    rows: dict[str, list[int]] = {}
    for meeting in meetings if rules.languages else ():
        for attendee in meeting.attendees:
            if attendee.language:
                rows.setdefault(attendee.language, []).append(attendee.row)
    for tag in sorted(rows):
        if catalog_for(tag, rules.languages) is None:
            more = len(rows[tag]) - 1
            also = f" (and in {counted(more, 'more row')})" if more else ""
            yield Warned(
                row=min(rows[tag]),
                column=column,
                text=f'no catalog for "{tag}"; the mail is in {rules.language}{also}',
            )
