"""Receivers' calendars: what stands in each mailbox after the mails that came, by iTIP alone.

It imports nothing of the program under test and reads only the octets that a mailbox got.
Only the organizer of an entry changes it, as cyrus-imapd has it.
Order is by SEQUENCE, then DTSTAMP (RFC 5546 2.1.5); what is not newer is ignored, also after the
entry is gone.  A CANCEL with STATUS:CANCELLED calls the meeting off, one without takes the receiver
out of it (RFC 5546 3.2.5).  A message with a RECURRENCE-ID is about that date of a series alone, and
is ordered among those about it.  METHOD is the body's.  A Message-ID that came before is a second copy.
"""

from __future__ import annotations

import email
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import parseaddr
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import icalendar
import recurring_ical_events


class MalformedError(AssertionError):
    """A message contradicts itself, or is none that a calendar could take."""


class Order(NamedTuple):
    """What orders the messages about one entry."""

    sequence: int
    dtstamp: datetime


class Effect(Enum):
    """What a message does to a calendar."""

    ADDED = "added"
    UPDATED = "updated"
    CALLED_OFF = "called off"
    REMOVED = "removed"
    NOTHING_THERE = "nothing there to cancel"
    TOO_OLD = "not newer than what is known"
    NOT_THEIRS = "by another organizer than the entry's"
    SECOND_COPY = "a second copy"


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom a link admits where and when: what its token says (seconds since 1970).

    `address` is the person's in lower case, `mailbox` as it is spelt, which makes no difference.
    """

    room: str
    not_before: int
    expires: int
    moderator: bool
    name: str
    user_id: str
    address: str
    mailbox: str = field(compare=False)
    _signed: bytes = field(repr=False, compare=False)
    _signature: bytes = field(repr=False, compare=False)

    @classmethod
    def by(cls, link: str) -> Admission:
        """Read a link; the room in its path and the token's must be one."""
        url = urlsplit(link)
        token = url.query.removeprefix("jwt=")
        signed, signature = token.rsplit(".", 1)
        claims: dict[str, Any] = json.loads(_octets(signed.split(".")[1]))
        if unquote(url.path.removeprefix("/")).lower() != unquote(claims["room"]):
            raise MalformedError("the link leads to one room and its token admits to another")
        person = claims["context"]["user"]
        return cls(
            room=claims["room"],
            not_before=claims["nbf"],
            expires=claims["exp"],
            moderator=person.get("moderator") in (True, "true"),
            name=person["name"],
            user_id=person.get("id", ""),
            address=person["email"].casefold(),
            mailbox=person["email"],
            _signed=signed.encode(),
            _signature=_octets(signature),
        )

    def signed_with(self, secret: bytes) -> bool:
        """Tell whether a server that has this secret takes the token (HS256)."""
        return hmac.compare_digest(
            hmac.new(secret, self._signed, "sha256").digest(), self._signature
        )


def _octets(text: str) -> bytes:
    octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(octets).decode().rstrip("=") != text:
        raise MalformedError("a token that is not base64url without padding")
    return octets


@dataclass(frozen=True, slots=True)
class Event:
    """An entry in a calendar; times are aware and in UTC, `notes` stand above the link's line.

    `dates` are when it takes place, each from when to when; `end` is the last one's, and `start`
    that of the rule where it repeats.  `link` is "" where there is none, or dates have their own:
    `links` are those, each after the start of its date.  `strays` are the dates that came by
    themselves with another link than the one that is for all: of a message in between on its way.
    """

    start: datetime
    end: datetime
    repeats: bool
    dates: tuple[tuple[datetime, datetime], ...]
    title: str
    status: str
    role: str
    name: str
    host: str
    notes: str
    organizer: str
    place: str
    link: str = field(repr=False)
    links: tuple[tuple[datetime, str], ...] = field(default=(), repr=False)
    strays: tuple[datetime, ...] = ()

    @property
    def admission(self) -> Admission:
        """What the entry's link is good for."""
        return Admission.by(self.link)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as its receiver's program reads it; `event` is None in a CANCEL.

    `about` is the one date of a series, by its start by the rule, None for the whole entry.
    """

    message_id: str
    answers: str | None
    receiver: str
    sender: str
    subject: str
    text: str
    html: str
    method: str
    uid: str
    organizer: str
    order: Order
    status: str
    event: Event | None
    about: datetime | None
    ics: bytes = field(repr=False)

    @classmethod
    def read(cls, octets: bytes) -> Letter:
        """Read a message; MalformedError where its parts contradict each other."""
        message = email.message_from_bytes(octets, policy=policy.default)
        if not isinstance(message, EmailMessage):
            raise MalformedError("no message")
        bodies = _bodies(message)
        ics = bodies["text/calendar"]
        calendar = icalendar.Calendar.from_ical(ics)
        entry, *exceptions = calendar.walk("VEVENT")
        for one in exceptions:
            if "RRULE" not in entry or any(one[name] != entry[name] for name in _SHARED):
                raise MalformedError("an entry of another UID or order, or beside no series")
        (attendee,) = _as_list(entry["ATTENDEE"])
        receiver = _mailbox(str(attendee))
        if receiver != message["To"].addresses[0].addr_spec or len(message["To"].addresses) != 1:
            raise MalformedError("the mail's receiver is not the attendee")
        organizer = _mailbox(str(entry["ORGANIZER"]))
        if [one.addr_spec for one in message["From"].addresses] != [organizer]:
            raise MalformedError("the mail's sender is not the organizer")
        method = str(calendar["METHOD"])
        _check_parts(message, method)
        text = bodies["text/plain"].decode()
        letter = cls(
            message_id=str(message["Message-ID"]),
            answers=message["In-Reply-To"],
            receiver=receiver,
            sender=message["From"].addresses[0].display_name,
            subject=str(message["Subject"]),
            text=text,
            html=bodies["text/html"].decode(),
            method=method,
            uid=str(entry["UID"]),
            organizer=organizer.lower(),
            order=Order(int(entry["SEQUENCE"]), entry["DTSTAMP"].dt),
            status=str(entry.get("STATUS", "")),
            event=_event(calendar, text) if method == "REQUEST" else None,
            about=_utc(entry["RECURRENCE-ID"].dt) if "RECURRENCE-ID" in entry else None,
            ics=ics,
        )
        if method == "CANCEL":
            _check_cancel(entry, octets, bodies)
        return letter

    def onto(self, known: Letter) -> Letter:
        """Return what the series that is `known` is after this message about one date of it.

        As Thunderbird has it, a date that is called off is left out of the rule.
        """
        (entry,) = icalendar.Calendar.from_ical(self.ics).walk("VEVENT")
        calendar = icalendar.Calendar.from_ical(known.ics)
        series, *exceptions = calendar.walk("VEVENT")
        if known.event is None or not known.event.repeats or entry["UID"] != series["UID"]:
            raise MalformedError("a date of something that is no such series")
        about = entry["RECURRENCE-ID"].dt
        if self.about not in {_utc(one["DTSTART"].dt) for one in _by_rule(series, calendar)}:
            raise MalformedError("a date that the series does not have")
        for one in exceptions:
            if _utc(one["RECURRENCE-ID"].dt) == self.about:
                calendar.subcomponents.remove(one)
        if self.event is None:
            series.add("EXDATE", about)
        else:
            calendar.add_component(entry)
        dates = _dates(calendar)
        event = replace(
            known.event,
            dates=dates,
            end=max(end for _, end in dates),
            links=_links(calendar),
            strays=_strays(calendar),
        )
        return replace(self, event=event, ics=calendar.to_ical())


def _bodies(message: EmailMessage) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in message.walk():
        if not part.is_multipart():
            found[part.get_content_type()] = part.get_payload(decode=True)  # type: ignore[assignment]
    if found.get("application/ics") != found.get("text/calendar"):
        raise MalformedError("the attached file is not the calendar part")
    return found


def _check_parts(message: EmailMessage, method: str) -> None:
    (part,) = [one for one in message.walk() if one.get_content_type() == "text/calendar"]
    if part["Content-Type"].params.get("method") != method:
        raise MalformedError("the method in the header is not the body's (RFC 6047 2.4)")


def _check_cancel(entry: Any, octets: bytes, bodies: dict[str, bytes]) -> None:
    if entry.walk("VALARM"):
        raise MalformedError("an alarm in a CANCEL (RFC 5546 3.2.5)")
    if any(b"jwt=" in body for body in (octets, *bodies.values())):
        raise MalformedError("a link in a CANCEL")


_SHARED = ("UID", "SEQUENCE", "DTSTAMP")


def _dates(calendar: Any) -> tuple[tuple[datetime, datetime], ...]:
    """Return when the entry takes place: what a series comes to is recurring-ical-events' word."""
    found = recurring_ical_events.of(calendar).all()
    return tuple(sorted((_utc(one["DTSTART"].dt), _utc(one["DTEND"].dt)) for one in found))


def _by_rule(series: Any, calendar: Any) -> list[Any]:
    """Return the dates of the rule as it is, whatever became of them since."""
    alone = icalendar.Calendar()
    for one in calendar.walk("VTIMEZONE"):
        alone.add_component(one)
    alone.add_component(series)
    return recurring_ical_events.of(alone).all()  # type: ignore[no-any-return]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _link(entry: Any) -> str:
    """Return an entry's link, "" where it has none."""
    link = str(entry["DESCRIPTION"]).rpartition("\n")[2]
    found = {str(entry[name]) for name in ("URL", "CONFERENCE") if name in entry}
    if found != ({link} if "jwt=" in str(entry["DESCRIPTION"]) else set()):
        raise MalformedError("the entry has more than one link")
    return link if found else ""


def _links(calendar: Any) -> tuple[tuple[datetime, str], ...]:
    """Return the links of a series' dates, where the series itself has none."""
    series, *exceptions = calendar.walk("VEVENT")
    found = [] if _link(series) else [(_utc(one["DTSTART"].dt), _link(one)) for one in exceptions]
    return tuple(sorted((start, link) for start, link in found if link))


def _strays(calendar: Any) -> tuple[datetime, ...]:
    """Return the dates of a series whose links are others than its one."""
    series, *exceptions = calendar.walk("VEVENT")
    whole = _link(series)
    return tuple(
        _utc(one["DTSTART"].dt) for one in exceptions if whole and not _same(whole, _link(one))
    )


def _same(whole: str, link: str) -> bool:
    """Tell whether two links are one, but for how the address is spelt by now."""
    if link == whole:
        return True
    one, other = Admission.by(whole), Admission.by(link)
    return one == other and one.mailbox != other.mailbox


def _event(calendar: Any, text: str) -> Event:
    entry = calendar.walk("VEVENT")[0]
    (attendee,) = _as_list(entry["ATTENDEE"])
    dates, link, links = _dates(calendar), _link(entry), _links(calendar)
    notes = str(entry["DESCRIPTION"]).removesuffix(link)
    told = [link] if link else [each for _, each in links]
    if [line for line in text.splitlines() if "jwt=" in line] != told:
        raise MalformedError("the text's link does not stand alone, or is another")
    if _strays(calendar):
        raise MalformedError("a date with another link than its series")
    return Event(
        start=_utc(entry["DTSTART"].dt),
        end=max(end for _, end in dates),
        repeats="RRULE" in entry,
        dates=dates,
        title=str(entry["SUMMARY"]),
        status=str(entry["STATUS"]),
        role=str(attendee.params["ROLE"]),
        name=str(attendee.params["CN"]),
        host=str(entry["ORGANIZER"].params.get("CN", "")),
        notes=notes.strip("\n"),
        organizer=_mailbox(str(entry["ORGANIZER"])).lower(),
        place=str(entry.get("LOCATION", "")),
        link=link,
        links=links,
    )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mailbox(uri: str) -> str:
    return parseaddr(re.sub("^mailto:", "", uri, flags=re.IGNORECASE))[1]


@dataclass
class Mailbox:
    """One receiver: the calendar, and all letters in the order in which they came."""

    letters: list[Letter] = field(default_factory=list)
    events: dict[str, Event] = field(default_factory=dict)
    series: dict[str, Letter] = field(default_factory=dict)
    dates: dict[str, list[Letter]] = field(default_factory=dict)
    newest: dict[tuple[str, datetime | None], Order] = field(default_factory=dict)
    organizers: dict[str, str] = field(default_factory=dict)

    def receive(self, letter: Letter) -> Effect:
        """Apply one message."""
        if letter.message_id in {one.message_id for one in self.letters}:
            return Effect.SECOND_COPY
        self.letters.append(letter)
        if self.organizers.setdefault(letter.uid, letter.organizer) != letter.organizer:
            return Effect.NOT_THEIRS
        uid = letter.uid
        known = [self.newest.get((uid, about)) for about in (None, letter.about)]
        if any(order is not None and letter.order <= order for order in known):
            return Effect.TOO_OLD
        self.newest[uid, letter.about] = letter.order
        there, dates = uid in self.events, self.dates.setdefault(uid, [])
        if letter.about is not None:
            dates.append(letter)
            self._show(uid)
            return Effect.UPDATED if there else Effect.NOTHING_THERE
        self.dates[uid] = [one for one in dates if one.order > letter.order]
        if letter.event is None:
            self.series.pop(uid, None)
            return self._cancel(letter)
        self.series[uid] = letter
        self._show(uid)
        return Effect.UPDATED if there else Effect.ADDED

    def _show(self, uid: str) -> None:
        """Put the messages about single dates on the series, once it is there."""
        letter = self.series.get(uid)
        for one in sorted(self.dates[uid], key=lambda one: one.order) if letter else ():
            letter = letter and one.onto(letter)
        if letter is not None and letter.event is not None:
            self.events[uid] = letter.event

    def _cancel(self, letter: Letter) -> Effect:
        if letter.uid not in self.events:
            return Effect.NOTHING_THERE
        if letter.status == "CANCELLED":
            self.events[letter.uid] = replace(self.events[letter.uid], status="CANCELLED")
            return Effect.CALLED_OFF
        del self.events[letter.uid]
        return Effect.REMOVED

    def standing(self) -> dict[str, Event]:
        """Return the entries that take place, by UID."""
        return {uid: event for uid, event in self.events.items() if event.status != "CANCELLED"}


class PostOffice:
    """All mailboxes, by their address in lower case."""

    def __init__(self) -> None:
        """Begin with no mail."""
        self.mailboxes: dict[str, Mailbox] = {}

    def arrive(self, octets: bytes) -> tuple[Letter, Effect]:
        """Put a message into its receiver's mailbox; return it and what it did."""
        letter = Letter.read(octets)
        return letter, self.put(letter)

    def put(self, letter: Letter) -> Effect:
        """Put a message that was read already into its receiver's mailbox."""
        return self.mailboxes.setdefault(letter.receiver.lower(), Mailbox()).receive(letter)

    def standing(self) -> dict[tuple[str, str], Event]:
        """Return every entry that takes place, by address and UID."""
        return {
            (address, uid): event
            for address, mailbox in self.mailboxes.items()
            for uid, event in mailbox.standing().items()
        }
