"""What the messages of one revision of one meeting share, and how an attendee's own is filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from invites.invitation import Change, Invitation, Kind, Method, Organizer, Revision
from invites.messages.calendar import EventSkeleton
from invites.messages.mime import (
    Body,
    Envelope,
    MessageSkeleton,
    subject_field,
)
from invites.messages.verify import check_subject
from invites.model import Attendee, DateLink, Meeting, Occurrence, Room, Validity
from invites.planning.state import MessageIds
from invites.templating import (
    LetterFacts,
    Part,
    SharedLetter,
    Slot,
    subject_of,
    text_of,
)


@dataclass(frozen=True, slots=True)
class EncodedLetter:
    """What the attendees who share a letter share, as bytes with slots; `event` is None for none."""

    letter: SharedLetter
    event: EventSkeleton | None
    kind: Kind
    subject: bytes | None
    text: Body
    html: Body
    with_logo: bool

    @classmethod
    def of(
        cls, letter: SharedLetter, event: EventSkeleton | None, revision: Revision, logo: str
    ) -> Self:
        """Encode what is fixed in `letter`; `event` gets its notes, which the link's line follows.

        `logo` is what an HTML that shows the brought logo names, "" for none.
        """
        notes = letter.notes
        if notes and revision.method is Method.REQUEST:
            notes = _on_whole_lines(notes)
        # A subject without slots, as the shipped ones are, is folded and encoded once.
        has_slots = any(isinstance(piece, Slot) for piece in letter.subject)
        return cls(
            letter=letter,
            event=event and event.with_notes(notes),
            kind=revision.kind,
            subject=None if has_slots else subject_field(text_of(letter.subject, {})),
            text=Body(letter.text),
            html=Body(letter.html),
            with_logo=bool(logo)
            and any(isinstance(piece, str) and logo in piece for piece in letter.html),
        )

    def subject_for(self, attendee: Attendee, values: Mapping[Slot, str]) -> bytes:
        """Return Subject as a finished header field; TemplateError where it has no text."""
        if self.subject is not None:
            return self.subject
        text = subject_of(self.letter.subject, values)
        return subject_field(check_subject(text, self.kind, row=attendee.row))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingRevision:
    """What all messages of one revision of one meeting share."""

    meeting: Meeting
    revision: Revision
    uid: str
    room: Room
    validity: Validity
    links: tuple[DateLink, ...] | None
    facts: LetterFacts
    frame: MessageSkeleton
    event: EventSkeleton | None
    ids: MessageIds
    attendees: Sequence[Attendee]
    link_for: Callable[[Attendee], str]
    others: Callable[[Attendee], bytes]
    references: Mapping[str, str]
    variants: dict[int, EncodedLetter] = field(default_factory=dict)
    """Those that are made already, by the identity of their letter."""

    def message(
        self, attendee: Attendee, variant: EncodedLetter, values: Mapping[Slot, str], ics: bytes
    ) -> Invitation:
        """Return the message of one attendee; `values` fill the slots of `variant`."""
        first = self.references.get(attendee.address)
        message_id = self.ids.for_address(attendee.address)
        eml = self.frame.filled(
            attendee,
            subject=variant.subject_for(attendee, values),
            message_id=message_id,
            first_message_id=first,
            text=variant.text.filled(values),
            html=variant.html.filled(values),
            calendar=ics,
            with_logo=variant.with_logo,
        )
        return Invitation(
            meeting=self.meeting,
            uid=self.uid,
            attendee=attendee,
            room=self.room,
            validity=self.validity,
            revision=self.revision,
            message_id=message_id,
            answers=first,
            links=self.links,
            eml=eml,
            ics=ics,
        )


def _on_whole_lines(notes: Part) -> Part:
    """Return notes that end in one line end, so that the link after them has a line of its own."""
    first, *rest = notes
    pieces = [first.lstrip("\n") if isinstance(first, str) else first, *rest]
    if isinstance(pieces[-1], str):
        pieces[-1] = pieces[-1].rstrip("\n") + "\n"
    else:
        pieces.append("\n")
    return () if pieces == ["\n"] else tuple(piece for piece in pieces if piece)


def linked_date(meeting: Meeting, link: DateLink) -> tuple[Occurrence, Validity]:
    """Return the date that a link is for, with its window."""
    dates = meeting.series.taking_place if meeting.series else ()
    return next(one for one in dates if one.original == link.original), link.validity


def told_meeting(meeting: Meeting, revision: Revision, changes: Sequence[Change]) -> Meeting:
    """Return what a letter is about: the meeting, or the one date of it that the revision is about.

    A date that is off is told at the time at which its receivers expect it.
    """
    if revision.date is None:
        return meeting
    date = meeting.date_of(revision.date)
    for change in changes:
        if date.cancelled and change.field == "date" and isinstance(change.old, datetime):
            date = replace(date, start=change.old, end=change.old + (date.end - date.start))
    return meeting.alone(date)


def told_date(meeting: Meeting, revision: Revision) -> Occurrence | None:
    """Return the next date of a series as the revision sees it, the last where all are over."""
    if meeting.series is None:
        return None
    return meeting.next_date(revision.dtstamp) or meeting.series.taking_place[-1]


def envelope_of(organizer: Organizer, meeting: Meeting, revision: Revision, uid: str) -> Envelope:
    """Return whom the messages come from, and whom replies go to."""
    host = meeting.organizer_name
    via = f"{host} via {organizer.name}" if host and host != organizer.name else organizer.name
    reply_to = (host, meeting.organizer_email) if meeting.organizer_email else None
    return Envelope(
        uid=uid,
        revision=revision,
        sender_name=via,
        sender_mailbox=organizer.email,
        reply_to=reply_to,
    )


def identity_method(revision: Revision) -> str:
    """Return the word for a Message-ID: a reminder carries no method and is no REQUEST."""
    return "REMINDER" if revision.kind is Kind.REMINDER else revision.method.value
