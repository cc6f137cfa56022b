"""From a draft to a meeting: its rows are compared, its times placed on the line of instants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from invites.addresses import Address
from invites.jitsi.links import link_problem
from invites.jitsi.rooms import derived_room
from invites.jitsi.validity import fits, validity_for
from invites.model import Attendee, Meeting, Status
from invites.problems import Problem, escaped
from invites.roster.cells import NamedRoom, RosterRules
from invites.roster.header import Place
from invites.roster.rows import Cells, Draft, Readings, Refusal
from invites.times import TimeRefused, instant, zone


class Spelling(NamedTuple):
    """A room's text, where it stands, and the claim that it comes to."""

    row: int
    text: str
    claim: str


class Times(NamedTuple):
    """Start and end in UTC; either is a Refusal where it has no place on the line of instants."""

    start: datetime | Refusal
    end: datetime | Refusal


@dataclass(slots=True)
class Settled:
    """A meeting as its rows agree on it, None where nothing of it is left.

    `refused` are the rows left out, `repeated` the number of rows that said something again.
    """

    meeting: Meeting | None = None
    problems: list[Problem] = field(default_factory=list)
    spellings: list[Spelling] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    repeated: int = 0


@dataclass(slots=True)
class _Variant:
    """Rows whose meeting cells have the same text, in their order, and what these cells are."""

    rows: list[int]
    cells: Cells
    values: dict[str, Any]

    @property
    def row(self) -> int:
        return self.rows[0]


class Settler:
    """Settles drafts by one roster's rules and header; what cells mean is kept between drafts."""

    def __init__(self, places: Sequence[Place], rules: RosterRules, *, email_shown: str) -> None:
        """Settle drafts whose meeting cells are at `places`; problems name the addresses' column."""
        self._rules = rules
        self._email_shown = email_shown
        self._places = {place.column.name: (at, place) for at, place in enumerate(places)}
        self._readings = [Readings(place.column, rules) for place in places]
        self._times: dict[tuple[object, object, str], Times] = {}
        self._default_zone = zone(rules.timezone).key

    def settle(self, draft: Draft) -> Settled:
        """Return the meeting that a draft comes to, and what is wrong with its rows."""
        settled = Settled(refused=set(draft.refused))
        variants = [self._read(settled, rows, cells) for cells, rows in draft.variants.items()]
        if not draft.meeting_id:
            for variant in variants:
                self._place_times(settled, variant, self._zone_of([variant]))
            return settled
        if settled.problems:
            self._refuse_dependents(settled, variants)
        zone_name = self._zone_of(variants)
        for variant in variants:
            self._place_times(settled, variant, zone_name)
        if len(variants) > 1:
            for name in self._places:
                self._compare(settled, variants, name)
        self._note_spellings(settled, variants)
        _refuse_clashes(settled, draft, self._email_shown)
        self._refuse_long_links(settled, draft, variants)
        attendees = _attendees(settled, draft)
        if attendees and not any(problem.refuses_file for problem in settled.problems):
            settled.meeting = _meeting(draft, variants, attendees, zone_name, settled.refused)
        return settled

    def _zone_of(self, variants: Iterable[_Variant]) -> str:
        return _agreed(variants, "timezone") or self._default_zone

    def _read(self, settled: Settled, rows: list[int], cells: Cells) -> _Variant:
        """Return what the cells of some rows are; those that are refused have no value."""
        values: dict[str, Any] = {}
        for name, (at, _) in self._places.items():
            value = self._readings[at][cells[at]]
            if type(value) is Refusal:
                self._refuse(settled, rows, name, cells, value.expected)
            else:
                values[name] = value
        return _Variant(rows, cells, values)

    def _refuse(
        self, settled: Settled, rows: Iterable[int], name: str, cells: Cells, expected: str
    ) -> None:
        at, place = self._places[name]
        settled.refused.update(rows)
        settled.problems += [
            Problem(row=row, column=place.shown, found=cells[at], expected=expected) for row in rows
        ]

    def _refuse_dependents(self, settled: Settled, variants: Sequence[_Variant]) -> None:
        """Refuse rows whose empty cell takes the meeting's value where that value was refused.

        Otherwise a misspelt zone or room in one row would move the whole meeting.
        """
        for name in self._places:
            wrong = [variant for variant in variants if name not in variant.values]
            if not wrong or _agreed(variants, name) is not None:
                continue
            for variant in variants:
                if name in variant.values:
                    del variant.values[name]
                    expected = f"what the meeting's row {wrong[0].row} should have here"
                    self._refuse(settled, variant.rows, name, variant.cells, expected)

    def _place_times(self, settled: Settled, variant: _Variant, zone_name: str) -> None:
        """Put instants in the place of the times that the cells have."""
        values = variant.values
        if "timezone" in self._places and "timezone" not in values:
            values.pop("start", None)
            values.pop("end", None)
            return
        given = (values.get("start"), values.get("end"), zone_name)
        times = self._times.get(given)
        if times is None:
            times = self._times[given] = _times(*given, self._rules)
        for name, value in zip(("start", "end"), times, strict=True):
            if isinstance(value, datetime):
                values[name] = value
            else:
                values.pop(name, None)
                if value.expected:
                    self._refuse(settled, variant.rows, name, variant.cells, value.expected)

    def _compare(self, settled: Settled, variants: Sequence[_Variant], name: str) -> None:
        """Note a problem of the file for each value that differs from the first row's."""
        at, place = self._places[name]
        stated = [variant for variant in variants if variant.values.get(name) is not None]
        seen = {_key(stated[0].values[name])} if stated else set()
        for variant in stated[1:]:
            key = _key(variant.values[name])
            if key not in seen:
                seen.add(key)
                settled.problems.append(
                    Problem(
                        row=variant.row,
                        column=place.shown,
                        found=variant.cells[at],
                        expected=_as_in(stated[0], at),
                        refuses_file=True,
                    )
                )

    def _refuse_long_links(
        self, settled: Settled, draft: Draft, variants: Sequence[_Variant]
    ) -> None:
        """Refuse rows whose join link mail programs break; a cancelled meeting has no links."""
        scales, named = self._rules.links, _agreed(variants, "room")
        if scales is None or _agreed(variants, "status") is Status.CANCELLED:
            return
        room = named.room if named else None
        suspects = scales.suspects(draft.rows(), room)
        start, end = _agreed(variants, "start"), _agreed(variants, "end")
        if not suspects or start is None or end is None:
            return
        # A derived room is as long with any key.
        room = room or derived_room(draft.meeting_id, b"")
        validity = validity_for(start, end, self._rules.validity)
        for attendee, length in scales.too_long(suspects, room=room, validity=validity):
            settled.refused.add(attendee.row)
            settled.problems.append(link_problem(attendee, length))

    def _note_spellings(self, settled: Settled, variants: Iterable[_Variant]) -> None:
        for variant in variants:
            named = variant.values.get("room")
            if isinstance(named, NamedRoom):
                settled.spellings.append(Spelling(variant.row, named.text, named.room.claim))


def _times(start: object, end: object, zone_name: str, rules: RosterRules) -> Times:
    """Return the instants of a meeting's times; a Refusal without words is reported elsewhere."""
    placed = [_instant(moment, zone_name, rules) for moment in (start, end)]
    opened, closed = placed
    if isinstance(opened, datetime) and isinstance(closed, datetime):
        if closed <= opened:
            return Times(opened, Refusal("an end after the start"))
        validity = validity_for(opened, closed, rules.validity)
        if not fits(validity, rules.validity):
            lives = timedelta(seconds=validity.expires - validity.not_before)
            longest = rules.validity.longest
            return Times(
                opened,
                Refusal(
                    f"an end by which a token lives at most {_hours(longest)}; this one needs "
                    f"{_hours(lives)} from before the start to after the end ([validity] longest)"
                ),
            )
    return Times(opened, closed)


def _instant(moment: object, zone_name: str, rules: RosterRules) -> datetime | Refusal:
    if not isinstance(moment, datetime):
        return Refusal("")
    how = f"%z in [roster] date_format ({rules.date_format}) reads one" if rules.date_format else ""
    try:
        return instant(moment, zone(zone_name), with_offset=how)
    except TimeRefused as refusal:
        return Refusal(refusal.expected)


def _hours(span: timedelta) -> str:
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    tail = f":{seconds:02d}" if seconds else ""
    return f"{minutes // 60}:{minutes % 60:02d}{tail} h"


def _key(value: object) -> object:
    """Return what two cells have in common that say the same."""
    match value:
        case Address():
            return value.address
        case NamedRoom():
            return value.room.claim
        case _:
            return value


def _as_in(first: _Variant, at: int) -> str:
    return f'"{escaped(first.cells[at])}" as in row {first.row} of the same meeting'


def _agreed(variants: Iterable[_Variant], name: str) -> Any:
    """Return the value that the rows give, None where none does."""
    stated = (variant.values.get(name) for variant in variants)
    return next((value for value in stated if value is not None), None)


def _refuse_clashes(settled: Settled, draft: Draft, column: str) -> None:
    """Refuse all rows of an address that has other values in another row of the meeting."""
    for address in draft.clashes.keys() | (draft.spoilt.keys() & draft.attendees.keys()):
        rows = [
            draft.attendees[address],
            *draft.repeats.get(address, ()),
            *draft.clashes.get(address, ()),
        ]
        spoilt = draft.spoilt.get(address, [])
        numbers = sorted({*(attendee.row for attendee in rows), *spoilt})
        for attendee in rows:
            other = numbers[1] if attendee.row == numbers[0] else numbers[0]
            settled.refused.add(attendee.row)
            settled.problems.append(
                Problem(
                    row=attendee.row,
                    column=column,
                    found=attendee.email,
                    expected=f"the values of row {other}, "
                    "which has the same address in the same meeting",
                )
            )


def _attendees(settled: Settled, draft: Draft) -> tuple[Attendee, ...]:
    """Return the attendees whose rows are sound, in the order of their addresses."""
    if not (settled.refused or draft.repeats):
        return tuple(sorted(draft.attendees.values(), key=lambda attendee: attendee.address))
    found = []
    for address in sorted(draft.attendees):
        rows = [draft.attendees[address], *draft.repeats.get(address, ())]
        sound = [attendee for attendee in rows if attendee.row not in settled.refused]
        if sound:
            settled.repeated += len(sound) - 1
            spelt = min(sound, key=lambda attendee: attendee.email)
            found.append(replace(spelt, row=min(attendee.row for attendee in sound)))
    return tuple(found)


def _meeting(
    draft: Draft,
    variants: Sequence[_Variant],
    attendees: tuple[Attendee, ...],
    zone_name: str,
    refused: set[int],
) -> Meeting:
    """Return the meeting on which all its rows agree, those left out for another fault included."""
    named = _agreed(variants, "room")
    return Meeting(
        id=draft.meeting_id,
        title=_agreed(variants, "title"),
        start=_agreed(variants, "start"),
        end=_agreed(variants, "end"),
        timezone=zone_name,
        attendees=attendees,
        room=named.room if named else None,
        description=_agreed(variants, "description") or "",
        organizer_name=_agreed(variants, "organizer_name") or "",
        organizer_email=_organizer_email(variants),
        status=_agreed(variants, "status") or Status.CONFIRMED,
        incomplete=bool(refused),
        row=min(row for one in variants for row in one.rows if row not in refused),
    )


def _organizer_email(variants: Iterable[_Variant]) -> str:
    """Return the host's address; of several spellings the first in code-point order."""
    stated = (variant.values.get("organizer_email") for variant in variants)
    return min((value.mailbox for value in stated if value is not None), default="")
