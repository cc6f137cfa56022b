"""A folder to send from: its settings, its roster, its ledger, its clock, and what was delivered.

All tests that send stand on `World`.  They drive it in four ways: by the command line
(`CommandWorld`), by one pass after the other (`PassWorld`), by the wake-ups of a night
(`tests.jobs.conftest`), and by processes that can be killed (`tests.system.world`).
"""

from __future__ import annotations

import email
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import icalendar

from invites import ledger
from invites import settings as settings_package
from invites.delivery.base import Delivery, open_delivery
from invites.model import Roster
from invites.roster.csv_file import read_table
from invites.roster.parse import parse_roster
from invites.sending import Effects, Renderer, RunReport, SendOptions, policy_from, send
from invites.settings import Settings
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
    event = calendar.walk("VEVENT")[0]  # of a series the one of its rule
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


@dataclass(kw_only=True)
class World:
    """A folder with settings, a roster and a ledger; `sections` follow what all settings have."""

    folder: Path
    sections: str = ""
    url: str = ""
    header: str = HEADER

    @property
    def ledger_url(self) -> str:
        """The ledger's url: a file in the folder, where a test asks for no other."""
        return self.url or f"sqlite:///{self.folder / 'invites.db'}"

    def write_settings(self) -> Path:
        """Write the settings as they are to be now, and return their path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = f'{SETTINGS}{self.sections}\n[ledger]\nurl = "{self.ledger_url}"\n{self.jobs()}'
        return write_settings(self.folder, text)

    def jobs(self) -> str:
        """Return the settings of the jobs that there are."""
        return ""

    def load_settings(self) -> Settings:
        """Write the settings as they are to be now, and read them."""
        return settings_package.load(self.write_settings(), environ={})

    def make_ledger(self) -> None:
        """Make an empty ledger, as `init` would, where there is none."""
        if not ledger.exists(self.ledger_url):
            ledger.create(self.ledger_url)

    def write(self, *rows: str, name: str = "roster.csv", end: str = "\n") -> str:
        """Write a roster and return its name."""
        content = "\n".join((self.header, *rows)) + end
        (self.folder / name).write_text(content, encoding="utf-8")
        return name

    def batch_folders(self) -> list[Path]:
        """Return the folders that were delivered, in order."""
        outbox = self.folder / "outbox"
        return sorted(outbox.iterdir()) if outbox.is_dir() else []

    def batches(self) -> list[list[Mail]]:
        """Return what is in the outbox, batch by batch, each in the order of its manifest."""
        return [_batch(path) for path in self.batch_folders()]

    def last(self) -> list[Mail]:
        """Return the last batch."""
        return self.batches()[-1]

    def ledger_bytes(self) -> bytes:
        """Return the ledger as it is on disk, log included."""
        paths = (self.folder / "invites.db", self.folder / "invites.db-wal")
        return b"|".join(path.read_bytes() for path in paths if path.exists())


@dataclass(kw_only=True)
class CommandWorld(World):
    """Sends by the command line from the current folder, an hour later each time."""

    invites: Callable[..., Answer]
    hours: int = 0

    @classmethod
    def ready(
        cls,
        invites: Callable[..., Answer],
        folder: Path,
        sections: str = "",
        *,
        ledger: bool = True,
    ) -> CommandWorld:
        """Write the settings, and make the ledger."""
        world = cls(invites=invites, folder=folder, sections=sections)
        world.write_settings()
        if ledger:
            world.make_ledger()
        return world

    @property
    def now(self) -> str:
        """The time that stands in for the clock."""
        day, hour = divmod(self.hours, 24)
        return f"2031-02-{1 + day:02}T{hour:02}:15:00Z"

    def send(self, rows: Iterable[str], *flags: str, name: str = "roster.csv") -> Answer:
        """Send the roster that is made of these rows, an hour after the last time."""
        self.hours += 1
        name = self.write(*rows, name=name)
        return self.invites("send", name, "--now", self.now, "--to", "folder", *flags)

    def plan(self, rows: Iterable[str], *flags: str, name: str = "roster.csv") -> Answer:
        """Plan for the time at which the next `send` would be."""
        self.hours += 1
        answer = self.invites("plan", self.write(*rows, name=name), "--now", self.now, *flags)
        self.hours -= 1
        return answer

    def send_mail(self, rows: Iterable[str], *flags: str) -> Answer:
        """Send by SMTP, by the real clock."""
        return self.invites("send", self.write(*rows), "--to", "smtp", *flags)

    def history(self, *flags: str) -> dict[str, Any]:
        """Return the history as programs read it."""
        document = json.loads(self.invites("history", "--json", *flags).out)
        assert isinstance(document, dict)
        return document


@dataclass(kw_only=True)
class PassWorld(World):
    """Sends in this process, one pass after the other; `pause` moves the clock."""

    to: str = "folder"
    now: datetime = datetime(2031, 2, 1, 2, 15, tzinfo=UTC)
    stop: bool = False
    pauses: list[timedelta] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Write the settings, make the ledger, and compile the templates."""
        self.settings = self.load_settings()
        self.renderer = Renderer.from_settings(self.settings)
        self.make_ledger()

    def roster(self, *rows: str) -> Roster:
        """Write a roster and read it."""
        path = self.folder / self.write(*rows)
        return parse_roster(read_table(str(path)), self.settings.roster_rules())

    def options(
        self, *, scope: str = "default", claimed: tuple[str, ...] = (), **policy: Any
    ) -> SendOptions:
        """Return what a `send` by hand would be."""
        whole = replace(policy_from(self.settings, to=self.to), **policy)
        return SendOptions(
            scope=scope, command="send", delivery=self.to, policy=whole, claimed=claimed
        )

    @property
    def effects(self) -> Effects:
        """The effects, with a clock that stands still but for pauses."""
        return Effects(
            clock=lambda: self.now,
            timer=self._seconds,
            stop=lambda: self.stop,
            pause=self._pause,
        )

    def delivery_for(self, run: str) -> Delivery:
        """Open the delivery of a run."""
        to: Any = self.to
        return open_delivery(self.settings, run=run, now=self.now, to=to, keep_old=True)

    def locked(self) -> Any:
        """Open the ledger as its one writer."""
        return ledger.open_ledger(self.settings.ledger.url, lock=True)

    def send(self, *rows: str, **options: Any) -> RunReport:
        """Send the roster made of these rows, a minute after the last time."""
        self.now += timedelta(minutes=1)
        with self.locked() as opened:
            return send(
                self.roster(*rows),
                self.renderer,
                opened,
                self.options(**options),
                self.effects,
                delivery_for=self.delivery_for,
            )

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _pause(self, span: timedelta) -> None:
        self.pauses.append(span)
        self.now += span


def _batch(path: Path) -> list[Mail]:
    lines = (path / "manifest.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [read_mail((path / line.split(",")[-2]).read_bytes()) for line in lines]
