"""A trial: one invitation to a test room that is open now, for one mailbox, recorded nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from invites.delivery.base import Delivery, Outcome, OutcomesNoted, OutgoingMessage
from invites.errors import SettingsError
from invites.jitsi.validity import fits
from invites.model import Attendee, Invitation, Kind, Meeting, Revision, Roster, Status

if TYPE_CHECKING:
    from invites.addresses import Address
    from invites.sending.renderer import Renderer

LASTS: Final = timedelta(minutes=30)
"""How long the test meeting takes; its link admits as much longer as the settings say."""

TITLE_AT_MOST: Final = 400
"""Characters of a roster's title that the test's own one repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The one message of a trial, and what became of it: None where it was not tried."""

    invitation: Invitation
    outcome: Outcome | None


def trial_meeting(
    person: Address, roster: Roster | None, *, identity: str, now: datetime, timezone: str
) -> Meeting:
    """Return a meeting that begins now (aware) in a room of its own, with one attendee.

    `identity` is new for each trial, so that no two share a room or a calendar entry.  With a roster
    it looks like that person's next meeting in it, else like its next one at all; who is not in it,
    and without a roster everybody, is a moderator, for somebody has to open the room.
    """
    start = now.replace(second=0, microsecond=0)
    like, attendee = _likeness(person, roster, now)
    if attendee is None:
        name = person.email.partition("@")[0]
        attendee = Attendee(
            name=name,
            email=person.email,
            mailbox=person.mailbox,
            address=person.address,
            moderator=True,
        )
    own = Meeting(
        id=identity,
        title=f"Test: {like.title[:TITLE_AT_MOST]}" if like else "Test of the meeting server",
        start=start,
        end=start + LASTS,
        timezone=like.timezone if like else timezone,
        attendees=(attendee,),
        row=1,
    )
    if like is None:
        return own
    return replace(
        like,
        id=own.id,
        title=own.title,
        start=own.start,
        end=own.end,
        attendees=own.attendees,
        room=None,
        series=None,
        status=Status.CONFIRMED,
    )


def _likeness(
    person: Address, roster: Roster | None, now: datetime
) -> tuple[Meeting | None, Attendee | None]:
    """Return the meeting that a trial looks like, and the person in it, where there are such."""
    meetings = roster.meetings if roster is not None else ()
    coming = [one for one in meetings if one.end > now and one.status is not Status.CANCELLED]
    for meeting in coming:
        for attendee in meeting.attendees:
            if attendee.address == person.address:
                return meeting, attendee
    return (coming[0] if coming else None), None


def try_out(
    meeting: Meeting,
    renderer: Renderer,
    *,
    now: datetime,
    delivery: Callable[[], Delivery],
    stop: Callable[[], bool],
) -> Trial:
    """Compose a trial's message, check it like any other, and deliver it; no ledger hears of it.

    Raises SettingsError where no token may live so long, MessageFaultError, TemplateError, and what
    a delivery raises.
    """
    composer = renderer.composer
    if not fits(composer.validity_for(meeting), composer.sender.rule):
        raise SettingsError(
            "validity.longest: a test of 30 minutes does not fit, with the time before and after it; "
            "expected more"
        )
    revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=now)
    (invitation,) = renderer.verifier.passed(composer.compose(meeting, revision))
    sender = composer.sender.organizer.email
    message = OutgoingMessage.of(invitation, key=invitation.message_id, sender=sender)
    journal = OutcomesNoted()
    with delivery() as opened:
        opened.deliver([message], journal, stop=stop)
    return Trial(invitation=invitation, outcome=next(iter(journal.outcomes), None))
