"""What the delivery tests share: messages, a journal that remembers, servers and certificates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from invites.delivery.base import Key, Outcome, OutgoingMessage
from invites.delivery.smtp import SmtpDelivery
from invites.delivery.smtp_connection import Relay
from invites.invitation import Invitation, Kind, Revision
from invites.model import Attendee, Meeting, Room, Validity
from tests.peers.certificates import Authority
from tests.peers.smtp_server import ScriptedServer

SENDER = "meetings@example.com"
STAMP = datetime(2031, 1, 1, 8, 0, tzinfo=UTC)


def mailbox_of(number: int) -> str:
    """Return the mailbox of the attendee with this number."""
    return f"attendee{number}@example.org"


def message_id_of(number: int) -> str:
    """Return the Message-ID of the message with this number."""
    return f"<message{number}@example.com>"


def message(number: int, *, body: str = "Hello.\r\n", **differently: str) -> OutgoingMessage:
    """Return message `number`, of an invitation that nothing but the envelope cares about."""
    mailbox = mailbox_of(number)
    content = (
        f"From: {SENDER}\r\nTo: {mailbox}\r\nMessage-ID: {message_id_of(number)}\r\n"
        f"Subject: Meeting {number}\r\n\r\n{body}"
    ).encode()
    invitation = Invitation(
        meeting=Meeting(
            id=f"meeting {number // 2}",
            title="Planning",
            start=STAMP,
            end=STAMP,
            timezone="UTC",
            attendees=(),
        ),
        uid=f"uid-{number // 2}",
        attendee=Attendee(name="A", email=mailbox, mailbox=mailbox, address=mailbox),
        room=Room(claim="room", segment="room"),
        validity=Validity(not_before=1_925_023_440, expires=1_925_028_000),
        revision=Revision(kind=Kind.INVITATION, sequence=0, dtstamp=STAMP),
        message_id=message_id_of(number),
        eml=content,
        ics=b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    )
    return OutgoingMessage.of(invitation, key=number, sender=SENDER, **differently)


def messages(count: int) -> list[OutgoingMessage]:
    """Return the messages 1 to `count`."""
    return [message(number) for number in range(1, count + 1)]


@dataclass
class Recorder:
    """A journal in memory that insists on its own protocol."""

    outcomes: dict[Key, Outcome] = field(default_factory=dict)
    sending: list[Key] = field(default_factory=list)
    notes: list[tuple[tuple[Outcome, ...], tuple[Key, ...]]] = field(default_factory=list)
    fails_at: int | None = None

    def note(self, *, outcomes: Sequence[Outcome], sending: Sequence[Key]) -> None:
        """Remember; fail at the note number `fails_at`."""
        if self.fails_at is not None and len(self.notes) >= self.fails_at:
            raise OSError(28, "No space left on device")
        self.notes.append((tuple(outcomes), tuple(sending)))
        for outcome in outcomes:
            assert outcome.key not in self.outcomes, "two outcomes for one message"
            self.outcomes[outcome.key] = outcome
        for key in sending:
            assert key not in self.sending, "announced twice"
            self.sending.append(key)

    def kinds(self) -> dict[Key, str]:
        """Return each key's outcome by the name of its class."""
        return {key: type(outcome).__name__ for key, outcome in self.outcomes.items()}


def plain_relay(server: ScriptedServer, **settings: object) -> Relay:
    """Return a relay on loopback without TLS and login."""
    return replace(
        Relay(host="127.0.0.1", port=server.port, security="none", timeout=10, data_timeout=10),
        **settings,
    )


def deliver(relay: Relay, journal: Recorder, count: int = 3) -> None:
    """Deliver so many messages."""
    SmtpDelivery(relay).deliver(messages(count), journal, stop=lambda: False)


@pytest.fixture
def journal() -> Recorder:
    """Return an empty journal."""
    return Recorder()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority that lives as long as the tests."""
    return Authority.in_folder(tmp_path_factory.mktemp("authority"))
