"""Facts and people that the tests of templates share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from invites.invitation import Change, Organizer
from invites.model import Attendee, Meeting, Status, Validity
from invites.templating import LetterFacts, LetterWriter, Templates

START = datetime(2031, 12, 2, 8, tzinfo=UTC)
END = START + timedelta(hours=1)


@pytest.fixture
def attendee() -> Attendee:
    """Return an attendee without anything optional."""
    return Attendee(
        name="Ada Example",
        email="ada@example.com",
        mailbox="ada@example.com",
        address="ada@example.com",
    )


@pytest.fixture
def facts(attendee: Attendee) -> LetterFacts:
    """Return the facts of a meeting in Berlin, 09:00 to 10:00, without anything optional."""
    return LetterFacts(
        meeting=Meeting(
            id="planning",
            title="Planning & more",
            start=START,
            end=END,
            timezone="Europe/Berlin",
            attendees=(attendee,),
        ),
        validity=Validity(
            not_before=int(START.timestamp()) - 960, expires=int(END.timestamp()) + 1800
        ),
        organizer=Organizer(name="Meetings", email="meetings@example.com"),
        server="meet.example.com",
        room="planning-room",
        skew=timedelta(seconds=60),
    )


@pytest.fixture
def full_facts(facts: LetterFacts) -> LetterFacts:
    """Return facts with everything that is optional, and with changes."""
    meeting = replace(
        facts.meeting,
        description="Bring <notes>.\n\nAnd questions.",
        organizer_name="Grace Sample",
        organizer_email="grace@example.org",
        status=Status.TENTATIVE,
    )
    changes = (
        Change(field="start", old=START - timedelta(days=153), new=START),
        Change(field="end", old=END - timedelta(days=153), new=END),
        Change(field="title", old="Planning", new="Planning & more"),
        Change(field="moderator", old=False, new=True),
        Change(field="key", old=None, new=None),
    )
    return replace(facts, meeting=meeting, changes=changes, demo=True)


@pytest.fixture(scope="session")
def shipped() -> Templates:
    """Return the shipped templates."""
    return Templates.load()


@pytest.fixture
def writer(shipped: Templates) -> LetterWriter:
    """Return a writer with the shipped templates."""
    return LetterWriter(shipped)


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that writes template files, by name, into a folder."""

    def write(files: dict[str, str]) -> Path:
        for name, source in files.items():
            (tmp_path / name).write_text(source, encoding="utf-8")
        return tmp_path

    return write
