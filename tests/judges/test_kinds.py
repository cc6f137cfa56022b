"""Messages of every kind, and of people with odd names, before the judges."""

from __future__ import annotations

import email

import pytest
import vobject
from icalendar import Calendar

from invites.invitation import Invitation, Kind, Revision
from invites.messages.calendar import EventFacts, EventSkeleton
from invites.model import Attendance, Status
from tests.factory import START, Factory
from tests.judges import octets
from tests.judges.conftest import Libical

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


def composed(factory: Factory, kind: Kind, **sender: object) -> list[Invitation]:
    """Return the messages of this kind to a moderator, an optional and a plain attendee."""
    people = (
        factory.attendee(1, moderator=True),
        factory.attendee(2, attendance=Attendance.OPTIONAL, name="Élodie, \\ “quoted”"),
        factory.attendee(3, timezone="Asia/Tokyo"),
    )
    cancelled = Status.CANCELLED if kind is Kind.CANCELLED else Status.TENTATIVE
    meeting = factory.meeting(*people, description="One; two,\nthree.", status=cancelled)
    revision = Revision(kind=kind, sequence=3, dtstamp=START)
    references = {people[0].address: "<first@example.com>"}
    composer = factory.composer(**sender)
    return list(composer.compose(meeting, revision, references=references))


@pytest.mark.peer("libical3")
@pytest.mark.parametrize("kind", CALENDAR_KINDS)
def test_libical_accepts_each_kind(factory: Factory, libical: Libical, kind: Kind) -> None:
    """REQUESTs and CANCELs keep the restrictions of RFC 5546."""
    for invitation in composed(factory, kind):
        assert libical.faults(invitation.ics) == []


@pytest.mark.parametrize("kind", Kind)
def test_our_own_verifier_passes_each_kind(factory: Factory, kind: Kind) -> None:
    """All of them are read back."""
    verifier = factory.verifier()
    assert len(list(verifier.passed(composed(factory, kind)))) == 3
    assert verifier.read_back == 3


@pytest.mark.parametrize("kind", CALENDAR_KINDS)
def test_no_octet_of_any_kind_is_wrong(factory: Factory, kind: Kind) -> None:
    """Octets, and vobject as a second parser."""
    for invitation in composed(factory, kind):
        assert octets.faults(invitation.ics) == []
        assert vobject.readOne(invitation.ics.decode()).vevent.sequence.value == "3"


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.WITHDRAWN])
def test_a_cancellation_has_no_link_in_any_part(factory: Factory, kind: Kind) -> None:
    """Neither text, page nor event holds a token."""
    for invitation in composed(factory, kind):
        for part in email.message_from_bytes(invitation.eml).walk():
            content = part.get_payload(decode=True)
            assert content is None or b"jwt" not in content
        assert b"jwt=" not in invitation.ics
        (event,) = Calendar.from_ical(invitation.ics).walk("VEVENT")
        assert "url" not in event


@pytest.mark.peer("libical3")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_libical_finds_the_attendee_whatever_the_name(
    factory: Factory, libical: Libical, name: str
) -> None:
    """No name swallows the parameters or the address that follow it."""
    (invitation,) = factory.composer().compose(
        factory.meeting(factory.attendee(name=name, moderator=True), title=name),
        factory.revision,
    )
    allowed, written = libical.read(invitation.ics)
    assert allowed
    assert "X-LIC-ERROR" not in written
    (line,) = [line for line in written.splitlines() if line.startswith("ATTENDEE")]
    assert line.endswith(":mailto:attendee1@example.org")
    assert ";ROLE=CHAIR;" in line.replace(f"CN={name}", "")


@pytest.mark.peer("libical3")
def test_the_others_are_listed_where_the_settings_want_it(
    factory: Factory, libical: Libical
) -> None:
    """The receiver first, then the others; all of them in each calendar, one in To."""
    verifier = factory.verifier(with_others=True)
    for invitation in composed(factory, Kind.INVITATION, show_attendees=True):
        verifier.check(invitation)
        (event,) = Calendar.from_ical(invitation.ics).walk("VEVENT")
        assert len(event["attendee"]) == 3
        assert str(event["attendee"][0]) == f"mailto:{invitation.attendee.mailbox}"
        assert libical.faults(invitation.ics) == []


def test_a_title_of_500_characters_stays_whole(factory: Factory) -> None:
    """Folded, and read back as one."""
    title = "Ein sehr langer Titel für 東京, " * 15
    meeting = factory.meeting(title=title)
    facts = EventFacts(
        meeting=meeting,
        uid="1",
        revision=factory.revision,
        organizer_name="x",
        organizer_mailbox="a@example.com",
        place="p",
        notes=(),
    )
    ics = EventSkeleton(facts).filled(factory.attendee(), "https://meet.example.com/x", {})
    (event,) = Calendar.from_ical(ics).walk("VEVENT")
    assert str(event["summary"]) == title
