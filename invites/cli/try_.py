"""`invites try`: one mail with a link to a test room, so that the whole chain is seen to work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call, SkipInvalidOption, TemplatesOption, clock
from invites.errors import Exit, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from invites.addresses import Address
    from invites.delivery.base import Outcome
    from invites.model import Invitation, Roster
    from invites.sending.trial import Trial
    from invites.settings import Settings


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
    import os
    from secrets import token_hex

    from invites import settings as settings_package
    from invites.cli.signals import Stop
    from invites.delivery.base import open_delivery
    from invites.sending import Renderer
    from invites.sending.trial import trial_meeting, try_out

    now = clock()
    settings = settings_package.load(call.config, environ=os.environ)
    for warning in settings.warnings:
        call.warn(warning)
    settings.require_minting()
    person = _person(address, settings)
    read = _read(call, roster, settings, now, skip_invalid=skip_invalid)
    identity = f"try-{token_hex(8)}"
    meeting = trial_meeting(
        person, read, identity=identity, now=now, timezone=settings.roster.timezone
    )
    renderer = Renderer.from_settings(settings, templates=templates)
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


def _person(text: str, settings: Settings) -> Address:
    from invites.addresses import AddressRefused, parse_address

    try:
        return parse_address(text.strip(), special_domains=settings.roster.special_domains)
    except AddressRefused as refused:
        raise UsageError(f'ADDRESS: found "{text[:60]}", expected {refused.expected}') from None


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
    from invites.times import instant, iso_z

    invitation, outcome = trial.invitation, trial.outcome
    sent = isinstance(outcome, Sent)
    code = Exit.DONE if sent else Exit.IN_PART
    ended = _ended(outcome)
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


def _ended(outcome: Outcome | None) -> str:
    """Return how the message ended, in the history's word."""
    from invites.sending.journal import state_of

    return "not tried" if outcome is None else state_of(outcome).value


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
