"""A large roster's rows, read in groups: what all of them come to, and never all of them at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from heapq import merge
from itertools import pairwise, repeat
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from unicodedata import normalize
from zlib import crc32

from invites.model import Chosen, JoinedRows, Meeting
from invites.problems import Problem
from invites.roster.cells import RosterRules
from invites.roster.columns import BY_NAME
from invites.roster.header import Layout
from invites.roster.joining import joined
from invites.roster.meetings import MeetingParser, Spelling
from invites.roster.rows import RowReader
from invites.roster.table import Chunk, Table
from invites.text import BLANKS

ROWS_TOGETHER: Final = 50_000
"""About so many rows of a large roster are in memory together."""

Value = TypeVar("Value")


class Kept(Protocol[Value]):
    """Values in the order in which they were added: a list, or what lies outside the memory."""

    def append(self, value: Value, /) -> None:
        """Add one."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, place: int, /) -> Value:
        """Return one."""

    def __iter__(self) -> Iterator[Value]:
        """Yield all of them."""


Keeping = Callable[[], Kept[Any]]
"""Makes an empty place for values."""


def groups(table: Table, layout: Layout, pieces: Kept[Chunk]) -> Iterator[Iterable[Chunk]]:
    """Yield the rows in groups of about ROWS_TOGETHER, all rows of a meeting in the same one.

    Where they stand in the file does not matter: `pieces` keeps each group's share of each chunk.
    """
    count = 1 + table.size // ROWS_TOGETHER
    places: list[list[int]] = [[] for _ in range(count)]
    by_id = layout.place_of("meeting_id")
    for chunk in table.rows:
        stripped = [[cell.strip(BLANKS) for cell in column] for column in chunk.columns]
        rows: dict[int, list[int]] = {}
        cells = repeat("", len(chunk.numbers)) if by_id is None else by_id.cells(stripped)
        for at, cell in enumerate(cells):
            group = crc32(normalize("NFC", cell).encode("utf-8", "surrogatepass")) % count
            rows.setdefault(group, []).append(at)
        for group, chosen in rows.items():
            places[group].append(len(pieces))
            columns = [[column[at] for at in chosen] for column in stripped]
            pieces.append(Chunk([chunk.numbers[at] for at in chosen], columns))
    for group_places in places:
        yield map(pieces.__getitem__, group_places)


class Found:
    """What the rows of a roster come to; they are added in groups that share no meeting.

    Of a large roster the meetings lie aside, so that what is asked of all of them is noted here.
    """

    def __init__(
        self, layout: Layout, rules: RosterRules, kept: Keeping, *, skip_invalid: bool
    ) -> None:
        """Begin with no rows; `kept` makes the places where meetings, and what orders them, lie."""
        self.meetings: Kept[Meeting] = kept()
        self._keys: Kept[tuple[datetime, str]] = kept()
        self.rows_read = self.rejected = self.repeated = 0
        self.row_problems: list[Problem] = []
        self.meeting_problems: list[Problem] = []
        self.spellings: list[Spelling] = []
        self.left_out: list[str] = []
        self.unknown_features: dict[str, Seen] = {}
        self.languages: dict[str, Seen] = {}
        self.with_room: list[Meeting] = []
        self.complete = True
        self.joined: JoinedRows | None = None
        self._ends = [0]
        self._layout = layout
        self._rules = rules
        self._skip_invalid = skip_invalid

    def add(self, chunks: Iterable[Chunk]) -> None:
        """Take in all rows of some meetings."""
        reader = RowReader(self._layout, self._rules)
        for chunk in chunks:
            reader.read(chunk)
        self.rows_read += reader.rows_read
        self.row_problems += reader.problems
        self.complete = self.complete and not reader.strays.refused
        for name, rows in reader.unknown_features.items():
            known = self.unknown_features.get(name, Seen(rows[0], 0))
            self.unknown_features[name] = known.and_in(rows)
        parser = MeetingParser(
            reader.meeting_places,
            self._rules,
            email_shown=self._layout.shown("email"),
            skip_invalid=self._skip_invalid,
        )
        every = (*reader.meetings.values(), reader.strays)
        found = joined(
            ((said, parser.parse(said)) for said in every),
            self._rules,
            _names_shown(self._layout, self._rules),
            skip_invalid=self._skip_invalid,
        )
        parsed, self.joined = found.parsed, found.told
        self.left_out += found.ids - {one.meeting.id for one in parsed if one.meeting}
        self.rejected += len(set().union(*(one.refused for one in parsed)))
        for one in parsed:
            self.repeated += one.repeated
            self.meeting_problems += one.problems
            self.spellings += one.spellings
        for meeting in sorted((one.meeting for one in parsed if one.meeting), key=key_of):
            self._note(meeting)
            self.meetings.append(meeting)
            self._keys.append(key_of(meeting))
        self._ends.append(len(self.meetings))

    def _note(self, meeting: Meeting) -> None:
        if meeting.room is not None:
            self.with_room.append(replace(meeting, attendees=()))
        if self._rules.languages:
            for attendee in meeting.attendees:
                if attendee.language:
                    known = self.languages.get(attendee.language, Seen(attendee.row, 0))
                    self.languages[attendee.language] = known.and_in((attendee.row,))

    def in_order(self) -> Sequence[Meeting]:
        """Return the meetings by start and id, those of each group being so already."""

        def keys(start: int, end: int) -> Iterator[tuple[tuple[datetime, str], int]]:
            return ((self._keys[place], place) for place in range(start, end))

        groups = [keys(start, end) for start, end in pairwise(self._ends)]
        return Chosen(self.meetings, array("L", (place for _, place in merge(*groups))))


def _names_shown(layout: Layout, rules: RosterRules) -> dict[str, str]:
    """Return what the file calls its columns, by our names and as `[roster] series` names one."""
    names = {name: layout.shown(name) for name in BY_NAME}
    place = layout.place_named(rules.series) if rules.series else None
    return names if place is None else {**names, rules.series: place.shown}


def key_of(meeting: Meeting) -> tuple[datetime, str]:
    """Return what a roster's meetings are sorted by."""
    return meeting.start, meeting.id


class Seen(NamedTuple):
    """The first row of those that have something, and how many they are."""

    first: int
    rows: int

    def and_in(self, rows: Sequence[int]) -> Seen:
        """Return the same with further rows, at least one."""
        return Seen(min(self.first, *rows), self.rows + len(rows))
