"""A world with a job, and what the operators got from it; mail goes to a scripted server."""

from __future__ import annotations

import email
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy as email_policy
from email.message import EmailMessage
from logging import LogRecord
from pathlib import Path
from typing import Any

import pytest

from invites import ledger
from invites.due.attempts import JobState
from invites.jobs import JobOutcome, RunOptions, WakeUp, WakeUpReport, wake_up
from invites.ledger.jobs import job_state
from invites.sending import Effects, Renderer
from invites.settings import Settings
from tests.peers.smtp_server import ScriptedServer
from tests.world import World

HEADER = "meeting_id,title,start,end,name,email"
START = datetime(2031, 2, 1, 1, tzinfo=UTC)
"""A night's first moment: the job of the tests is due at 02:15 UTC."""
OPERATORS = "ops@example.com"


def row(meeting: int | str, person: str = "ada", *, start: str = "2031-03-01 09:00") -> str:
    """Return the roster's row for a person in a meeting of half an hour."""
    end = start[:-5] + f"{int(start[-5:-3]):02}:{int(start[-2:]) + 30:02}"
    return f"m{meeting},Meeting {meeting},{start},{end},{person.title()},{person}@example.org\n"


_RENDERERS: dict[str, Renderer] = {}


@dataclass(kw_only=True)
class JobWorld(World):
    """A world with one job `nightly`, and a clock that tests move."""

    header: str = HEADER
    url: str = "sqlite:///invites.db"
    job: str = ""
    at: str = "02:15"
    now: datetime = START
    deliver: str = "folder"
    stop: bool = False
    lines: list[LogRecord] = field(default_factory=list)
    on_message: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        """Write the settings and make an empty ledger."""
        (self.folder / "rosters").mkdir(exist_ok=True)
        self.load()
        if not ledger.exists(self.settings.ledger.url):
            ledger.create(self.settings.ledger.url)

    def jobs(self) -> str:
        """Return the settings of the one job."""
        return (
            f'[[job]]\nname = "nightly"\nroster = "rosters/*.csv"\nat = "{self.at}"\n'
            f'deliver = "{self.deliver}"\n{self.job}\n'
        )

    def load(self) -> Settings:
        """Write the settings as they are to be now, and read them."""
        self.settings = self.load_settings()
        return self.settings

    def roster(self, *rows: str, name: str = "roster.csv", age: timedelta | None = None) -> Path:
        """Write the night's roster, last written `age` (an hour) before now."""
        path = self.folder / "rosters" / name
        path.write_text(f"{self.header}\n" + "".join(rows), encoding="utf-8")
        self.touch(path, age if age is not None else timedelta(hours=1))
        return path

    def touch(self, path: Path, age: timedelta) -> None:
        """Let a file have been written `age` before now."""
        stamp = (self.now - age).timestamp()
        os.utime(path, (stamp, stamp))

    def wakeup(self, **options: Any) -> WakeUp:
        """Return the wake-up of this moment."""
        wakeup = WakeUp(
            settings=self.settings,
            effects=Effects(
                clock=lambda: self.now,
                timer=time.monotonic,
                stop=lambda: self.stop,
                on_message=self.on_message,
                pause=self.pause,
            ),
            options=RunOptions(**options),
            tell=self.lines.append,
        )
        if self.sections not in _RENDERERS:
            _RENDERERS[self.sections] = Renderer.from_settings(self.settings)
        # Compiling templates is most of a quiet wake-up's work; jobs make no difference to it.
        vars(wakeup)["renderer"] = _RENDERERS[self.sections]
        return wakeup

    def pause(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span

    def wake(self, at: datetime | str | None = None, **options: Any) -> WakeUpReport:
        """Wake up, at this time of the day (UTC) or at this instant."""
        if isinstance(at, str):
            self.now = datetime.combine(self.now.date(), datetime.strptime(at, "%H:%M").time(), UTC)  # noqa: DTZ007
        elif at is not None:
            self.now = at
        return wake_up(self.wakeup(**options))

    def one(self, at: datetime | str | None = None, **options: Any) -> JobOutcome:
        """Wake up and return the one outcome that there is."""
        (outcome,) = self.wake(at, **options).outcomes
        return outcome

    def seen(self) -> None:
        """Let the first wake-up take note of the job."""
        assert self.wake().outcomes == ()

    def state(self) -> JobState:
        """Return what the ledger remembers of the job."""
        with ledger.open_ledger(self.settings.ledger.url, lock=False) as opened:
            state = job_state(opened, "nightly")
        assert state is not None
        return state

    def invited(self) -> list[str]:
        """Return the receivers of all messages in the outbox, sorted."""
        paths = (path for batch in self.batch_folders() for path in batch.rglob("*.eml"))
        return sorted(receiver(path.read_bytes()) for path in paths)


def parsed(octets: bytes) -> EmailMessage:
    """Return the message that a receiver sees."""
    message = email.message_from_bytes(octets, policy=email_policy.default)
    assert isinstance(message, EmailMessage)
    return message


def receiver(octets: bytes) -> str:
    """Return the address in To."""
    return str(parsed(octets)["To"].addresses[0].addr_spec)


def notices(relay: ScriptedServer) -> list[EmailMessage]:
    """Return the mails that the operators got."""
    return [parsed(one.content) for one in relay.accepted if one.recipient == OPERATORS]


def subjects(relay: ScriptedServer) -> list[str]:
    """Return what the operators' mails are about."""
    return [str(notice["Subject"]) for notice in notices(relay)]


def with_relay(relay: ScriptedServer) -> str:
    """Return the section [smtp] for a scripted server."""
    return f'\n[smtp]\nhost = "{relay.host}"\nport = {relay.port}\nsecurity = "none"\n'


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    """Give a server that accepts everything."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path) -> JobWorld:
    """Give a world whose job delivers into a folder, and tells nobody."""
    return JobWorld(folder=tmp_path)


@pytest.fixture
def told(tmp_path: Path, relay: ScriptedServer) -> JobWorld:
    """Give a world whose job delivers by mail, and tells the operators."""
    return JobWorld(
        folder=tmp_path,
        sections=with_relay(relay),
        deliver="smtp",
        job=f'notify = ["{OPERATORS}"]',
    )
