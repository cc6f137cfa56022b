"""The receivers' model is independent, and keeps the rules of iTIP."""

from __future__ import annotations

import ast
import base64
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.peers import calendar_model
from tests.peers.calendar_model import Effect, MalformedError, PostOffice

CLAIMS = b'{"room":"r","nbf":1,"exp":2,"context":{"user":{"name":"Ada"}}}'
TOKEN = f"e30.{base64.urlsafe_b64encode(CLAIMS).decode().rstrip('=')}.c2ln"
LINK = f"https://meet.example.com/r?jwt={TOKEN}"


def mail(
    number: int,
    *,
    method: str = "REQUEST",
    sequence: int = 0,
    second: int = 0,
    status: str = "CONFIRMED",
    hour: int = 9,
    header: str = "",
    weeks: int = 0,
    week: int | None = None,
) -> bytes:
    """Return a mail that is made here, without the program.

    It is about a series of so many `weeks`, or about the one `week` of it (from 0) alone.
    """
    day = 1 + 7 * (week or 0)
    request = method == "REQUEST"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//test//EN",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        "UID:one",
        f"DTSTAMP:20310101T0000{second:02}Z",
        f"DTSTART:203102{day:02}T{hour:02}0000Z",
        f"DTEND:203102{day:02}T{hour + 1:02}0000Z",
        *([f"RRULE:FREQ=WEEKLY;COUNT={weeks}"] if weeks else []),
        *([f"RECURRENCE-ID:203102{day:02}T090000Z"] if week is not None else []),
        f"SEQUENCE:{sequence}",
        *([f"STATUS:{status}"] if status else []),
        "SUMMARY:Standup",
        "ORGANIZER;CN=Host:mailto:host@example.com",
        "ATTENDEE;ROLE=CHAIR;CN=Ada:mailto:ada@example.org",
        *([f"DESCRIPTION:{LINK}", f"URL:{LINK}", f"CONFERENCE:{LINK}"] if request else []),
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    ics = "\r\n".join(lines).encode()
    message = EmailMessage()
    message["From"], message["To"] = "Host <host@example.com>", "Ada <ada@example.org>"
    message["Subject"], message["Message-ID"] = "Standup", f"<{number}@example.com>"
    message.set_content(f"Hello\n\n{LINK}\n" if request else "Hello\n", cte="base64")
    message.add_alternative("<p>Hello</p>", subtype="html")
    message.add_alternative(
        ics, maintype="text", subtype="calendar", params={"method": header or method}
    )
    message.add_attachment(ics, maintype="application", subtype="ics", filename="invite.ics")
    return message.as_bytes()


def effects(*mails: bytes) -> tuple[list[Effect], dict[str, int]]:
    """Return what each mail did, and the hours at which entries stand in the end."""
    post = PostOffice()
    found = [post.arrive(one)[1] for one in mails]
    return found, {uid: event.start.hour for (_, uid), event in post.standing().items()}


def test_the_model_imports_nothing_of_the_program() -> None:
    """Only the standard library, icalendar, and what says on which dates a series takes place."""
    source = Path(calendar_model.__file__).read_text(encoding="utf-8")
    names = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "relative"]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names - set(sys.stdlib_module_names) == {"icalendar", "recurring_ical_events"}
    assert "__import__" not in source
    assert "importlib" not in source


def test_an_update_takes_the_place_of_the_entry() -> None:
    """One entry, at its new hour."""
    got = effects(mail(1), mail(2, sequence=1, hour=10))
    assert got == ([Effect.ADDED, Effect.UPDATED], {"one": 10})


def test_what_was_overtaken_changes_nothing() -> None:
    """SEQUENCE first, DTSTAMP second."""
    found, held = effects(
        mail(1, sequence=1, hour=10),
        mail(2, sequence=0, second=30),
        mail(3, sequence=1, second=5, hour=11),
        mail(4, sequence=1, second=4, hour=12),
    )
    assert found == [Effect.ADDED, Effect.TOO_OLD, Effect.UPDATED, Effect.TOO_OLD]
    assert held == {"one": 11}


def test_a_second_copy_is_not_looked_at() -> None:
    """The same Message-ID came before."""
    assert effects(mail(1), mail(1))[0] == [Effect.ADDED, Effect.SECOND_COPY]


@pytest.mark.parametrize(
    ("status", "effect"), [("CANCELLED", Effect.CALLED_OFF), ("", Effect.REMOVED)]
)
def test_a_cancel_ends_it_until_a_higher_sequence_comes(status: str, effect: Effect) -> None:
    """Called off with STATUS, removed without; an older invitation does not bring it back."""
    cancel = mail(2, method="CANCEL", sequence=1, status=status)
    assert effects(mail(1), cancel) == ([Effect.ADDED, effect], {})
    assert effects(mail(1), cancel, mail(3, second=9))[1] == {}
    assert effects(mail(1), cancel, mail(4, sequence=2))[1] == {"one": 9}


def test_a_cancel_of_nothing_says_so() -> None:
    """A stranger's calendar has nothing to cancel, and an overtaken REQUEST is not taken."""
    cancel = mail(2, method="CANCEL", sequence=1, status="")
    assert effects(cancel, mail(1))[0] == [Effect.NOTHING_THERE, Effect.TOO_OLD]


def hours(*mails: bytes) -> tuple[list[Effect], list[int]]:
    """Return what each mail about a series did, and at which hours its dates are in the end."""
    post = PostOffice()
    found = [post.arrive(one)[1] for one in mails]
    return found, [at.hour for event in post.standing().values() for at, _ in event.dates]


SERIES = mail(1, weeks=3)
MOVED = mail(2, sequence=1, week=1, hour=15)
OFF = mail(3, method="CANCEL", sequence=2, week=2, status="CANCELLED")


def test_a_message_about_one_date_changes_that_date_alone() -> None:
    """Moved, and called off: the series stands with its other dates."""
    assert hours(SERIES, MOVED) == ([Effect.ADDED, Effect.UPDATED], [9, 15, 9])
    assert hours(SERIES, MOVED, OFF)[1] == [9, 15]


def test_messages_about_dates_come_in_any_order() -> None:
    """Ahead of their series, or behind what is newer about the same date or all of them."""
    assert hours(OFF, MOVED, SERIES) == (
        [Effect.NOTHING_THERE, Effect.NOTHING_THERE, Effect.ADDED],
        [9, 15],
    )
    later = mail(4, sequence=2, week=1, hour=17)
    assert hours(SERIES, later, MOVED) == (
        [Effect.ADDED, Effect.UPDATED, Effect.TOO_OLD],
        [9, 17, 9],
    )
    whole = mail(5, sequence=3, weeks=3)
    assert hours(SERIES, whole, MOVED)[1] == [9, 9, 9]


def test_a_date_that_is_off_is_not_there_to_be_changed() -> None:
    """Nothing is left that a RECURRENCE-ID could name."""
    with pytest.raises(MalformedError, match="does not have"):
        hours(SERIES, OFF, mail(6, sequence=3, week=2, hour=12))


def test_a_method_that_is_another_in_the_header_is_malformed() -> None:
    """RFC 6047 2.4."""
    with pytest.raises(MalformedError, match="method"):
        PostOffice().arrive(mail(1, header="PUBLISH"))
