"""Composes the messages about one meeting, sharing between its attendees all that they share.

For each meeting the room, the window, the token's first part and the calendar entry's frame are
made once; for each variant of the letter (a role, a zone, a language …) the texts are rendered
once; an attendee costs a token, a few short strings, base64 and a join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import unquote

from invites.invitation import Change, Invitation, Kind, Method, Organizer, Revision, Server
from invites.jitsi.links import Links, LongLinks
from invites.jitsi.rooms import derived_room
from invites.jitsi.tokens import SigningKey
from invites.jitsi.validity import ValidityRule, links_of_dates, validity_for
from invites.messages.calendar import EventFacts, EventSkeleton, attendee_line
from invites.messages.meeting_revision import (
    EncodedLetter,
    MeetingRevision,
    envelope_of,
    identity_method,
    linked_date,
    told_date,
    told_meeting,
)
from invites.messages.mime import (
    MessageSkeleton,
    in_blocks,
    logo_part,
)
from invites.messages.verify import check_letter
from invites.model import Attendee, DateLink, Meeting, Room, Validity
from invites.planning.state import MessageIds, uid_for
from invites.problems import Warned
from invites.templating import (
    LetterFacts,
    LetterWriter,
    SharedLetter,
    Slot,
    Templates,
)
from invites.text import counted

if TYPE_CHECKING:
    from invites.settings import Settings


class Noted(NamedTuple):
    """What somebody should look at in some messages: long links, and meetings with many people."""

    links: LongLinks
    crowded: dict[str, tuple[int, int]]


OTHERS_AT_MOST = 200
"""Attendees of a meeting up to whom each one's entry lists the others: the lists grow as a square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What all invitations of one organisation share: its server, mailbox, rules and taste.

    `namespace` and a meeting's id make its UID.  `alarm` is the calendar's reminder, None for none.
    `show_attendees` lists the others in the calendar entry.  `demo` marks a throw-away secret.
    """

    server: Server
    organizer: Organizer
    namespace: str
    rule: ValidityRule
    alarm: timedelta | None = timedelta(minutes=10)
    show_attendees: bool = False
    demo: bool = False


def templates_for(settings: Settings) -> Templates:
    """Return the templates that the settings describe."""
    return Templates.load(
        settings.mail.templates,
        language=settings.mail.language,
        informal=settings.mail.address == "informal",
        brand=settings.brand_of_letters(),
    )


class Composer:
    """Composes messages; deterministic, and all that it keeps is what to warn of."""

    def __init__(
        self, sender: Sender, *, key: SigningKey, room_key: bytes, templates: Templates
    ) -> None:
        """Prepare the signing key once; `room_key` derives the rooms that no roster names."""
        self.sender = sender
        self._links = Links(sender.server, key)
        self._room_key = room_key
        self._crowded: dict[str, tuple[int, int]] = {}
        self._writer = LetterWriter(templates)
        self.picture = templates.picture
        self._logo = logo_part(self.picture)

    @classmethod
    def from_settings(cls, settings: Settings, *, templates: Templates, demo: bool = False) -> Self:
        """Return the composer that the settings describe; SettingsError names what is missing."""
        sender = Sender(
            server=settings.server(),
            organizer=settings.service_mailbox(),
            namespace=settings.namespace(),
            rule=settings.validity_rule(),
            alarm=settings.mail.reminder,
            show_attendees=settings.mail.show_attendees,
            demo=demo,
        )
        key, room_key = settings.signing_key(), settings.room_key()
        return cls(sender, key=key, room_key=room_key, templates=templates)

    @property
    def warnings(self) -> list[Warned]:
        """What somebody should look at: one warning for alike things, such as all long links."""
        if not self._crowded:
            return self._links.warnings
        meeting_id, (count, row) = max(self._crowded.items(), key=lambda one: one[1])
        text = (
            f"entries of {counted(len(self._crowded), 'meeting')} do not list the others, for "
            f"[mail] show_attendees goes to {OTHERS_AT_MOST} attendees; the largest, "
            f'"{meeting_id[:60]}", has {count:,}'
        )
        return [*self._links.warnings, Warned(row=row or None, column=None, text=text)]

    def noted(self) -> Noted:
        """Return what to warn of since this was asked for last, and forget it."""
        noted = Noted(self._links.long, self._crowded)
        self._links.long, self._crowded = LongLinks(), {}
        return noted

    def add(self, noted: Noted) -> None:
        """Warn also of what another one noted."""
        self._links.long = self._links.long.with_further(noted.links)
        self._crowded |= noted.crowded

    def room_for(self, meeting: Meeting) -> Room:
        """Return the meeting's room: the roster's, else the derived one."""
        return meeting.room or derived_room(meeting.id, self._room_key)

    def validity_for(self, meeting: Meeting) -> Validity:
        """Return the window of the meeting's tokens; of a series it spans all dates."""
        return validity_for(meeting.opens, meeting.over_at, self.sender.rule)

    def uid_for(self, meeting: Meeting) -> str:
        """Return the meeting's UID under the configured namespace."""
        return uid_for(self.sender.namespace, meeting.id)

    def compose(
        self,
        meeting: Meeting,
        revision: Revision,
        attendees: Sequence[Attendee] | None = None,
        *,
        uid: str | None = None,
        room: Room | None = None,
        validity: Validity | None = None,
        links: tuple[DateLink, ...] | None = None,
        changes: Sequence[Change] = (),
        references: Mapping[str, str] | None = None,
        earlier_until: int | None = None,
        mailbox: str | None = None,
    ) -> Iterator[Invitation]:
        """Yield the message of each attendee, in the order of `attendees` (all, by default).

        `uid`, `room`, `validity` and `links` stand in for what follows from the settings: the
        ledger's.  Without a `validity`, links are those that are due at the revision's time.
        `changes` are what an update tells, `references` the first Message-ID by folded address,
        `earlier_until` when a link that was sent earlier stops admitting (seconds since 1970),
        `mailbox` the organizer's that invited, where it is another one now.
        Raises TemplateError, and MessageFaultError for a link that no mail program keeps whole.
        """
        yield from self._composed(
            [
                self._revised(
                    meeting,
                    revision,
                    meeting.attendees if attendees is None else attendees,
                    uid,
                    room,
                    validity,
                    links=links,
                    changes=tuple(changes),
                    references=references or {},
                    earlier_until=earlier_until,
                    mailbox=mailbox or self.sender.organizer.email,
                )
            ]
        )

    def compose_all(
        self, some: Iterable[tuple[Meeting, Sequence[Attendee]]], revision: Revision
    ) -> Iterator[Invitation]:
        """Yield the messages of one revision to these attendees of meetings, in their order.

        All else is as for `compose`.
        """
        mailbox = self.sender.organizer.email
        return self._composed(
            self._revised(meeting, revision, attendees, mailbox=mailbox)
            for meeting, attendees in some
        )

    def _composed(self, every: Iterable[MeetingRevision]) -> Iterator[Invitation]:
        # One thing for all, then the next: its code stays in the processor's cache (`mime.BLOCK`).
        for block in in_blocks(
            (revised, person) for revised in every for person in revised.attendees
        ):
            links = [revised.link_for(person) for revised, person in block]
            letters = [
                self._writer.shared(revised.revision.kind, revised.facts, person, link)
                for (revised, person), link in zip(block, links, strict=True)
            ]
            values = [
                letter.values(person, link)
                for (_, person), letter, link in zip(block, letters, links, strict=True)
            ]
            variants = [
                self._variant(revised, letter, filling, person, link)
                for (revised, person), letter, filling, link in zip(
                    block, letters, values, links, strict=True
                )
            ]
            rows = list(zip(block, variants, values, links, strict=True))
            events = [
                variant.event.filled(person, link, filling, revised.others(person))
                if variant.event
                else b""
                for (revised, person), variant, filling, link in rows
            ]
            for ((revised, person), variant, filling, _), ics in zip(rows, events, strict=True):
                yield revised.message(person, variant, filling, ics)

    def _variant(
        self,
        revised: MeetingRevision,
        letter: SharedLetter,
        values: Mapping[Slot, str],
        attendee: Attendee,
        link: str,
    ) -> EncodedLetter:
        variant = revised.variants.get(id(letter))
        if variant is None:
            check_letter(letter, values, attendee, link, revised.revision)
            logo = self.picture.content_id if self.picture else ""
            variant = EncodedLetter.of(letter, revised.event, revised.revision, logo)
            # Letters with the links of several dates are one attendee's each: none is kept.
            if not revised.links:
                revised.variants[id(letter)] = variant
        return variant

    def _revised(
        self,
        meeting: Meeting,
        revision: Revision,
        attendees: Sequence[Attendee],
        uid: str | None = None,
        room: Room | None = None,
        validity: Validity | None = None,
        *,
        links: tuple[DateLink, ...] | None = None,
        changes: tuple[Change, ...] = (),
        references: Mapping[str, str] = MappingProxyType({}),
        earlier_until: int | None = None,
        mailbox: str,
    ) -> MeetingRevision:
        sender, organizer = self.sender, self.sender.organizer
        if mailbox != organizer.email:
            organizer = replace(organizer, email=mailbox)
        uid = uid or self.uid_for(meeting)
        room = room or self.room_for(meeting)
        if validity is None:
            validity = self.validity_for(meeting)
            links = links_of_dates(meeting, sender.rule, revision.dtstamp)
        if revision.method is Method.CANCEL:
            links = None  # no part of it shows one
        elif revision.date is not None and links is not None:
            # A message about one date has that date's link as its one link, if there is one yet.
            own = [link.validity for link in links if link.original == revision.date]
            validity, links = (own[0], None) if own else (validity, ())
        told = told_meeting(meeting, revision, changes)
        return MeetingRevision(
            meeting=meeting,
            revision=revision,
            uid=uid,
            room=room,
            validity=validity,
            links=links,
            facts=LetterFacts(
                meeting=told,
                whole=None if told is meeting else meeting,
                validity=validity,
                organizer=organizer,
                server=sender.server.host,
                room=unquote(room.claim),
                changes=changes,
                skew=sender.rule.skew,
                earlier_until=earlier_until,
                demo=sender.demo,
                now=revision.dtstamp if revision.kind is Kind.REMINDER else None,
                date=told_date(told, revision),
                written=revision.dtstamp if meeting.series else None,
                links=None
                if links is None
                else tuple(linked_date(meeting, link) for link in links),
                ahead=None if links is None else sender.rule.link_ahead,
                rolling=sender.rule.tokens == "rolling",
            ),
            frame=MessageSkeleton(envelope_of(organizer, meeting, revision, uid), self._logo),
            event=self._event(meeting, revision, uid, room, mailbox, links),
            ids=MessageIds(
                uid=uid,
                method=identity_method(revision),
                sequence=revision.sequence,
                dtstamp=revision.dtstamp,
                domain=mailbox.rpartition("@")[2],
            ),
            attendees=attendees,
            link_for=self._link_for(meeting, revision, room, validity, links),
            others=self._others(meeting, revision),
            references=references,
        )

    def _link_for(
        self,
        meeting: Meeting,
        revision: Revision,
        room: Room,
        validity: Validity,
        links: tuple[DateLink, ...] | None,
    ) -> Callable[[Attendee], str]:
        """Return a function that mints an attendee's join link; "" where nobody is to join.

        Where dates have their own, it returns the links of those that have one, one a line.
        """
        if revision.method is Method.CANCEL:
            return lambda _attendee: ""
        if links is not None:
            each = [self._links.for_meeting(meeting, room, link.validity) for link in links]
            return lambda attendee: "\n".join([link_for(attendee) for link_for in each])
        return self._links.for_meeting(meeting, room, validity)

    def _others(self, meeting: Meeting, revision: Revision) -> Callable[[Attendee], bytes]:
        """Return a function from an attendee to the ATTENDEE lines of all others."""
        if not self.sender.show_attendees or revision.method is Method.CANCEL:
            return lambda _attendee: b""
        everybody = meeting.everybody or meeting.attendees
        if len(everybody) > OTHERS_AT_MOST:
            self._crowded[meeting.id] = (len(everybody), meeting.row)
            return lambda _attendee: b""
        lines = {person.address: attendee_line(person) for person in everybody}

        def lines_of_others(attendee: Attendee) -> bytes:
            return b"".join(
                [line for address, line in lines.items() if address != attendee.address]
            )

        return lines_of_others

    def _event(
        self,
        meeting: Meeting,
        revision: Revision,
        uid: str,
        room: Room,
        mailbox: str,
        links: tuple[DateLink, ...] | None,
    ) -> EventSkeleton | None:
        if revision.kind is Kind.REMINDER:
            return None
        sender = self.sender
        return EventSkeleton(
            EventFacts(
                meeting=meeting,
                uid=uid,
                revision=revision,
                organizer_name=meeting.organizer_name or sender.organizer.name,
                organizer_mailbox=mailbox,
                place=f"Jitsi Meet: {unquote(room.claim)} ({sender.server.host})",
                alarm=sender.alarm,
                linked=None if links is None else tuple(link.original for link in links),
            )
        )
