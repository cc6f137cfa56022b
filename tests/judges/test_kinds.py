"""Messages of every kind, and of people with odd names, before the judges."""

from __future__ import annotations

import email

import pytest
import vobject
from icalendar import Calendar

from invites.messages.calendar import EventFacts, EventSkeleton
from invites.model import Attendance, Invitation, Kind, Revision, Status
from tests.judges import octets
from tests.judges.conftest import Libical
from tests.workshop import START, Workshop

ODD_NAMES = [
    "Ends with a backslash \\",
    "\\",
    'O\'Testy, "Bob"',
    "a:b;c,d",
    "caret ^n ^^ ^'",
    "=?utf-8?q?evil=40x=2Eorg=2C?=",
    '";X=1:mailto:eve@example.net',
    "🚀" * 60,
    "李 雷, 韩 梅梅",
    "%41%2c",
]
CALENDAR_KINDS = [kind for kind in Kind if kind is not Kind.REMINDER]


def composed(workshop: Workshop, kind: Kind, **sender: object) -> list[Invitation]:
    """Return the messages of this kind to a moderator, an optional and a plain attendee."""
    people = (
        workshop.attendee(1, moderator=True),
        workshop.attendee(2, attendance=Attendance.OPTIONAL, name="Élodie, \\ “quoted”"),
        workshop.attendee(3, timezone="Asia/Tokyo"),
    )
    cancelled = Status.CANCELLED if kind is Kind.CANCELLED else Status.TENTATIVE
    meeting = workshop.meeting(*people, description="One; two,\nthree.", status=cancelled)
    revision = Revision(kind=kind, sequence=3, dtstamp=START)
    references = {people[0].address: "<first@example.com>"}
    composer = workshop.composer(**sender)
    return list(composer.compose(meeting, revision, references=references))


@pytest.mark.peer("libical3")
@pytest.mark.parametrize("kind", CALENDAR_KINDS)
def test_libical_accepts_each_kind(workshop: Workshop, libical: Libical, kind: Kind) -> None:
    """REQUESTs and CANCELs keep the restrictions of RFC 5546."""
    for invitation in composed(workshop, kind):
        assert libical.faults(invitation.ics) == []


@pytest.mark.parametrize("kind", Kind)
def test_our_own_verifier_passes_each_kind(workshop: Workshop, kind: Kind) -> None:
    """All of them are read back."""
    verifier = workshop.verifier()
    assert len(list(verifier.passed(composed(workshop, kind)))) == 3
    assert verifier.read_back == 3


@pytest.mark.parametrize("kind", CALENDAR_KINDS)
def test_no_octet_of_any_kind_is_wrong(workshop: Workshop, kind: Kind) -> None:
    """Octets, and vobject as a second parser."""
    for invitation in composed(workshop, kind):
        assert octets.faults(invitation.ics) == []
        assert vobject.readOne(invitation.ics.decode()).vevent.sequence.value == "3"


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.WITHDRAWN])
def test_a_cancellation_has_no_link_in_any_part(workshop: Workshop, kind: Kind) -> None:
    """Neither text, page nor event holds a token."""
    for invitation in composed(workshop, kind):
        for part in email.message_from_bytes(invitation.eml).walk():
            content = part.get_payload(decode=True)
            assert content is None or b"jwt" not in content
        assert b"jwt=" not in invitation.ics
        (event,) = Calendar.from_ical(invitation.ics).walk("VEVENT")
        assert "url" not in event


@pytest.mark.peer("libical3")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_libical_finds_the_attendee_whatever_the_name(
    workshop: Workshop, libical: Libical, name: str
) -> None:
    """No name swallows the parameters or the address that follow it."""
    (invitation,) = workshop.composer().compose(
        workshop.meeting(workshop.attendee(name=name, moderator=True), title=name),
        workshop.revision,
    )
    allowed, written = libical.read(invitation.ics)
    assert allowed
    assert "X-LIC-ERROR" not in written
    (line,) = [line for line in written.splitlines() if line.startswith("ATTENDEE")]
    assert line.endswith(":mailto:attendee1@example.org")
    assert ";ROLE=CHAIR;" in line.replace(f"CN={name}", "")


@pytest.mark.peer("libical3")
def test_the_others_are_listed_where_the_settings_want_it(
    workshop: Workshop, libical: Libical
) -> None:
    """The receiver first, then the others; all of them in each calendar, one in To."""
    verifier = workshop.verifier(with_others=True)
    for invitation in composed(workshop, Kind.INVITATION, show_attendees=True):
        verifier.check(invitation)
        (event,) = Calendar.from_ical(invitation.ics).walk("VEVENT")
        assert len(event["attendee"]) == 3
        assert str(event["attendee"][0]) == f"mailto:{invitation.attendee.mailbox}"
        assert libical.faults(invitation.ics) == []


def test_a_title_of_500_characters_stays_whole(workshop: Workshop) -> None:
    """Folded, and read back as one."""
    title = "Ein sehr langer Titel für 東京, " * 15
    meeting = workshop.meeting(title=title)
    facts = EventFacts(
        meeting=meeting,
        uid="1",
        revision=workshop.revision,
        organizer_name="x",
        organizer_mailbox="a@example.com",
        place="p",
        notes=(),
    )
    ics = EventSkeleton(facts).filled(workshop.attendee(), "https://meet.example.com/x", {})
    (event,) = Calendar.from_ical(ics).walk("VEVENT")
    assert str(event["summary"]) == title
