"""A folder to send from: settings, a roster, a ledger, and what its receivers got."""

from __future__ import annotations

import email
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import icalendar

from tests.peers.smtp_server import ScriptedServer
from tests.support import SETTINGS, Answer, write_settings

HEADER = "meeting_id,title,start,end,name,email,moderator,user_id"
ADA = "standup,Standup,2031-03-01 09:00,2031-03-01 09:30,Ada,ada@example.org,yes,u1"
BOB = "standup,Standup,2031-03-01 09:00,2031-03-01 09:30,Bob,bob@example.org,,u2"
EVE = "review,Review,2031-03-02 09:00,2031-03-02 09:30,Eve,eve@example.org,,u3"


def many(count: int, *, meetings: int = 1, domain: str = "example.org") -> list[str]:
    """Return rows for `count` attendees, spread over so many meetings."""
    return [
        f"m{n % meetings},Meeting {n % meetings},2031-03-0{1 + n % meetings % 9} 10:00,"
        f"2031-03-0{1 + n % meetings % 9} 11:00,Person {n},person{n}@{domain},,"
        for n in range(count)
    ]


@dataclass(frozen=True)
class Mail:
    """What a receiver sees of a message."""

    to: str
    method: str
    sequence: int
    subject: str
    message_id: str
    answers: str | None
    text: str
    calendar: str
    status: str | None
    message: EmailMessage = field(repr=False, compare=False)

    @property
    def brief(self) -> tuple[str, str, int]:
        """To whom it says what, in which order."""
        return self.to, self.method, self.sequence


def read_mail(octets: bytes) -> Mail:
    """Return a message as a mail program reads it."""
    message = email.message_from_bytes(octets, policy=policy.default)
    parts = {part.get_content_type(): part for part in message.walk()}
    text = str(parts["text/calendar"].get_content())
    calendar = icalendar.Calendar.from_ical(text)
    (event,) = calendar.walk("VEVENT")
    return Mail(
        to=str(message["To"].addresses[0].addr_spec),
        method=str(calendar["METHOD"]),
        sequence=int(event["SEQUENCE"]),
        subject=str(message["Subject"]),
        message_id=str(message["Message-ID"]),
        answers=message["In-Reply-To"],
        text=str(parts["text/plain"].get_content()),
        calendar=text,
        status=None if event.get("STATUS") is None else str(event["STATUS"]),
        message=message,
    )


def smtp(server: ScriptedServer) -> str:
    """Return the settings for a server on loopback."""
    return f'\n[smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\n'


@dataclass
class Office:
    """Sends by the command line from the current folder, an hour later each time."""

    invites: Callable[..., Answer]
    folder: Path
    hours: int = 0
    header: str = HEADER

    def settle_in(self, extra: str = "", *, ledger: bool = True) -> Office:
        """Write the settings, and make the ledger as `init` would."""
        from invites import ledger as book  # noqa: PLC0415

        write_settings(self.folder, SETTINGS + extra)
        if ledger:
            book.create(f"sqlite:///{self.folder / 'invites.db'}")
        return self

    @property
    def now(self) -> str:
        """The time that stands in for the clock."""
        day, hour = divmod(self.hours, 24)
        return f"2031-02-{1 + day:02}T{hour:02}:15:00Z"

    def write(self, *rows: str, name: str = "roster.csv", end: str = "\n") -> str:
        """Write a roster and return its name."""
        content = "\n".join((self.header, *rows)) + end
        (self.folder / name).write_text(content, encoding="utf-8")
        return name

    def send(self, rows: Iterable[str], *flags: str, name: str = "roster.csv") -> Answer:
        """Send the roster that is made of these rows, an hour after the last time."""
        self.hours += 1
        return self.invites("send", self.write(*rows, name=name), "--now", self.now, *flags)

    def plan(self, rows: Iterable[str], *flags: str, name: str = "roster.csv") -> Answer:
        """Plan for the time at which the next `send` would be."""
        self.hours += 1
        answer = self.invites("plan", self.write(*rows, name=name), "--now", self.now, *flags)
        self.hours -= 1
        return answer

    def send_mail(self, rows: Iterable[str], *flags: str) -> Answer:
        """Send by SMTP, by the real clock."""
        return self.invites("send", self.write(*rows), "--to", "smtp", *flags)

    def batches(self) -> list[list[Mail]]:
        """Return what is in the outbox, batch by batch, each in the order of its manifest."""
        outbox = self.folder / "outbox"
        return [_batch(path) for path in sorted(outbox.iterdir())] if outbox.exists() else []

    def last(self) -> list[Mail]:
        """Return the last batch."""
        return self.batches()[-1]

    def ledger_bytes(self) -> bytes:
        """Return the ledger as it is on disk, log included."""
        paths = (self.folder / "invites.db", self.folder / "invites.db-wal")
        return b"|".join(path.read_bytes() for path in paths if path.exists())

    def history(self, *flags: str) -> dict[str, Any]:
        """Return the history as programs read it."""
        document = json.loads(self.invites("history", "--json", *flags).out)
        assert isinstance(document, dict)
        return document


def _batch(path: Path) -> list[Mail]:
    lines = (path / "manifest.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [read_mail((path / line.split(",")[-2]).read_bytes()) for line in lines]
