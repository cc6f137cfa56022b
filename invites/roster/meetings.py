"""From a meeting's rows to the meeting: they are compared, its times become instants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from invites.addresses import Address
from invites.jitsi.links import link_problem
from invites.jitsi.rooms import derived_room
from invites.jitsi.validity import validity_for
from invites.model import Attendee, Meeting, Status
from invites.problems import Problem, escaped
from invites.roster.alike import AlikeRows, Times, agreed, as_in, key_of, times_of
from invites.roster.cells import NamedRoom, RosterRules
from invites.roster.columns import Holder, compared
from invites.roster.header import PlacedColumn
from invites.roster.rows import CellReader, Cells, MeetingRows, RefusedCell
from invites.roster.series import Attended, SeriesRefused, series_of
from invites.roster.series_rows import (
    SPANNING,
    Stretches,
    guests_of,
    repeating,
    series_rows,
    stretches_of,
)
from invites.times import zone


class Spelling(NamedTuple):
    """A room's text, where it stands, and the claim that it comes to."""

    row: int
    text: str
    claim: str


@dataclass(slots=True)
class ParsedMeeting:
    """A meeting as its rows agree on it, None where nothing of it is left.

    `refused` are the rows left out, `repeated` the number of rows that said something again.
    """

    meeting: Meeting | None = None
    problems: list[Problem] = field(default_factory=list)
    spellings: list[Spelling] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    repeated: int = 0


class MeetingParser:
    """Parses meetings by one roster's rules and header; what cells mean is kept between meetings."""

    def __init__(
        self,
        places: Sequence[PlacedColumn],
        rules: RosterRules,
        *,
        email_shown: str,
        skip_invalid: bool,
    ) -> None:
        """Parse meetings whose own cells are at `places`; problems name the addresses' column.

        With `skip_invalid` a meeting whose rows disagree is left out with all of them, for nobody
        can tell which of them are right.
        """
        self._skip_invalid = skip_invalid
        self._rules = rules
        self._email_shown = email_shown
        self._places = {place.column.name: (at, place) for at, place in enumerate(places)}
        self._readings = [CellReader(place.column, rules) for place in places]
        self._times: dict[tuple[object, object, str], Times] = {}
        self._default_zone = zone(rules.timezone).key
        about = self._places.get("occurrence")
        self._occurrence = None if about is None else about[0]

    def parse(self, said: MeetingRows) -> ParsedMeeting:
        """Return the meeting that its rows come to, and what is wrong with its rows."""
        parsed = ParsedMeeting(refused=set(said.refused))
        alike = [self._read(parsed, rows, cells) for cells, rows in said.alike.items()]
        if not said.meeting_id:
            for group in alike:
                self._place_times(parsed, group, self._zone_of([group]))
            return parsed
        dates = [group for group in alike if self._is_date(group.cells)]
        if dates:
            alike = [group for group in alike if not self._is_date(group.cells)]
        if parsed.problems:
            self._refuse_dependents(parsed, alike)
        zone_name = self._zone_of(alike)
        for group in (*alike, *dates):
            self._place_times(parsed, group, zone_name)
        stretches = self._all_compared(parsed, said, alike, zone_name)
        self._note_spellings(parsed, alike)
        _refuse_clashes(parsed, said, self._email_shown)
        self._refuse_long_links(parsed, said, alike)
        if any(problem.refuses_file for problem in parsed.problems):
            return parsed
        attended = self._series(parsed, said, alike, dates, zone_name, stretches)
        if attendees := _attendees(parsed, said):
            meeting = _meeting(said, alike, attendees, zone_name, parsed.refused)
            parsed.meeting = repeating(meeting, attended, said, dates)
        return parsed

    def _is_date(self, cells: Cells) -> bool:
        """Whether rows with these cells are about one date of a series."""
        return self._occurrence is not None and bool(cells[self._occurrence])

    def _series(
        self,
        parsed: ParsedMeeting,
        said: MeetingRows,
        alike: Sequence[AlikeRows],
        dates: Sequence[AlikeRows],
        zone_name: str,
        stretches: Stretches | None,
    ) -> Attended | None:
        """Return the meeting's series; None where it does not repeat, or is refused."""
        if not dates and not agreed(alike, "recurrence") and not agreed(alike, "exclude"):
            return None
        try:
            rows = series_rows(
                said,
                alike,
                dates,
                places=self._places,
                zone_name=zone_name,
                refused=parsed.refused,
                stretches=stretches,
            )
            guests_of(said, dates)  # refuses those whose rows disagree
            return None if rows is None else series_of(rows, self._rules.validity)
        except SeriesRefused as refusal:
            self._refuse_series(parsed, alike, dates, refusal)
        return None

    def _refuse_series(
        self,
        parsed: ParsedMeeting,
        alike: Sequence[AlikeRows],
        dates: Sequence[AlikeRows],
        refusal: SeriesRefused,
    ) -> None:
        at, _ = self._places[refusal.column]
        telling = (group for group in alike if group.cells[at])
        wrong = next(telling, alike[0]) if refusal.exception is None else dates[refusal.exception]
        self._refuse(parsed, wrong.rows, refusal.column, wrong.cells, refusal.expected)
        if self._skip_invalid:
            # Without one of its dates' rows a series would have a date that nobody wants.
            expected = f"a series in order: row {wrong.row} is not, so all its rows are left out"
            for group in (*alike, *dates):
                rest = [row for row in group.rows if row not in parsed.refused]
                self._refuse(parsed, rest, refusal.column, group.cells, expected)

    def _zone_of(self, alike: Iterable[AlikeRows]) -> str:
        return agreed(alike, "timezone") or self._default_zone

    def _read(self, parsed: ParsedMeeting, rows: list[int], cells: Cells) -> AlikeRows:
        """Return what the cells of some rows are; those that are refused have no value."""
        values: dict[str, Any] = {}
        a_date = self._is_date(cells)
        for name, (at, place) in self._places.items():
            if a_date and place.column.required and not cells[at]:
                continue  # it is as the series has it
            value = self._readings[at][cells[at]]
            if type(value) is RefusedCell:
                self._refuse(parsed, rows, name, cells, value.expected)
            else:
                values[name] = value
        return AlikeRows(rows, cells, values)

    def _refuse(
        self, parsed: ParsedMeeting, rows: Iterable[int], name: str, cells: Cells, expected: str
    ) -> None:
        at, place = self._places[name]
        parsed.refused.update(rows)
        parsed.problems += [
            Problem(row=row, column=place.shown, found=cells[at], expected=expected) for row in rows
        ]

    def _refuse_dependents(self, parsed: ParsedMeeting, alike: Sequence[AlikeRows]) -> None:
        """Refuse rows whose empty cell takes the meeting's value where that value was refused.

        Otherwise a misspelt zone or room in one row would move the whole meeting.
        """
        for name in self._places:
            wrong = [group for group in alike if name not in group.values]
            if not wrong or agreed(alike, name) is not None:
                continue
            for group in alike:
                if name in group.values:
                    del group.values[name]
                    expected = f"what the meeting's row {wrong[0].row} should have here"
                    self._refuse(parsed, group.rows, name, group.cells, expected)

    def _place_times(self, parsed: ParsedMeeting, group: AlikeRows, zone_name: str) -> None:
        """Put instants in the place of the times that the cells have."""
        values = group.values
        if "timezone" in self._places and "timezone" not in values:
            values.pop("start", None)
            values.pop("end", None)
            return
        given = (values.get("start"), values.get("end"), zone_name)
        times = self._times.get(given)
        if times is None:
            times = self._times[given] = times_of(*given, self._rules)
        for name, value in zip(("start", "end"), times, strict=True):
            if isinstance(value, datetime):
                values[name] = value
            else:
                values.pop(name, None)
                if value.expected:
                    self._refuse(parsed, group.rows, name, group.cells, value.expected)

    def _all_compared(
        self,
        parsed: ParsedMeeting,
        said: MeetingRows,
        alike: Sequence[AlikeRows],
        zone_name: str,
    ) -> Stretches | None:
        """Note where rows disagree; return what they make where they are stretches of a series."""
        if len(alike) < 2:
            return None
        stretches = stretches_of(said, alike, zone_name)
        for name in self._places:
            if stretches is None or name not in SPANNING:
                self._compare(parsed, alike, name)
        return stretches

    def _compare(self, parsed: ParsedMeeting, alike: Sequence[AlikeRows], name: str) -> None:
        """Note a problem for each value that differs from the first row's.

        Where faulty rows are left out, all rows of the meeting are: each has the problem then.
        """
        at, place = self._places[name]
        stated = [group for group in alike if group.values.get(name) is not None]
        firsts: dict[object, AlikeRows] = {}
        for group in stated:
            firsts.setdefault(key_of(group.values[name]), group)
        if len(firsts) < 2:
            return
        first, *others = firsts.values()
        if self._skip_invalid:
            expected = _one_value(first, others[0], at)
            for group in alike:
                self._refuse(parsed, group.rows, name, group.cells, expected)
            return
        expected = as_in(first, at)
        parsed.problems += [
            Problem(
                row=group.row,
                column=place.shown,
                found=group.cells[at],
                expected=expected,
                refuses_file=True,
            )
            for group in others
        ]

    def _refuse_long_links(
        self, parsed: ParsedMeeting, said: MeetingRows, alike: Sequence[AlikeRows]
    ) -> None:
        """Refuse rows whose join link mail programs break; a cancelled meeting has no links."""
        scales, named = self._rules.links, agreed(alike, "room")
        if scales is None or agreed(alike, "status") is Status.CANCELLED:
            return
        room = named.room if named else None
        suspects = scales.suspects(said.rows(), room)
        start, end = agreed(alike, "start"), agreed(alike, "end")
        if not suspects or start is None or end is None:
            return
        # A derived room is as long with any key.
        room = room or derived_room(said.meeting_id, b"")
        validity = validity_for(start, end, self._rules.validity)
        for attendee, length in scales.too_long(suspects, room=room, validity=validity):
            parsed.refused.add(attendee.row)
            parsed.problems.append(link_problem(attendee, length))

    def _note_spellings(self, parsed: ParsedMeeting, alike: Iterable[AlikeRows]) -> None:
        for group in alike:
            named = group.values.get("room")
            if isinstance(named, NamedRoom):
                parsed.spellings.append(Spelling(group.row, named.text, named.room.claim))


def _one_value(first: AlikeRows, other: AlikeRows, at: int) -> str:
    return (
        f'one value in all rows of the meeting (row {first.row} has "{escaped(first.cells[at])}", '
        f'row {other.row} "{escaped(other.cells[at])}"); all of them are left out'
    )


def _refuse_clashes(parsed: ParsedMeeting, said: MeetingRows, column: str) -> None:
    """Refuse all rows of an address that has other values in another row of the meeting."""
    for address in said.clashes.keys() | (said.spoilt.keys() & said.attendees.keys()):
        rows = [
            said.attendees[address],
            *said.repeats.get(address, ()),
            *said.clashes.get(address, ()),
        ]
        spoilt = said.spoilt.get(address, [])
        numbers = sorted({*(attendee.row for attendee in rows), *spoilt})
        for attendee in rows:
            other = numbers[1] if attendee.row == numbers[0] else numbers[0]
            parsed.refused.add(attendee.row)
            parsed.problems.append(
                Problem(
                    row=attendee.row,
                    column=column,
                    found=attendee.email,
                    expected=f"the values of row {other}, "
                    "which has the same address in the same meeting",
                )
            )


def _attendees(parsed: ParsedMeeting, said: MeetingRows) -> tuple[Attendee, ...]:
    """Return the attendees whose rows are sound, in the order of their addresses."""
    if not (parsed.refused or said.repeats):
        return tuple(sorted(said.attendees.values(), key=lambda attendee: attendee.address))
    found = []
    for address in sorted(said.attendees):
        rows = [said.attendees[address], *said.repeats.get(address, ())]
        sound = [attendee for attendee in rows if attendee.row not in parsed.refused]
        if sound:
            parsed.repeated += len(sound) - 1
            spelt = min(sound, key=lambda attendee: attendee.email)
            found.append(replace(spelt, row=min(attendee.row for attendee in sound)))
    return tuple(found)


def _meeting(
    said: MeetingRows,
    alike: Sequence[AlikeRows],
    attendees: tuple[Attendee, ...],
    zone_name: str,
    refused: set[int],
) -> Meeting:
    """Return the meeting on which all its rows agree, those left out for another fault included."""
    stated = ((one.attribute, _stated(alike, one.name)) for one in compared(Holder.MEETING))
    given = {name: value for name, value in stated if value is not None}
    return Meeting(
        id=said.meeting_id,
        attendees=attendees,
        incomplete=bool(refused),
        row=min(row for one in alike for row in one.rows if row not in refused),
        **given | {"timezone": zone_name},
    )


def _stated(alike: Iterable[AlikeRows], name: str) -> Any:
    """Return the meeting's value in a column, None where no row has one.

    Of an address in several spellings it is the first in code-point order.
    """
    values = [value for group in alike if (value := group.values.get(name)) is not None]
    match values:
        case [NamedRoom() as named, *_]:
            return named.room
        case [Address(), *_]:
            return min(value.mailbox for value in values)
        case _:
            return values[0] if values else None
