"""What a roster says, in plain words: the rows of a file, and what each receiver is to hold by it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from tests.peers.calendar_model import Admission, Event

Place = tuple[str, str]
"""A meeting id and an address in lower case."""

OPENS_BEFORE = timedelta(minutes=15, seconds=60)
COLUMNS = (
    "meeting_id",
    "title",
    "start",
    "end",
    "timezone",
    "room",
    "status",
    "description",
    "organizer_name",
    "organizer_email",
    "name",
    "email",
    "moderator",
    "attendance",
    "user_id",
    "catering",
    "recurrence",
    "occurrence",
)


@dataclass
class RosterPerson:
    """A person in one meeting's rows; `catering` is a column of the roster's own."""

    name: str
    mailbox: str
    user_id: str = ""
    moderator: bool = False
    optional: bool = False
    catering: str = ""


@dataclass
class RosterMeeting:
    """A meeting's rows; `start` is what the clock on the wall of `zone` shows.

    `weeks` is on how many weeks it takes place, 0 for one that does not repeat; of these weeks
    (from 0) some are `cancelled`, and some are `late` by an hour and a half.
    A week has seven days unless `every` says how many.
    """

    title: str
    start: datetime
    minutes: int = 30
    zone: str = "Europe/Berlin"
    room: str = ""
    status: str = ""
    description: str = ""
    host: str = ""
    weeks: int = 0
    every: int = 7
    cancelled: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()
    guests: list[RosterPerson] = field(default_factory=list)

    @property
    def begins(self) -> datetime:
        """The start, in UTC."""
        return self.start.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    @property
    def ends(self) -> datetime:
        """The end of the last date, in UTC."""
        return self.dates[-1][1]

    @property
    def rule(self) -> str:
        """The rule, "" for a meeting that does not repeat."""
        often = "weekly" if self.every == 7 else f"every {self.every} days"
        return f"{often} x {self.weeks}" if self.weeks else ""

    @property
    def dates(self) -> tuple[tuple[datetime, datetime], ...]:
        """From when to when it takes place, in UTC."""
        return tuple(
            self._date(week, late=self.weeks > 0 and week in self.late)
            for week in range(max(self.weeks, 1))
            if not (self.weeks and week in self.cancelled)
        )

    @property
    def by_rule(self) -> tuple[tuple[datetime, datetime], ...]:
        """From when to when it would take place if no date were cancelled or late."""
        return tuple(self._date(week, late=False) for week in range(self.weeks))

    def _date(self, week: int, *, late: bool) -> tuple[datetime, datetime]:
        wall = self.start + timedelta(days=week * self.every, minutes=90 * late)
        start = wall.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
        return start, start + timedelta(minutes=self.minutes)

    def date_rows(self) -> Iterator[dict[str, str]]:
        """Yield what the rows about single dates say, which speak for everybody."""
        for week in range(self.weeks):
            wall = self.start + timedelta(days=week * self.every)
            if week in self.cancelled:
                yield {"occurrence": f"{wall:%Y-%m-%d}", "status": "cancelled"}
            elif week in self.late:
                later = wall + timedelta(minutes=90)
                yield {
                    "occurrence": f"{wall:%Y-%m-%d %H:%M}",
                    "start": f"{later:%Y-%m-%d %H:%M}",
                    "end": f"{later + timedelta(minutes=self.minutes):%Y-%m-%d %H:%M}",
                }


class Secret(NamedTuple):
    """A secret that the server had at some time."""

    name: str
    octets: bytes


class DateView(NamedTuple):
    """What the link of one date of a series is good for; `start` is the date's."""

    start: datetime
    room: str
    opens: int
    closes: int
    moderator: bool
    name: str
    user_id: str
    secret: str


class View(NamedTuple):
    """What somebody sees of an entry, and what its link is good for.

    Where each date has its own link, `links` are those, and nothing is known of the whole one.
    """

    start: datetime
    end: datetime
    repeats: bool
    dates: tuple[tuple[datetime, datetime], ...]
    title: str
    status: str
    role: str
    host: str
    description: str
    name: str
    room: str
    opens: int
    closes: int
    moderator: bool
    user_id: str
    secret: str
    organizer: str
    links: tuple[DateView, ...] = ()
    strays: tuple[datetime, ...] = ()

    @classmethod
    def of(cls, event: Event, secrets: Sequence[Secret]) -> View:
        """Return what stands in a calendar; a link that no secret signed has secret ""."""
        said = re.split(
            "\n(?:The link opens |One link for all dates: it opens |You get the links? for )",
            event.notes,
        )[0]
        after_host = f"\n{said}".partition("\nHost: ")[2]
        links = tuple(_good_for(start, link, secrets) for start, link in event.links)
        if event.link:
            whole = _good_for(event.start, event.link, secrets)
        else:
            room = event.place.removeprefix("Jitsi Meet: ").rpartition(" (")[0]
            chair = event.role == "CHAIR"
            whole = DateView(event.start, _as_claim(room), 0, 0, chair, event.name, "", "")
        return cls(
            start=event.start,
            end=event.end,
            repeats=event.repeats,
            dates=event.dates,
            title=event.title,
            status=event.status,
            role=event.role,
            host=event.host,
            description=after_host.partition("\n")[2].strip("\n"),
            name=event.name if event.name == whole.name else "two names",
            room=whole.room,
            opens=whole.opens,
            closes=whole.closes,
            moderator=whole.moderator,
            user_id=whole.user_id,
            secret=whole.secret,
            organizer=event.organizer,
            links=links,
            strays=event.strays,
        )

    def linked(self, now: datetime) -> View:
        """Return the same without the links of dates that are over at `now`."""
        over = {start for start, end in self.dates if end <= now}
        return self._replace(links=tuple(one for one in self.links if one.start not in over))

    def coming(self, now: datetime) -> View:
        """Return what counts of a series at `now`: neither dates that are over nor when it opened.

        With one date to come a calendar shows what it shows of a meeting that is single.
        """
        dates = tuple(date for date in self.dates if date[1] > now)
        return self.linked(now)._replace(
            start=self.start if len(dates) > 1 or not dates else dates[0][0],
            dates=dates,
            repeats=len(dates) > 1,
            opens=max(self.opens, int(now.timestamp())),
        )

    def beside(self, other: View, now: datetime) -> tuple[View, View]:
        """Return this view, which somebody has, and another one, as what counts of them at `now`.

        The link of a series that opened already stays, were it to open later by now.
        """
        if not (self.repeats or other.repeats):
            return self, other
        held, new = self.coming(now), other.coming(now)
        is_open = self.opens <= now.timestamp()
        return held, new._replace(opens=held.opens) if is_open else new

    def moves(self, other: View) -> bool:
        """Tell whether a new SEQUENCE is a must from the one to the other: the entry or its link."""
        ours, theirs = (
            (
                (one.start, one.end, one.dates, one.repeats, one.status, one.room),
                (one.opens, one.closes, one.links),
                (one.moderator, one.name, one.user_id, one.secret),
            )
            for one in (self, other)
        )
        return ours != theirs


@dataclass(frozen=True)
class Setup:
    """Settings that can change between two nights."""

    secret: str = "first"
    namespace: str = "example.com"
    closes_after_minutes: int = 30
    mailbox: str = "meetings@example.com"
    tokens: str = "series"


@dataclass
class RosterText:
    """A roster as somebody keeps it."""

    gatherings: dict[str, RosterMeeting] = field(default_factory=dict)

    def copy(self) -> RosterText:
        """Return a copy that can be edited apart."""
        return deepcopy(self)

    def without(self, places: Iterable[Place]) -> RosterText:
        """Return the roster without these people; a meeting without people is not in it."""
        gone = set(places)
        copy = self.copy()
        for meeting_id, gathering in copy.gatherings.items():
            gathering.guests = [
                guest
                for guest in gathering.guests
                if (meeting_id, guest.mailbox.lower()) not in gone
            ]
        return copy

    def places(self) -> list[Place]:
        """Return everybody in every meeting."""
        return [
            (meeting_id, guest.mailbox.lower())
            for meeting_id, gathering in self.gatherings.items()
            for guest in gathering.guests
        ]

    def guest(self, place: Place) -> RosterPerson | None:
        """Return somebody's row."""
        gathering = self.gatherings.get(place[0])
        guests = gathering.guests if gathering else []
        return next((guest for guest in guests if guest.mailbox.lower() == place[1]), None)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the rows of the file."""
        for meeting_id, gathering in self.gatherings.items():
            shared = {
                "meeting_id": meeting_id,
                "title": gathering.title,
                "start": f"{gathering.start:%Y-%m-%d %H:%M}",
                "end": f"{gathering.start + timedelta(minutes=gathering.minutes):%Y-%m-%d %H:%M}",
                "timezone": gathering.zone,
                "room": gathering.room,
                "status": gathering.status,
                "description": gathering.description,
                "organizer_name": gathering.host,
                "organizer_email": "host@example.com" if gathering.host else "",
                "recurrence": gathering.rule,
            }
            for guest in gathering.guests:
                yield {
                    **shared,
                    "name": guest.name,
                    "email": guest.mailbox,
                    "moderator": "yes" if guest.moderator else "",
                    "attendance": "optional" if guest.optional else "",
                    "user_id": guest.user_id,
                    "catering": guest.catering,
                }
            for row in gathering.date_rows() if gathering.guests else ():
                empty = dict.fromkeys(COLUMNS, "")
                yield {**empty, "meeting_id": meeting_id, **row}

    def views(self, setup: Setup, rooms: dict[str, str], now: datetime) -> dict[Place, View]:
        """Return what everybody is to hold at `now`; `rooms` are those of meetings that name none."""
        return {
            (meeting_id, guest.mailbox.lower()): _view(
                gathering, guest, setup, rooms.get(meeting_id, ""), now
            )
            for meeting_id, gathering in self.gatherings.items()
            if gathering.status != "cancelled"
            for guest in gathering.guests
        }


def _good_for(start: datetime, link: str, secrets: Sequence[Secret]) -> DateView:
    admission = Admission.by(link)
    signed = (secret.name for secret in secrets if admission.signed_with(secret.octets))
    return DateView(
        start=start,
        room=admission.room,
        opens=admission.not_before,
        closes=admission.expires,
        moderator=admission.moderator,
        name=admission.name,
        user_id=admission.user_id,
        secret=next(signed, ""),
    )


def _as_claim(room: str) -> str:
    return quote(room.lower(), safe="-_.!~*'()").lower()


def linked_dates(
    gathering: RosterMeeting, tokens: str, now: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the dates that have a link of their own at `now`: a day ahead, or their week's first.

    Dates are late by less than a day, and it is the rule's time that counts.
    """
    there = ZoneInfo(gathering.zone)
    first_of_week: dict[date, datetime] = {}
    ahead: dict[date, datetime] = {}
    for start, _ in gathering.by_rule:
        day = start.astimezone(there).date()
        first = first_of_week.setdefault(day - timedelta(days=day.weekday()), start)
        ahead[day] = (first if tokens == "rolling" else start) - timedelta(days=1)
    return [
        (start, end)
        for start, end in gathering.dates
        if end > now >= ahead[start.astimezone(there).date()]
    ]


def _view(
    gathering: RosterMeeting, guest: RosterPerson, setup: Setup, derived: str, now: datetime
) -> View:
    if guest.moderator:
        role = "CHAIR"
    else:
        role = "OPT-PARTICIPANT" if guest.optional else "REQ-PARTICIPANT"
    dates = gathering.dates
    closes = dates[-1][1] + timedelta(minutes=setup.closes_after_minutes)
    view = View(
        start=gathering.begins,
        end=dates[-1][1],
        repeats=gathering.weeks > 0,
        dates=dates,
        title=gathering.title,
        status=(gathering.status or "confirmed").upper(),
        role=role,
        host=gathering.host or "Meetings",
        description=gathering.description,
        name=guest.name,
        room=_as_claim(gathering.room) or derived,
        opens=int((dates[0][0] - OPENS_BEFORE).timestamp()),
        closes=int(closes.timestamp()),
        moderator=guest.moderator,
        user_id=guest.user_id,
        secret=setup.secret,
        organizer=setup.mailbox,
    )
    if setup.tokens == "series" or not view.repeats:
        return view
    links = tuple(
        DateView(
            start=start,
            room=view.room,
            opens=int((start - OPENS_BEFORE).timestamp()),
            closes=int((end + timedelta(minutes=setup.closes_after_minutes)).timestamp()),
            moderator=view.moderator,
            name=view.name,
            user_id=view.user_id,
            secret=view.secret,
        )
        for start, end in linked_dates(gathering, setup.tokens, now)
    )
    return view._replace(opens=0, closes=0, user_id="", secret="", links=links)


def as_csv(rows: Sequence[dict[str, str]], *, shuffled: int = 0) -> bytes:
    """Return the file; another `shuffled` gives another order of its rows."""
    rows = list(rows)
    Random(shuffled).shuffle(rows)  # noqa: S311 - an order, no secret
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
