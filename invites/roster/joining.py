"""Rows that list each date of a series by itself, joined into the series (`[roster] series`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from invites.model import Attendee, JoinedRows, Meeting, Occurrence, Series, Status
from invites.problems import Problem, Warned, escaped
from invites.roster.cells import RosterRules
from invites.roster.fitting import Fitted, fitted
from invites.roster.meetings import ParsedMeeting
from invites.roster.recurrence import Rule
from invites.roster.rows import MeetingRows
from invites.roster.series import SeriesRefused, SeriesRows, check_dates
from invites.text import counted
from invites.times import zone

ALIKE: Final = ("timezone", "room", "description", "organizer_name", "organizer_email")
"""What all dates of a series have alike, by columns; status and title may differ on a date."""


class _Part(NamedTuple):
    """The rows of one date, and the meeting that they are by themselves."""

    said: MeetingRows
    parsed: ParsedMeeting

    @property
    def rows(self) -> list[int]:
        """All its rows, those left out included."""
        return sorted(row for rows in self.said.alike.values() for row in rows)


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """What keeps dates from being one series: the row, the column, what was found and expected."""

    def __init__(self, row: int, column: str, found: str, expected: str) -> None:
        super().__init__(expected)
        self.problem = (row, column, found, expected)


@dataclass(slots=True, kw_only=True)
class Joining:
    """What came of it: the meetings' rows parsed, the ids that there should be, and what is told."""

    parsed: list[ParsedMeeting] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    told: JoinedRows | None = None


def joined(
    parts: Iterable[tuple[MeetingRows, ParsedMeeting]],
    rules: RosterRules,
    shown: Mapping[str, str],
    *,
    skip_invalid: bool,
) -> Joining:
    """Return the roster's meetings, those of one value in the series' column as one.

    `shown` is what the file calls the columns.  The meeting_id of a series is the value: it stays
    while an export drops past dates and gets new ones.
    """
    found = Joining()
    groups: dict[str, list[_Part]] = defaultdict(list)
    for said, parsed in parts:
        found.parsed.append(parsed)
        if said.series:
            groups[said.series].append(_Part(said, parsed))
        elif said.meeting_id:
            found.ids.add(said.meeting_id)
    if rules.series:
        found.told = JoinedRows(column=rules.series)
        often = Counter(part.said.meeting_id for each in groups.values() for part in each)
        for value, group in groups.items():
            _Group(value, group, rules, shown, often, skip_invalid).into(found)
        _refuse_taken_ids(found, shown)
    return found


@dataclass(frozen=True, slots=True)
class _Group:
    """The dates that have one value in the series' column."""

    value: str
    parts: list[_Part]
    rules: RosterRules
    shown: Mapping[str, str]
    often: Mapping[str, int]
    skip_invalid: bool

    def into(self, found: Joining) -> None:
        """Put the series in the place of its dates; or say why it is none."""
        lost = next((part for part in self.parts if part.parsed.refused), None)
        whole = all(part.parsed.meeting for part in self.parts)
        if lost is not None or not whole:
            at = min(lost.parsed.refused) if lost else self.parts[0].rows[0]
            # Without one of its rows a date would be missing, and be taken from calendars.
            expected = f"a series in order: row {at} is not, so all its rows are left out"
            self._leave_out(found, expected if lost else "")
            return
        try:
            self._join(found)
        except _Refused as refusal:
            row, column, text, expected = refusal.problem
            self._leave_out(
                found, f"a series in order: row {row} is not, so all its rows are left out", but=row
            )
            problem = Problem(
                row=row, column=self.shown.get(column, column), found=text, expected=expected
            )
            found.parsed[-1].problems.append(problem)

    def _leave_out(self, found: Joining, expected: str, but: int = 0) -> None:
        found.ids |= {self.value, *(part.said.meeting_id for part in self.parts)}
        gone = ParsedMeeting()
        for part in self.parts:
            part.parsed.meeting = None
            rest = [row for row in part.rows if row not in part.parsed.refused]
            gone.refused.update(rest)
            if expected and self.skip_invalid:
                gone.problems += [self._problem(row, expected) for row in rest if row != but]
        found.parsed.append(gone)

    def _problem(self, row: int, expected: str) -> Problem:
        column = self.shown[self.rules.series]
        return Problem(row=row, column=column, found=self.value, expected=expected)

    def _join(self, found: Joining) -> None:
        told = found.told
        assert told is not None  # noqa: S101 - there is a column
        dates = self._dates()
        rows = sum(len(part.rows) for part in self.parts)
        series, single = self._series(dates)
        for part in self.parts:
            part.parsed.meeting = None
        made = [] if series is None else [series]
        made += [replace(each, id=self._own_id(each)) for each in single]
        found.ids |= {meeting.id for meeting in made}
        found.parsed += [ParsedMeeting(meeting=meeting) for meeting in made]
        if series is not None and series.series is not None:
            told = replace(
                told,
                rows=told.rows + rows,
                series=told.series + 1,
                dates=told.dates + len(series.series.taking_place),
            )
        if single:
            why = (
                f"{counted(len(single), 'date')} of {len(dates)} beside the rule that the others follow"
                if series is not None
                else f"its {len(dates)} dates follow no rule that Outlook can express"
            )
            stay = (
                "stays a meeting of its own" if len(single) == 1 else "stay meetings of their own"
            )
            said = Warned(
                row=single[0].row,
                column=self.shown[self.rules.series],
                text=f'"{escaped(self.value)}": {counted(len(single), "date")} {stay}: {why}',
            )
            told = replace(told, single=(*told.single, said))
        found.told = told

    def _own_id(self, meeting: Meeting) -> str:
        """Return the id of a date that stays by itself: its rows' own, where no other date has it."""
        if self.often[meeting.id] == 1 and meeting.id != self.value:
            return meeting.id
        local = meeting.start.astimezone(zone(meeting.timezone))
        return f"{meeting.id} {local:%Y-%m-%d %H:%M}"

    def _dates(self) -> list[Meeting]:
        """Return the dates in order, each once; raises _Refused where they are not one series'."""
        at_start: dict[datetime, Meeting] = {}
        meetings = sorted(
            (part.parsed.meeting for part in self.parts if part.parsed.meeting),
            key=lambda one: (one.start, one.row),
        )
        for one in meetings:
            self._check_alike(meetings[0], one)
            first = at_start.setdefault(one.start, one)
            if first is not one:
                at_start[one.start] = self._merged(first, one)
        dates = list(at_start.values())
        taking_place = (one for one in dates if one.status is not Status.CANCELLED)
        for one, after in pairwise(taking_place):
            if one.end > after.start:
                raise self._apart(
                    after,
                    "start",
                    f"a start after row {one.row}'s end: dates of one series don't overlap",
                )
        return dates

    def _apart(self, one: Meeting, column: str, expected: str) -> _Refused:
        name = self.rules.series
        return _Refused(
            one.row,
            column,
            _text(one, column),
            f'{expected} (one series, for "{escaped(name)}" is "{escaped(self.value)}" in both); '
            "if these are two, name a column in [roster] series that tells them apart",
        )

    def _check_alike(self, first: Meeting, one: Meeting) -> None:
        for column in ALIKE:
            if getattr(first, column) != getattr(one, column):
                text = escaped(_text(first, column))
                raise self._apart(one, column, f'"{text}" as in row {first.row}')
        kinds = {each.status for each in (first, one)} - {Status.CANCELLED}
        if len(kinds) > 1:
            raise self._apart(
                one, "status", f'"{first.status}" as in row {first.row}, or cancelled'
            )

    def _merged(self, first: Meeting, one: Meeting) -> Meeting:
        """Return one date that rows of two meeting_ids list."""
        for column in ("end", "title", "status"):
            if getattr(first, column) != getattr(one, column):
                text = escaped(_text(first, column))
                raise self._apart(one, column, f'"{text}" as in row {first.row} at the same time')
        known = {each.address: each for each in first.attendees}
        for each in one.attendees:
            self._check_attendee(known.setdefault(each.address, each), each)
        return replace(first, attendees=tuple(known.values()))

    def _check_attendee(self, known: Attendee, one: Attendee) -> None:
        same = replace(
            one, row=known.row, columns=known.columns, email=known.email, mailbox=known.mailbox
        )
        if same != known:
            raise _Refused(
                one.row,
                "email",
                one.email,
                f"the values of row {known.row}, which has the same address in the same series; "
                "an attendee has one name, role and language for all dates of a series",
            )

    def _series(self, dates: list[Meeting]) -> tuple[Meeting | None, list[Meeting]]:
        """Return the series that the dates make, None for none, and those that stay single."""
        if len(dates) == 1:
            return replace(dates[0], id=self.value, joined=True), []
        there = zone(dates[0].timezone)
        length = Counter(one.end - one.start for one in dates).most_common(1)[0][0]
        found = fitted([one.start for one in dates], length, there)
        if found is None:
            return None, dates
        at = [place for place in found.places if place is not None]
        series = self._meeting([dates[place] for place in at], found, dates, length)
        return series, [dates[place] for place in found.beside]

    def _meeting(
        self, own: Sequence[Meeting], found: Fitted, dates: Sequence[Meeting], length: timedelta
    ) -> Meeting:
        off = all(one.status is Status.CANCELLED for one in own)
        title = self._title(own)
        occurrences = tuple(
            _occurrence(original, None if place is None else dates[place], length, title, off=off)
            for original, place in zip(found.originals, found.places, strict=True)
        )
        series = Series(recurrence=found.recurrence, occurrences=occurrences)
        start = found.originals[0]
        first = min(own, key=lambda one: one.row)
        self._check(series, first, start, start + length)
        return replace(
            first,
            id=self.value,
            title=title,
            start=start,
            end=start + length,
            status=next(
                (one.status for one in own if one.status is not Status.CANCELLED), first.status
            ),
            attendees=self._attendees(own, series),
            series=series,
            joined=True,
        )

    def _title(self, own: Sequence[Meeting]) -> str:
        """Return the title that more dates have than any other, else the column's value."""
        (title, most), *others = Counter(one.title for one in own).most_common(2)
        tie = others and others[0][1] == most
        return self.value if tie else title

    def _check(self, series: Series, first: Meeting, start: datetime, end: datetime) -> None:
        rows = SeriesRows(
            rule=Rule(recurrence=series.recurrence),
            start=start,
            end=end,
            title="",
            zone=zone(first.timezone),
        )
        try:
            check_dates(series, rows, self.rules.validity)
        except SeriesRefused as refusal:
            column = "start" if refusal.column == "recurrence" else refusal.column
            raise _Refused(first.row, column, _text(first, column), refusal.expected) from None

    def _attendees(self, own: Sequence[Meeting], series: Series) -> tuple[Attendee, ...]:
        """Return all who come to some date, with the dates that they are not listed on."""
        originals = {one.start: one.original for one in series.taking_place}
        known: dict[str, Attendee] = {}
        comes: dict[str, set[datetime]] = defaultdict(set)
        for one in own:
            for each in one.attendees:
                self._check_attendee(known.setdefault(each.address, each), each)
                if one.start in originals:
                    comes[each.address].add(originals[one.start])
        everybody = (known[address] for address in sorted(known) if comes[address])
        every = tuple(originals.values())
        return tuple(
            each
            if len(comes[each.address]) == len(every)
            else replace(each, misses=tuple(one for one in every if one not in comes[each.address]))
            for each in everybody
        )


def _occurrence(
    original: datetime, date: Meeting | None, length: timedelta, title: str, *, off: bool
) -> Occurrence:
    """Return one date of the rule; `off` where all are cancelled, and the series says so itself."""
    if date is None or (date.status is Status.CANCELLED and not off):
        return Occurrence(original=original, start=original, end=original + length, cancelled=True)
    own = "" if date.title == title else date.title
    return Occurrence(original=original, start=date.start, end=date.end, title=own)


def _text(meeting: Meeting, column: str) -> str:
    value = getattr(meeting, column)
    match value:
        case None:
            return ""
        case datetime():
            return f"{value.astimezone(zone(meeting.timezone)):%Y-%m-%d %H:%M}"
        case _:
            return str(getattr(value, "claim", value))


def _refuse_taken_ids(found: Joining, shown: Mapping[str, str]) -> None:
    """Refuse the file where a series would have the meeting_id of another meeting."""
    first: dict[str, ParsedMeeting] = {}
    for one in _made(found):
        assert one.meeting is not None  # noqa: S101 - those alone are made
        other = first.setdefault(one.meeting.id, one)
        if other is not one and other.meeting is not None:
            one.problems.append(
                Problem(
                    row=one.meeting.row,
                    column=shown["meeting_id"],
                    found=one.meeting.id,
                    expected="another meeting_id than the one that the series of row "
                    f"{other.meeting.row} has by [roster] series",
                    refuses_file=True,
                )
            )


def _made(found: Joining) -> Iterator[ParsedMeeting]:
    return (one for one in found.parsed if one.meeting is not None)
