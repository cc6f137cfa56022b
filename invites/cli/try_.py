"""`invites try`: one mail with a link to a test room, so that the whole chain is seen to work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from invites.cli.options import Call, SkipInvalidOption, TemplatesOption, address_of, clock
from invites.errors import Exit, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from invites.addresses import Address
    from invites.delivery.base import Delivery, Outcome
    from invites.invitation import Invitation
    from invites.model import Attendee, Meeting, Roster
    from invites.sending import Renderer
    from invites.settings import Settings

LASTS: Final = timedelta(minutes=30)
"""How long the test meeting takes; its link admits as much longer as the settings say."""

TITLE_AT_MOST: Final = 400
"""Characters of a roster's title that the test's own one repeats."""


def try_(
    call: Call,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Who gets the mail: best you yourself.")
    ],
    roster: Annotated[
        str | None,
        typer.Argument(metavar="[ROSTER]", help="Make it look like a meeting of this roster."),
    ] = None,
    skip_invalid: SkipInvalidOption = False,
    templates: TemplatesOption = None,
) -> int:
    """Mail one person a link to a test room that is open now; record nothing.

    It goes through the configured delivery like any invitation, and no ledger is needed.

    With ROSTER it looks like that person's next meeting there, or like its next one at all, in the
    person's language and zone.  Who is not in it, and everybody without ROSTER, is a moderator.
    """
    from secrets import token_hex

    from invites.cli.terminal import Stop
    from invites.delivery.base import open_delivery
    from invites.sending import Renderer

    now = clock()
    settings = call.settings(templates=templates)
    settings.require_minting()
    person = address_of(address, "ADDRESS", settings)
    read = _read(call, roster, settings, now, skip_invalid=skip_invalid)
    identity = f"try-{token_hex(8)}"
    meeting = trial_meeting(
        person, read, identity=identity, now=now, timezone=settings.roster.timezone
    )
    renderer = Renderer.from_settings(settings)
    stop = Stop()
    stop.arm()
    trial = try_out(
        meeting,
        renderer,
        now=now,
        delivery=lambda: open_delivery(settings, run=identity, now=now, present=clock),
        stop=stop,
    )
    return _tell(call, trial, settings, batch=identity)


def _read(
    call: Call, roster: str | None, settings: Settings, now: datetime, *, skip_invalid: bool
) -> Roster | None:
    from invites.roster.source import read_roster

    if roster is None:
        return None
    read = read_roster(roster, settings.roster_rules(), skip_invalid=skip_invalid, now=now)
    call.warn_of(read)
    return read


def _tell(call: Call, trial: Trial, settings: Settings, *, batch: str) -> int:
    """Say what became of the mail, and what to look for; nothing of it holds the link."""
    from invites.delivery.base import Sent
    from invites.sending.journal import state_of
    from invites.times import instant, iso_z

    invitation, outcome = trial.invitation, trial.outcome
    sent = isinstance(outcome, Sent)
    code = Exit.DONE if sent else Exit.IN_PART
    ended = "not tried" if outcome is None else state_of(outcome).value
    call.document(
        command="try",
        address=invitation.attendee.email,
        moderator=invitation.attendee.moderator,
        to=settings.delivery.to,
        room=invitation.room.claim,
        open_until=iso_z(instant(invitation.validity.expires)),
        message_id=invitation.message_id,
        outcome=ended,
        answer=outcome.answer if outcome else "",
        exit_code=int(code),
    )
    if not sent:
        call.fail(
            f"the mail to {invitation.attendee.email} is {ended}: "
            f"{outcome.answer if outcome else 'it was stopped before'}; "
            "`invites doctor` looks at the mail server, then try again"
        )
        return code
    if settings.delivery.to == "folder":
        folder = settings.delivery.folder / batch
        call.say(f"The mail to {invitation.attendee.email} is in {folder}; hand it to your mailer,")
        call.say('or set [delivery] to = "smtp".')
    else:
        call.say(f"Mailed {invitation.attendee.email}; the mail server took it.")
    for line in _what_to_look_for(invitation):
        call.say(line)
    return code


def _what_to_look_for(invitation: Invitation) -> Iterator[str]:
    from invites.times import instant, local

    person, meeting = invitation.attendee, invitation.meeting
    until = local(instant(invitation.validity.expires), person.timezone or meeting.timezone)
    yield f'The room "{invitation.room.claim}" is open now, and its link admits until {until}.'
    yield "Nothing was recorded. Look for this:"
    yield "  1. The mail is in the inbox, not in spam, and the calendar shows it at this time."
    yield f"  2. The link opens the room at once, as {person.name}: no login, no password."
    if person.moderator:
        yield "  3. You are a moderator: Participants shows it beside your name, and you can mute others."
    else:
        yield "  3. You are no moderator; you wait where the server waits for one."
    yield "  4. In a private window the address without all from ? or # on lets nobody in."
    yield "If one of them fails: invites doctor --jitsi-env FILE (or --prosody FILE) names the line to"
    yield "change on the server, and invites inspect - explains the link that you paste into it."


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
    from invites.model import Attendee, Meeting, Status

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
    from invites.model import Status

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
    from invites.delivery.base import OutcomesNoted, OutgoingMessage
    from invites.invitation import Kind, Revision
    from invites.jitsi.validity import fits

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
