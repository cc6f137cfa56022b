r"""iCalendar (RFC 5545) for one meeting and one attendee, as an iTIP message (RFC 5546).

Lines are made directly, for an event costs 500 µs through a library and this module is on the way
of every invitation; independent parsers read them back (`readback` and the tests).
Whatever a value holds, it stays a value: controls become spaces, line ends become `\\n` in TEXT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Self

from invites.invitation import Kind, Method, Revision
from invites.messages.content_lines import (
    calendar_user,
    folded,
    folded_lines,
    folded_octets,
    mailto,
    one_line,
    parameter_value,
    text_value,
)
from invites.messages.zones import original_value, utc_value, vtimezone, wall_value
from invites.model import Attendance, Attendee, Meeting, Occurrence, Series, Status
from invites.roster.recurrence import rule_text
from invites.templating import Part, Slot
from invites.times import zone

PRODID = "-//The invites contributors//invites//EN"
LOCATION_AT_MOST = 255
"""Outlook and Exchange cut LOCATION there, and a cut token is dead."""


def role_of(attendee: Attendee) -> str:
    """Return ROLE (RFC 5545 3.2.16)."""
    if attendee.moderator:
        return "CHAIR"
    match attendee.attendance:
        case Attendance.REQUIRED:
            return "REQ-PARTICIPANT"
        case Attendance.OPTIONAL:
            return "OPT-PARTICIPANT"


def attendee_line(attendee: Attendee) -> bytes:
    """Return the folded ATTENDEE line (RFC 5545 3.8.4.1)."""
    return folded(
        f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE={role_of(attendee)};PARTSTAT=NEEDS-ACTION;RSVP=TRUE"
        f";CN={parameter_value(attendee.name)}{calendar_user(attendee.mailbox)}"
    )


def _duration(length: timedelta) -> str:
    """Return a duration (RFC 5545 3.3.6) in whole minutes or seconds."""
    seconds = int(length.total_seconds())
    return f"PT{seconds // 60}M" if seconds % 60 == 0 else f"PT{seconds}S"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """What one revision of one meeting says to every attendee.

    `organizer_name` is the CN and `organizer_mailbox` the service mailbox.
    `place` is the text of LOCATION where the link is too long for it.
    `notes` is the DESCRIPTION before the link's line, with slots for what differs by attendee.
    `alarm` is the time before the start at which the calendar reminds, None for no VALARM.
    `linked` are the dates, by their starts by the rule, whose events have links of their own; None
    where one link is for all events.
    """

    meeting: Meeting
    uid: str
    revision: Revision
    organizer_name: str
    organizer_mailbox: str
    place: str
    notes: Part = ()
    alarm: timedelta | None = None
    linked: tuple[datetime, ...] | None = None

    @property
    def date(self) -> Occurrence | None:
        """The one date of the series that the revision is about, None for all of the meeting."""
        original = self.revision.date
        return None if original is None else self.meeting.date_of(original)


class EventSkeleton:
    """A calendar object that lacks only what differs by attendee.

    A series has an event for the rule and one for each date that differs from it or has a link of
    its own, all of one UID; a revision about one date has the event of that date alone.
    """

    __slots__ = ("_events", "_links", "_notes", "_place", "_with_link")

    def __init__(self, facts: EventFacts) -> None:
        """Fold and escape everything that all attendees share."""
        self._with_link = facts.revision.method is Method.REQUEST
        self._place = folded(f"LOCATION:{text_value(facts.place)}")
        self._notes = _folded_notes(facts.notes)
        alone = facts.date
        dates = [None, *_exceptions(facts)] if alone is None else [alone]
        # Which of the links each event has; None for none.
        self._links: tuple[int | None, ...] = (0,) * len(dates)
        if facts.linked is not None:
            number = {original: at for at, original in enumerate(facts.linked)}
            self._links = tuple(None if one is None else number.get(one.original) for one in dates)
        events = [(_opening(facts, one), _closing(facts, one)) for one in dates]
        events[0] = ([*_calendar_opening(facts), *events[0][0]], events[0][1])
        events[-1][1].append("END:VCALENDAR")
        self._events = tuple(
            (folded_lines(before), folded_lines(after)) for before, after in events
        )

    def with_notes(self, notes: Part) -> Self:
        """Return the same skeleton with other notes; what is folded already is shared."""
        other = object.__new__(type(self))
        other._with_link, other._events, other._place = self._with_link, self._events, self._place
        other._links = self._links
        other._notes = _folded_notes(notes)
        return other

    def filled(
        self, attendee: Attendee, link: str, values: Mapping[Slot, str], others: bytes = b""
    ) -> bytes:
        """Return the calendar object's bytes, CRLF line ends, for this attendee.

        `link` is "" where the method takes something back, and several lines where several dates
        have links of their own.
        `values` fill the slots of the notes; `others` are further ATTENDEE lines, folded.
        """
        notes = b"".join(
            [
                _continuation(values[piece]) if isinstance(piece, Slot) else piece
                for piece in self._notes
            ]
        )
        if self._links == (0,):  # as almost all are
            before, after = self._events[0]
            return b"".join([before, self._own(attendee, notes, link, others), after])
        links = link.split("\n")
        own = {
            at: self._own(attendee, notes, "" if at is None else links[at], others)
            for at in {*self._links}
        }
        pieces = zip(self._events, self._links, strict=True)
        return b"".join([each for event, at in pieces for each in (event[0], own[at], event[1])])

    def _own(self, attendee: Attendee, notes: bytes, link: str, others: bytes) -> bytes:
        """Return the lines of an event that differ by attendee, with this link, or "" for none."""
        parts = [attendee_line(attendee), others]
        if self._with_link and link:
            uri = link.encode("ascii")
            parts += [
                b"DESCRIPTION:",
                notes,
                b"\r\n " if notes else b"",
                folded_octets(uri, 1 if notes else 12),
                b"\r\nURL:",
                folded_octets(uri, 4),
                _CONFERENCE,
                folded_octets(uri, len(_CONFERENCE) - 2),
                b"\r\n",
            ]
            # Many calendars show LOCATION alone; a link that Outlook would cut is better not there.
            if len(uri) <= LOCATION_AT_MOST:
                parts += [b"LOCATION:", folded_octets(text_value(link).encode(), 9), b"\r\n"]
            else:
                parts.append(self._place)
        else:
            if notes:  # libical takes a DESCRIPTION without a value for an error
                parts += [b"DESCRIPTION:", notes, b"\r\n"]
            parts.append(self._place)
        return b"".join(parts)


_CONFERENCE = b"\r\nCONFERENCE;VALUE=URI;FEATURE=AUDIO,VIDEO;LABEL=Jitsi Meet:"


def _folded_notes(notes: Part) -> tuple[bytes | Slot, ...]:
    return tuple(piece if isinstance(piece, Slot) else _continuation(piece) for piece in notes)


def _continuation(text: str) -> bytes:
    """Return a piece of a TEXT value as continuation lines, without the last line end."""
    return b"\r\n " + folded_octets(text_value(text).encode(), 1) if text else b""


def _calendar_opening(facts: EventFacts) -> list[str]:
    """Return the lines up to the first event; a series has its zone there."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODID}",
        "CALSCALE:GREGORIAN",
        f"METHOD:{facts.revision.method}",
    ]
    meeting = facts.meeting
    if meeting.series is None or meeting.timezone == "UTC":
        return lines
    in_zone = zone(meeting.timezone)
    every = [moment for one in meeting.series.occurrences for moment in (one.original, one.start)]
    ends = min(every), max(*every, meeting.over_at)
    return [*lines, *vtimezone(meeting.timezone, *(end.astimezone(in_zone).year for end in ends))]


def _opening(facts: EventFacts, exception: Occurrence | None = None) -> list[str]:
    """Return an event's lines up to the ATTENDEE: the meeting's, or those of a date that differs."""
    meeting, revision = facts.meeting, facts.revision
    title = exception.title if exception is not None and exception.title else meeting.title
    lines = [
        "BEGIN:VEVENT",
        f"UID:{facts.uid}",
        f"DTSTAMP:{utc_value(revision.dtstamp)}",
        *_times(meeting, exception),
        f"SEQUENCE:{revision.sequence}",
    ]
    if meeting.series is not None and exception is None:
        lines += _recurrence(meeting, meeting.series, revision)
    status = _status(meeting, revision)
    if status is not None:
        lines.append(f"STATUS:{status}")
    return [
        *lines,
        f"SUMMARY:{text_value(one_line(title))}",
        _organizer_line(facts.organizer_name, facts.organizer_mailbox),
    ]


@lru_cache(maxsize=1024)
def _organizer_line(name: str, mailbox: str) -> str:
    return f"ORGANIZER;CN={parameter_value(name)}:{mailto(mailbox)}"


def _times(meeting: Meeting, exception: Occurrence | None) -> list[str]:
    """Return the times of an event: in UTC, but of a series as its zone's clocks show them."""
    if meeting.series is None:
        return [f"DTSTART:{utc_value(meeting.start)}", f"DTEND:{utc_value(meeting.end)}"]
    if exception is None:
        return [
            f"DTSTART{wall_value(meeting.start, meeting.timezone)}",
            f"DTEND{wall_value(meeting.end, meeting.timezone)}",
        ]
    return [
        f"RECURRENCE-ID{original_value(exception.original, meeting)}",
        f"DTSTART{wall_value(exception.start, meeting.timezone)}",
        f"DTEND{wall_value(exception.end, meeting.timezone)}",
    ]


def _recurrence(meeting: Meeting, series: Series, revision: Revision) -> list[str]:
    """Return the rule and, unless all of it is taken back, the dates left out."""
    lines = [f"RRULE:{rule_text(series)}"]
    if revision.method is Method.REQUEST:
        lines += [
            f"EXDATE{wall_value(original, meeting.timezone)}"
            for original in sorted(series.left_out)
        ]
    return lines


def _exceptions(facts: EventFacts) -> list[Occurrence]:
    """Return the dates that have events of their own: they differ from the rule, or have a link."""
    series, meeting = facts.meeting.series, facts.meeting
    if series is None or facts.revision.method is Method.CANCEL:
        return []
    differing = series.exceptions(meeting.end - meeting.start)
    if not facts.linked:
        return [*differing]
    own = {*facts.linked, *(one.original for one in differing)}
    return [one for one in series.taking_place if one.original in own]


def _closing(facts: EventFacts, exception: Occurrence | None = None) -> list[str]:
    """Return an event's lines after the LOCATION; VALARM is last."""
    lines = ["TRANSP:OPAQUE", "CLASS:PRIVATE"]
    if facts.revision.method is Method.CANCEL:
        return [*lines, "END:VEVENT"]
    # Nobody reads counter-proposals: Outlook then offers none.
    lines.append("X-MICROSOFT-DISALLOW-COUNTER:TRUE")
    if facts.alarm is not None:
        title = (
            exception.title if exception is not None and exception.title else facts.meeting.title
        )
        lines += [
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            f"TRIGGER:-{_duration(facts.alarm)}",
            f"DESCRIPTION:{text_value(one_line(title))}",
            "END:VALARM",
        ]
    return [*lines, "END:VEVENT"]


def _status(meeting: Meeting, revision: Revision) -> str | None:
    """Return STATUS; None where one person is withdrawn from a meeting that goes on."""
    match revision.kind:
        case Kind.DATE_CANCELLED | Kind.CANCELLED:
            return "CANCELLED"
        case Kind.WITHDRAWN:
            return None
        case Kind.INVITATION | Kind.UPDATE | Kind.REMINDER:
            return "TENTATIVE" if meeting.status is Status.TENTATIVE else "CONFIRMED"
