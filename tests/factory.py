"""Makes what tests compose: composers, verifiers, meetings and attendees."""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from invites.build import BuildReport, Selection, build
from invites.invitation import Brand, Invitation, Kind, Organizer, Picture, Revision, Server
from invites.jitsi.tokens import SigningKey
from invites.jitsi.validity import ValidityRule
from invites.messages import Composer, Verifier
from invites.messages.compose import Sender
from invites.messages.mime import encoded
from invites.model import Attendee, Meeting
from invites.templating import Templates

START = datetime(2031, 12, 2, 8, tzinfo=UTC)
SERVER = Server(
    url="https://meet.example.com",
    host="meet.example.com",
    app_id="the_app",
    subject="meet.example.com",
)
KEY = SigningKey.from_secret(
    b"a secret of the tests, long enough for each algorithm 0123456789", "HS256"
)


@dataclass(frozen=True)
class Factory:
    """Makes composers, verifiers and meetings that differ only in what a test asks for."""

    templates: Templates
    revision: Revision = field(
        default=Revision(kind=Kind.INVITATION, sequence=0, dtstamp=START - timedelta(days=90))
    )

    def composer(self, kind: type[Composer] = Composer, **sender: Any) -> Composer:
        """Return a composer, of this class, whose sender has these values."""
        whole = {
            "server": SERVER,
            "organizer": Organizer(name="Meetings", email="meetings@example.com"),
            "namespace": "example.com",
            "rule": ValidityRule(),
        }
        return kind(
            Sender(**{**whole, **sender}),
            key=KEY,
            room_key=b"room key of the tests",
            templates=self.templates,
        )

    def verifier(self, *, everything: bool = True, **named: Any) -> Verifier:
        """Return a verifier that reads everything back."""
        return Verifier(
            SERVER,
            mailbox="meetings@example.com",
            key=KEY,
            everything=everything,
            **{"logo": self.templates.picture, **named},
        )

    def attendee(self, number: int = 1, **facts: Any) -> Attendee:
        """Return attendee `number` with these facts."""
        mailbox = f"attendee{number}@example.org"
        whole = {"name": f"Ada Example {number}", "email": mailbox, "mailbox": mailbox}
        return Attendee(**{**whole, "address": mailbox, **facts})

    def meeting(self, *attendees: Attendee, **facts: Any) -> Meeting:
        """Return a meeting of an hour with these attendees, or with one."""
        whole = {
            "id": "planning",
            "title": "Planning",
            "start": START,
            "end": START + timedelta(hours=1),
            "timezone": "Europe/Berlin",
            "attendees": attendees or (self.attendee(),),
        }
        return Meeting(**{**whole, **facts})

    def build(self, out: Path, *meetings: Meeting, composer: Composer, **named: Any) -> BuildReport:
        """Build these meetings into `out`."""
        return build(
            Selection(meetings=meetings, over=0, cancelled=0),
            out=out,
            composer=composer,
            verifier=self.verifier(everything=False),
            now=self.revision.dtstamp,
            **named,
        )


LOGO = Picture(
    content=a2b_base64(
        "iVBORw0KGgoAAAANSUhEUgAAACQAAAAkAQMAAADbzgrbAAAAA1BMVEUdTthVdjWUAAAADElEQVR42mNg"
        "GJ4AAADYAAEHjewMAAAAAElFTkSuQmCC"
    ),
    media_type="image/png",
)
"""A blue square."""


def branded(factory: Factory) -> Factory:
    """Return a factory whose mails bring a logo along."""
    brand = Brand(name="Example Academy", logo=f"cid:{LOGO.content_id}", picture=LOGO)
    return replace(factory, templates=Templates.load(brand=brand))


def with_calendar(invitation: Invitation, ics: bytes) -> Invitation:
    """Return the invitation with another calendar object, in the file and in both parts."""
    before, after = encoded(invitation.ics), encoded(ics)
    assert invitation.eml.count(before) == 2
    return replace(invitation, ics=ics, eml=invitation.eml.replace(before, after))


def with_part(invitation: Invitation, number: int, alter: Callable[[bytes], bytes]) -> Invitation:
    """Return the invitation with another body in its part `number` (0 for the text, 1 for HTML)."""
    bodies = re.findall(rb"base64\r\n\r\n((?:[A-Za-z0-9+/=]+\r\n)+)", invitation.eml)
    before = a2b_base64(bodies[number])
    after = alter(before)
    assert after != before
    return replace(invitation, eml=invitation.eml.replace(bodies[number], encoded(after), 1))
