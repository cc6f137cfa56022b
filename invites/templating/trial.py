"""Representative facts that every template is tried with before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from invites.core.model import (
    Attendance,
    Attendee,
    Change,
    Kind,
    Meeting,
    Organizer,
    Status,
    Validity,
)
from invites.errors import TemplateError
from invites.templating.letters import LetterFacts
from invites.templating.writer import LetterWriter

if TYPE_CHECKING:
    from invites.templating.library import Templates

TRIAL_LINK = "https://meet.example.com/trial?jwt=header.payload.signature"


class _AnyColumn(dict[str, str]):
    """Columns that any roster might have: each holds some text."""

    def __missing__(self, name: str) -> str:
        return "text"

    def __contains__(self, name: object) -> bool:
        return True


_START = datetime(2031, 12, 2, 8, tzinfo=UTC)
_END = _START + timedelta(hours=1)

_PLAIN = Attendee(
    name="Trial Attendee",
    email="trial@example.com",
    mailbox="trial@example.com",
    address="trial@example.com",
    columns=_AnyColumn(),
)
_RICH = replace(
    _PLAIN,
    moderator=True,
    attendance=Attendance.OPTIONAL,
    avatar="https://example.com/face.png",
    language="en",
    timezone="Asia/Kolkata",
    features=("recording", "transcription"),
    user_id="trial-1",
    group="trial",
)
_MEETING = Meeting(
    id="trial",
    title="A meeting to try templates with",
    start=_START,
    end=_END,
    timezone="Europe/Berlin",
    attendees=(_PLAIN,),
)
_FACTS = LetterFacts(
    meeting=_MEETING,
    validity=Validity(
        not_before=int(_START.timestamp()) - 960, expires=int(_END.timestamp()) + 1800
    ),
    organizer=Organizer(name="Meetings", email="meetings@example.com"),
    server="meet.example.com",
    room="trial",
)
_CHANGES = (
    Change(field="start", old=_START - timedelta(days=1), new=_START),
    Change(field="title", old="Earlier title", new=_MEETING.title),
    Change(field="description", old="", new="New description"),
    Change(field="moderator", old=False, new=True),
    Change(field="link", old=None, new=None),
)


def try_all(templates: Templates) -> None:
    """Render every kind of letter; raises TemplateError with file and line.

    A kind that computes with the roster's own columns may want cells of a certain form: what
    fails there is found when the roster is.
    """
    writer = LetterWriter(templates, reason_shown=True)
    for kind in Kind:
        for facts, attendee in trial_facts():
            try:
                writer.letter(kind, facts, attendee, TRIAL_LINK)
            except TemplateError:
                if not templates.variants(kind).computes_columns:
                    raise


def trial_facts() -> Iterator[tuple[LetterFacts, Attendee]]:
    """Yield facts with everything left out and with everything there."""
    yield _FACTS, _PLAIN
    rich = replace(
        _MEETING,
        description="First line.\n\nAnother paragraph.",
        organizer_name="Trial Host",
        organizer_email="host@example.com",
        status=Status.TENTATIVE,
    )
    earlier = _FACTS.validity.expires
    for attendee in (_RICH, replace(_RICH, moderator=False)):
        yield (
            replace(_FACTS, meeting=rich, changes=_CHANGES, demo=True, earlier_until=earlier),
            attendee,
        )
