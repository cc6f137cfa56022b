"""From rows to what they say of each meeting: each cell is read once per distinct text."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from invites.addresses import Address
from invites.jitsi.claims import is_known
from invites.model import NO_COLUMNS, Attendee
from invites.problems import Problem
from invites.roster.cells import RosterRules
from invites.roster.columns import BY_NAME, Column, Holder
from invites.roster.header import Layout, PlacedColumn
from invites.roster.sheets import FAILED, NOT_COMPUTED
from invites.roster.table import Chunk
from invites.text import BLANKS, CellRefused

_ALONE: Final = ("name", "email", "avatar", "user_id")
"""Attendee columns whose cells mostly differ from row to row; the others are read together."""

Cells = tuple[str, ...]


class RefusedCell(NamedTuple):
    """What was expected in a cell that can't be taken."""

    expected: str


class CellReader(dict[str, Any]):
    """The values of one column's cells by their text: each text is read once."""

    __slots__ = ("column", "rules")

    def __init__(self, column: Column, rules: RosterRules) -> None:
        """Read cells of `column` by `rules`."""
        super().__init__()
        self.column = column
        self.rules = rules

    def __missing__(self, text: str) -> object:
        """Return the value of a text that was not seen before, or a RefusedCell."""
        value: object
        if self.rules.typed and text in FAILED:
            value = self[text] = RefusedCell(_not_computed(text))
            return value
        try:
            value = self.column.read(text, self.rules)
        except CellRefused as refusal:
            value = RefusedCell(refusal.expected)
        self[text] = value
        return value


def _not_computed(text: str) -> str:
    if text == NOT_COMPUTED:
        return "a value: this formula has none yet; open the workbook, and save it"
    return "a value: the formula in this cell fails; mend it in the workbook"


@dataclass(slots=True)
class MeetingRows:
    """What the rows of one meeting say, not yet compared with each other.

    `alike` has the rows by the raw text of their meeting cells.
    `repeats` are rows that say again what the row in `attendees` says, `clashes` rows that say
    otherwise for the same address, `spoilt` rows with that address and a cell that was refused.
    `dates` has, for each row about one date of a series, the attendee whom it names, None where it
    speaks for everybody.
    `meeting_id` is "" for the rows whose meeting can't be known.
    `series` is what tells the series apart of which these rows are one date, "" for none.
    """

    meeting_id: str
    alike: dict[Cells, list[int]] = field(default_factory=dict)
    attendees: dict[str, Attendee] = field(default_factory=dict)
    repeats: dict[str, list[Attendee]] = field(default_factory=dict)
    clashes: dict[str, list[Attendee]] = field(default_factory=dict)
    spoilt: dict[str, list[int]] = field(default_factory=dict)
    dates: dict[int, Attendee | None] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    series: str = ""

    def rows(self) -> Iterable[Attendee]:
        """Return the attendees of all rows whose cells could be read."""
        if not (self.repeats or self.clashes):
            return self.attendees.values()
        again = chain(self.repeats.values(), self.clashes.values())
        return chain(self.attendees.values(), chain.from_iterable(again))

    def add_again(self, attendee: Attendee) -> None:
        """Take in one more row of an attendee who is known already."""
        known = self.attendees[attendee.address]
        alike = replace(attendee, row=known.row, email=known.email, mailbox=known.mailbox) == known
        found = self.repeats if alike else self.clashes
        found.setdefault(attendee.address, []).append(attendee)


@dataclass(frozen=True, slots=True)
class _OptionCells:
    """What the attendee columns other than those in `_ALONE` say, by the attendee's attribute."""

    values: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    refused: tuple[tuple[PlacedColumn, str, str], ...] = ()


class RowReader:
    """Takes in a roster's rows, and holds what they say of each meeting, and their problems."""

    def __init__(self, layout: Layout, rules: RosterRules) -> None:
        """Read rows that are laid out by `layout`."""
        self.problems: list[Problem] = []
        self.rows_read = 0
        self._last = 0
        self.meetings: dict[Hashable, MeetingRows] = {}
        self.strays = MeetingRows("")
        self.unknown_features: dict[str, list[int]] = {}
        self.meeting_places = [p for p in layout.places if p.column.holder is Holder.MEETING]
        self._occurrence = next(
            (at for at, p in enumerate(self.meeting_places) if p.column.name == "occurrence"), None
        )
        self._rules = rules
        self._series = layout.place_named(rules.series) if rules.series else None
        self._ruled, self._start = (
            [at for at, p in enumerate(self.meeting_places) if p.column.name in names]
            for names in (("recurrence", "exclude", "occurrence"), ("start",))
        )
        self._id = layout.place_of("meeting_id")
        self._alone = [layout.place_of(name) for name in _ALONE]
        self._option_places = [
            place
            for place in layout.places
            if place.column.holder is Holder.ATTENDEE
            and place.column.name in BY_NAME
            and place.column.name not in _ALONE
        ]
        self._extras = layout.extras()
        self._ids = CellReader(BY_NAME["meeting_id"], rules)
        self._names, self._addresses, self._avatars, self._user_ids = (
            CellReader(BY_NAME[name], rules) for name in _ALONE
        )
        self._by_cell: dict[Hashable, MeetingRows] = {}
        self._options: dict[Cells, _OptionCells] = {}
        self._extra_readings: dict[Cells, tuple[Mapping[str, str], tuple[Any, ...]]] = {}
        self._readings_of = {
            place.column.name: CellReader(place.column, rules)
            for place in (*self._option_places, *self._extras)
        }

    def read(self, chunk: Chunk) -> None:
        """Take in some rows; those without text in any cell are passed over."""
        stripped = [[cell.strip(BLANKS) for cell in column] for column in chunk.columns]

        def column(place: PlacedColumn | None) -> Iterable[str]:
            return repeat("") if place is None else place.cells(stripped)

        def together(places: Sequence[PlacedColumn]) -> Iterable[Cells]:
            return zip(*(p.cells(stripped) for p in places), strict=True) if places else repeat(())

        for row in zip(
            chunk.numbers,
            column(self._id),
            together(self.meeting_places),
            *(column(place) for place in self._alone),
            together(self._option_places),
            together(self._extras),
            column(self._series),
            strict=False,
        ):
            self._take(*row)

    def _take(
        self,
        number: int,
        id_cell: str,
        meeting_cells: Cells,
        name_cell: str,
        email_cell: str,
        avatar_cell: str,
        user_id_cell: str,
        option_cells: Cells,
        extra_cells: Cells,
        series_cell: str,
    ) -> None:
        personal_cells = (name_cell, email_cell, avatar_cell, user_id_cell)
        if not id_cell and not any((*personal_cells, *meeting_cells, *option_cells, *extra_cells)):
            return
        # A row that lists several attendees comes once for each of them.
        self.rows_read += number != self._last
        self._last = number
        key: Hashable = id_cell
        if series_cell and not any(meeting_cells[at] for at in self._ruled):
            # Each date is read as a meeting by itself; `joining` makes series of them.
            key = (id_cell, series_cell, *(meeting_cells[at] for at in self._start))
        else:
            series_cell = ""
        meeting = self._by_cell.get(key) or self._meeting_rows(number, id_cell, key, series_cell)
        rows = meeting.alike.get(meeting_cells)
        if rows is None:
            meeting.alike[meeting_cells] = [number]
        else:
            rows.append(number)
        about_a_date = self._occurrence is not None and meeting_cells[self._occurrence]
        if about_a_date and not (name_cell or email_cell):
            meeting.dates[number] = None
            return
        address = self._addresses[email_cell]
        name = self._names[name_cell]
        avatar = self._avatars[avatar_cell]
        user_id = self._user_ids[user_id_cell]
        options = self._options.get(option_cells) or self._read_options(option_cells)
        extra = self._extra_readings.get(extra_cells) or self._read_extras(extra_cells)
        if options.unknown:
            self._note_unknown(number, options.unknown)
        if (
            type(address) is RefusedCell
            or type(name) is RefusedCell
            or type(avatar) is RefusedCell
            or type(user_id) is RefusedCell
            or options.refused
            or extra[1]
        ):
            values = (name, address, avatar, user_id)
            self._refuse(number, meeting, personal_cells, values, options.refused + extra[1])
            return
        if meeting is self.strays:
            return
        attendee = Attendee(
            name=name,
            email=address.email,
            mailbox=address.mailbox,
            address=address.address,
            avatar=avatar,
            user_id=user_id,
            columns=extra[0],
            row=number,
            **options.values,
        )
        if about_a_date:
            meeting.dates[number] = attendee
        elif meeting.attendees.setdefault(address.address, attendee) is not attendee:
            meeting.add_again(attendee)

    def _meeting_rows(
        self, number: int, id_cell: str, key: Hashable, series_cell: str
    ) -> MeetingRows:
        """Return the rows for a meeting that was not seen before, or whose cells were refused."""
        meeting_id, series = self._ids[id_cell], self._ids[series_cell] if series_cell else ""
        for place, cell, value in (
            (self._id, id_cell, meeting_id),
            (self._series, series_cell, series),
        ):
            if isinstance(value, RefusedCell):
                self._problem(number, place, cell, value.expected)
                self.strays.refused.add(number)
                return self.strays
        own: Hashable = (meeting_id, series, key[2:]) if isinstance(key, tuple) else meeting_id
        meeting = self.meetings.setdefault(own, MeetingRows(meeting_id, series=series))
        self._by_cell[key] = meeting
        return meeting

    def _refuse(
        self,
        number: int,
        meeting: MeetingRows,
        cells: Cells,
        values: tuple[object, ...],
        others: Iterable[tuple[PlacedColumn, str, str]],
    ) -> None:
        """Note each cell that was refused, and that the row's address is no longer certain."""
        meeting.refused.add(number)
        for place, cell, value in zip(self._alone, cells, values, strict=True):
            if isinstance(value, RefusedCell):
                self._problem(number, place, cell, value.expected)
            elif isinstance(value, Address):
                meeting.spoilt.setdefault(value.address, []).append(number)
        for place, cell, expected in others:
            self._problem(number, place, cell, expected)

    def _read_options(self, cells: Cells) -> _OptionCells:
        values, refused = self._read_together(self._option_places, cells)
        unknown = tuple(name for name in values.get("features", ()) if not is_known(name))
        options = _OptionCells(values, unknown, refused)
        self._options[cells] = options
        return options

    def _read_extras(self, cells: Cells) -> tuple[Mapping[str, str], tuple[Any, ...]]:
        values, refused = self._read_together(self._extras, cells)
        reading = (MappingProxyType(values) if values else NO_COLUMNS, refused)
        self._extra_readings[cells] = reading
        return reading

    def _read_together(
        self, places: Sequence[PlacedColumn], cells: Cells
    ) -> tuple[dict[str, Any], tuple[tuple[PlacedColumn, str, str], ...]]:
        """Return the values by attribute, and the place, text and expectation of each refused cell."""
        values = {}
        refused = []
        for place, cell in zip(places, cells, strict=True):
            value = self._readings_of[place.column.name][cell]
            if isinstance(value, RefusedCell):
                refused.append((place, cell, value.expected))
            else:
                values[place.column.attribute] = value
        return values, tuple(refused)

    def _note_unknown(self, number: int, names: Iterable[str]) -> None:
        for name in names:
            self.unknown_features.setdefault(name, []).append(number)

    def _problem(self, number: int, place: PlacedColumn | None, cell: str, expected: str) -> None:
        shown = place.shown if place else None
        self.problems.append(Problem(row=number, column=shown, found=cell, expected=expected))
