"""The values that travel from a roster's row to a sent message: frozen, and free of effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol, TypeVar, overload
from zoneinfo import ZoneInfo

from invites.problems import Problem, Warned
from invites.times import zone

Value = TypeVar("Value")
Produced_co = TypeVar("Produced_co", covariant=True)


class Indexed(Protocol[Produced_co]):
    """Values that can be asked for by their places."""

    def __getitem__(self, place: int, /) -> Produced_co:
        """Return one."""


NO_COLUMNS: Mapping[str, str] = MappingProxyType({})


SeriesTokens = Literal["series", "occurrence", "rolling"]
"""Whether a series has one link, one for each date, or these a week's at once."""


class Status(StrEnum):
    """A meeting's status; the names are iCalendar's (RFC 5545 3.8.1.11) in lower case."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class Attendance(StrEnum):
    """Whether an attendee who is no moderator is expected (RFC 5545 3.2.16)."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One room: `claim` stands in the token, `segment` in the link (see `jitsi.rooms`)."""

    claim: str
    segment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """A token's window in whole seconds since 1970 (RFC 7519 4.1.4, 4.1.5).

    Admitted when `not_before <= now < expires`.
    """

    not_before: int
    expires: int


class Frequency(StrEnum):
    """What a series' dates are counted in (RFC 5545 3.3.10), of those that Outlook has."""

    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
"""The days of the week as rules name them, in the order of `datetime.weekday()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """By what rule a series' dates follow each other; one of Outlook's (MS-OXCICAL 2.1.3.2.2).

    A week begins on `week_start`.  `weekdays` are in the week's order; with `nth` (1 to 4, or -1
    for the last) the nth of these days in a month is meant.  `month_day` is 1 to 28, or -1 for the
    month's last day; `month` is 1 to 12.  What a frequency has no need of is empty or 0.
    """

    frequency: Frequency
    interval: int = 1
    weekdays: tuple[str, ...] = ()
    nth: int = 0
    month_day: int = 0
    month: int = 0
    week_start: str = "MO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One date of a series; times are aware and in UTC.

    `original` is the start by the rule, which names the date whatever becomes of it.
    `title` is "" where it is the series'.  `cancelled` ones don't take place.
    """

    original: datetime
    start: datetime
    end: datetime
    title: str = ""
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The dates on which a meeting repeats: all that the rule has, in the rule's order.

    The first one's `original` is the meeting's start; the last one's is where the rule ends.
    At least one takes place.
    """

    recurrence: Recurrence
    occurrences: tuple[Occurrence, ...]

    @property
    def taking_place(self) -> tuple[Occurrence, ...]:
        """The dates that are not cancelled."""
        return tuple(one for one in self.occurrences if not one.cancelled)

    @property
    def left_out(self) -> frozenset[datetime]:
        """The starts, by the rule, of the dates that don't take place."""
        return frozenset(one.original for one in self.occurrences if one.cancelled)

    def exceptions(self, duration: timedelta) -> tuple[Occurrence, ...]:
        """Return the dates that take place and differ from the rule, whose dates last `duration`."""
        return tuple(
            one
            for one in self.taking_place
            if one.title or one.start != one.original or one.end - one.start != duration
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """One person in one meeting.

    `email` is the address as the roster writes it, for people to read.
    `mailbox` is the same with its domain as A-labels, for headers, SMTP and `mailto:`.
    `address` is the folded form that two spellings share, for comparing and for identity.
    `columns` holds the roster's unknown columns, for templates.
    `misses` are the dates of a series that take place without this attendee, by their starts by
    the rule: aware, in UTC, sorted.
    `row` is the number a spreadsheet shows.
    Empty optional text is "" and an absent zone or language is None.
    """

    name: str
    email: str
    mailbox: str
    address: str
    moderator: bool = False
    attendance: Attendance = Attendance.REQUIRED
    avatar: str = ""
    language: str | None = None
    timezone: str | None = None
    features: tuple[str, ...] = ()
    user_id: str = ""
    group: str = ""
    columns: Mapping[str, str] = field(default_factory=lambda: NO_COLUMNS)
    misses: tuple[datetime, ...] = ()
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One meeting and its attendees, who are sorted by `address`.

    `start` and `end` are aware and in UTC; `timezone` (IANA) is the zone to show them in.
    Of a `series` they are those of the rule's first date; None for a meeting that does not repeat.
    `room` is None where the roster names none: then it is derived from `id`.
    `organizer_email` is A-label form, "" where the roster names no host.
    `everybody` are the attendees of the meeting of which this is a part, none of a whole one.
    `joined` is true where the rows of its dates were joined by a column, whose value the id is.
    `incomplete` is true where a row of this meeting was left out, so that nobody is withdrawn.
    `row` is the first row's number.
    """

    id: str
    title: str
    start: datetime
    end: datetime
    timezone: str
    attendees: tuple[Attendee, ...]
    room: Room | None = None
    description: str = ""
    organizer_name: str = ""
    organizer_email: str = ""
    status: Status = Status.CONFIRMED
    series: Series | None = None
    everybody: tuple[Attendee, ...] = ()
    joined: bool = False
    incomplete: bool = False
    row: int = 0

    @property
    def opens(self) -> datetime:
        """When it starts for the first time: of a series, its first date that takes place."""
        if self.series is None:
            return self.start
        return min(one.start for one in self.series.taking_place)

    @property
    def over_at(self) -> datetime:
        """When it is over: the end, of a series the last date's."""
        if self.series is None:
            return self.end
        return max(one.end for one in self.series.taking_place)

    @property
    def dates(self) -> tuple[Occurrence, ...]:
        """The dates on which it takes place: one, of a series each that is not cancelled."""
        if self.series is None:
            return (Occurrence(original=self.start, start=self.start, end=self.end),)
        return self.series.taking_place

    @property
    def starts(self) -> tuple[datetime, ...]:
        """When it starts, of a series each date that takes place."""
        return tuple(one.start for one in self.dates)

    def on_date(self, start: datetime) -> Meeting:
        """Return a meeting that takes place once: this one, of a series its date that starts then."""
        if self.series is None:
            return self
        return self.alone(next(one for one in self.series.taking_place if one.start == start))

    def alone(self, date: Occurrence) -> Meeting:
        """Return a date of this series as a meeting that takes place once."""
        return replace(
            self, start=date.start, end=date.end, title=date.title or self.title, series=None
        )

    def date_of(self, original: datetime) -> Occurrence:
        """Return the date of this series that the rule has at `original`; LookupError for none."""
        occurrences = self.series.occurrences if self.series else ()
        found = [one for one in occurrences if one.original == original]
        return found[0]

    def parts(self) -> tuple[Meeting, ...]:
        """Return the meeting as its attendees have it: one for all who come to the same dates.

        Each has those attendees alone, and the dates that they come to; the meeting itself where
        nobody misses one.
        """
        if self.series is None or not any(one.misses for one in self.attendees):
            return (self,)
        alike: dict[tuple[datetime, ...], list[Attendee]] = {}
        for one in self.attendees:
            alike.setdefault(one.misses, []).append(one)
        return tuple(
            replace(
                self._without(frozenset(misses)),
                attendees=tuple(attendees),
                everybody=self.everybody or self.attendees,
            )
            for misses, attendees in alike.items()
        )

    def _without(self, misses: frozenset[datetime]) -> Meeting:
        """Return the meeting on its other dates: of a series from the first to the last of them.

        At least one date is left.
        """
        series, length = self.series, self.end - self.start
        if series is None or not misses:
            return self
        kept = tuple(
            replace(one, start=one.original, end=one.original + length, title="", cancelled=True)
            if one.original in misses
            else one
            for one in series.occurrences
        )
        coming = [at for at, one in enumerate(kept) if not one.cancelled]
        if len(coming) == 1:
            return self.on_date(kept[coming[0]].start)
        first, last = coming[0], coming[-1] + 1
        # What is off for everybody stays: a date that is back again is an update of one date then.
        if not any(one.original in misses for one in kept[:first]):
            first = 0
        if not any(one.original in misses for one in kept[last:]):
            last = len(kept)
        # A series begins at its own time of day: not on a date that its zone's clocks make another.
        there = zone(self.timezone)
        wall = _on_the_wall(self.start, length, there)
        while _on_the_wall(kept[first].original, length, there) != wall:
            first -= 1
        begins = kept[first].original
        cut = Series(recurrence=series.recurrence, occurrences=kept[first:last])
        return replace(self, start=begins, end=begins + length, series=cut)

    def next_date(self, now: datetime) -> Occurrence | None:
        """Return the date that runs at `now` or comes next; None where there is none any more."""
        coming = (one for one in self.dates if one.end > now)
        return min(coming, key=lambda one: one.start, default=None)


def _on_the_wall(start: datetime, length: timedelta, there: ZoneInfo) -> tuple[time, time]:
    """Return the times of day at which a date begins and ends."""
    local, ends = (moment.astimezone(there) for moment in (start, start + length))
    return local.time(), ends.time()


class Chosen(Sequence[Value]):
    """Some of many values, by their places, each as `change` makes it when it is asked for.

    Where the values lie outside the memory, these do as well.
    """

    def __init__(
        self,
        values: Indexed[Value],
        places: Sequence[int],
        change: Callable[[Value], Value] | None = None,
    ) -> None:
        """Choose the values at `places`, in that order."""
        self._values = values
        self._places = places
        self._change = change

    def __len__(self) -> int:
        """Return how many were chosen."""
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> Chosen[Value]: ...
    def __getitem__(self, place: int | slice) -> Value | Chosen[Value]:
        """Return one of them, or several as a choice; IndexError where there is none."""
        if isinstance(place, slice):
            return Chosen(self._values, self._places[place], self._change)
        value = self._values[self._places[place]]
        return value if self._change is None else self._change(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRows:
    """What became of rows that list each date of a series by itself: `rows` made `series`.

    `column` is the one whose values tell series apart, `dates` all that take place; `single` says
    which dates stay meetings of their own, and why.
    """

    column: str
    rows: int = 0
    series: int = 0
    dates: int = 0
    single: tuple[Warned, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """A roster that was read and found in order, apart from the rows in `left_out`.

    `meetings` are sorted by (start, id).  `digest` is the SHA-256 of the file's bytes in hex.
    `rows_read` = `accepted` + the number of distinct rows left out; `repeated` counts the accepted
    rows that said again what another row says.
    `left_out_meetings` are the ids of meetings of which no row was accepted: they are not missing.
    `complete` is false where a left-out row's meeting can't be known.
    `final_newline` is false where the file ends without a line end: it may be cut, unless it is
    `sealed`: a `.sha256` beside it matches.
    `columns` are the known columns that the file has, None where nobody knows.
    `joined` is what `[roster] series` made of the rows, None where nothing is set.
    """

    source: str
    digest: str
    meetings: Sequence[Meeting]
    rows_read: int
    accepted: int
    rejected: int = 0
    repeated: int = 0
    left_out: tuple[Problem, ...] = ()
    left_out_meetings: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()
    complete: bool = True
    final_newline: bool = True
    sealed: bool = False
    columns: frozenset[str] | None = None
    joined: JoinedRows | None = None


class DateLink(NamedTuple):
    """The link of one date of a series: the date's start by the rule, and the token's window."""

    original: datetime
    validity: Validity
