"""Calendar lines hold whatever they are given, and other parsers read back what was meant."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import vobject
from hypothesis import example, given
from hypothesis import strategies as st
from icalendar import Calendar, Event
from icalendar.parser import Contentline

from invites.invitation import Kind, Revision
from invites.messages.calendar import EventFacts, EventSkeleton, attendee_line
from invites.messages.content_lines import folded, mailto, parameter_value, text_value
from invites.model import Attendance, Status
from invites.templating import Slot
from tests.factory import START, Factory
from tests.judges import octets

NAME = Slot("attendee.name")
LINK = "https://meet.example.com/planning?jwt=e30.e30.c2lnbmF0dXJl"
HOSTILE = [
    "x\r\nATTENDEE:mailto:eve@example.net",
    "x\nEND:VEVENT\nBEGIN:VEVENT",
    "x\rMETHOD:CANCEL",
    "x\u0085y",
    "x\u2028y\u2029z",
    'quote " quote',
    "comma, semicolon; colon: backslash\\ \\n",
    "caret ^ ^n ^^ ^' ^\"",
    '";X=1:mailto:eve@example.net',
    "\x00\x07\x1b[31m",
    "\ud83d",
    "🚀" * 40,
    "é" * 200,
    "=?utf-8?q?evil=40x=2Eorg=2C?=",
    "\ttab\t",
    " blanks at the ends ",
]
ANYTHING = st.one_of(
    st.text(max_size=150),
    st.text(alphabet=st.sampled_from("\\;,:\"'^nN\r\n\t\u0085\u2028 é🚀\x00="), max_size=80),
    st.sampled_from(HOSTILE),
    st.characters(categories=["Cs"]).map(lambda one: f"a{one}b"),
)
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")
LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


def several_lines(text: str) -> str:
    """Return what the documentation says is left of a text of several lines."""
    return CONTROL.sub(" ", LINE_END.sub("\n", text))


def one_line(text: str) -> str:
    """Return what is left of a text of one line."""
    return CONTROL.sub(" ", LINE_END.sub(" ", text)).replace("\t", " ")


def shown(text: str) -> str:
    """Return what is left of a parameter's value."""
    return one_line(text).replace('"', "'").replace("\\", "/").strip()


def facts_with(factory: Factory, *, notes: tuple[str | Slot, ...] = (), **facts: Any) -> EventFacts:
    """Return an event's facts; `facts` are the meeting's or the event's."""
    ours = {key: facts.pop(key) for key in ("place", "organizer_name", "revision") if key in facts}
    return EventFacts(
        **{
            "meeting": factory.meeting(**facts),
            "uid": "5cd3ae5f-1c5b-5a1e-8f53-3b1a0e0f2f6a",
            "revision": factory.revision,
            "organizer_name": "Meetings",
            "organizer_mailbox": "meetings@example.com",
            "place": "Jitsi Meet: planning (meet.example.com)",
            "notes": notes,
            "alarm": timedelta(minutes=10),
            **ours,
        }
    )


def event_of(ics: bytes) -> Any:
    """Return the one event that icalendar reads."""
    (event,) = Calendar.from_ical(ics).walk("VEVENT")
    return event


@given(st.text(max_size=400).filter(lambda text: not re.search("[\r\n]", text)))
@example("é" * 74)
@example("x" * 75)
@example("x" * 74 + "é")
@example("🚀" * 19)
def test_folding_cuts_no_character_and_unfolds_to_the_line(text: str) -> None:
    """At most 75 octets a line; each line is UTF-8 by itself; unfolding is the line again."""
    line = "SUMMARY:" + text.encode("utf-8", "replace").decode()
    content = folded(line)
    assert content.endswith(b"\r\n")
    lines = content[:-2].split(b"\r\n")
    assert all(len(one) <= 75 and one.decode() for one in lines)
    assert content.replace(b"\r\n ", b"") == line.encode() + b"\r\n"


def test_a_line_of_75_octets_is_not_folded() -> None:
    """And one of 76 is, after the 75th."""
    assert folded("x" * 75) == b"x" * 75 + b"\r\n"
    assert folded("x" * 76) == b"x" * 75 + b"\r\n x\r\n"


@given(ANYTHING)
def test_an_escaped_text_reads_back(text: str) -> None:
    """Icalendar's own unescaping gives the text, its line ends as LF and controls as blanks."""
    value = text_value(text)
    assert not LINE_END.search(value)
    event = Event.from_ical(f"BEGIN:VEVENT\r\nCOMMENT:{value}\r\nEND:VEVENT\r\n")
    assert str(event["comment"]) == several_lines(text)


@given(ANYTHING)
def test_a_parameter_reads_back(text: str) -> None:
    """Icalendar reads the one parameter, a double quote as an apostrophe."""
    line = Contentline(f"ATTENDEE;CN={parameter_value(text)};ROLE=CHAIR:mailto:a@example.com")
    name, parameters, value = line.parts()
    assert (name, value) == ("ATTENDEE", "mailto:a@example.com")
    assert set(parameters) == {"CN", "ROLE"}
    assert parameters["CN"].strip() == shown(text)


@given(title=ANYTHING, name=ANYTHING, host=ANYTHING, notes=ANYTHING, place=ANYTHING)
def test_no_value_adds_a_line_to_the_event(
    factory: Factory, title: str, name: str, host: str, notes: str, place: str
) -> None:
    """The object has the lines of a harmless one, and no octet of it is wrong."""
    facts = facts_with(factory, title=title, organizer_name=host, notes=[notes], place=place)
    link = LINK + "x" * 250
    ics = EventSkeleton(facts).filled(factory.attendee(name=name), link, {})
    assert octets.faults(ics) == []
    harmless = EventSkeleton(facts_with(factory, notes=["x"]))
    unfolded = [
        one.replace(b"\r\n ", b"") for one in (ics, harmless.filled(factory.attendee(), link, {}))
    ]
    ours, theirs = ([re.split(b"[:;]", line)[0] for line in one.split(b"\r\n")] for one in unfolded)
    assert ours == theirs
    event = event_of(ics)
    assert str(event["summary"]) == one_line(title)
    assert str(event["description"]) == several_lines(notes) + link
    assert str(event["location"]) == several_lines(place)
    assert event["organizer"].params["CN"].strip() == shown(host)
    assert event["attendee"].params["CN"].strip() == shown(name)
    assert str(event["attendee"]) == "mailto:attendee1@example.org"


@given(value=ANYTHING)
def test_a_value_in_the_notes_is_filled_in_as_text(factory: Factory, value: str) -> None:
    """A slot's value is escaped and folded like the rest."""
    skeleton = EventSkeleton(facts_with(factory, notes=("For ", NAME, ": hello\n")))
    ics = skeleton.filled(factory.attendee(), LINK, {NAME: value})
    assert octets.faults(ics) == []
    assert str(event_of(ics)["description"]) == f"For {several_lines(value)}: hello\n{LINK}"


def test_vobject_reads_the_same_texts(factory: Factory) -> None:
    """A second parser agrees on quotes, commas, semicolons, line ends and emoji."""
    text = 'a "b", c; d: e\\ 🚀 é'
    facts = facts_with(factory, title=text, notes=[text + "\nend\n"])
    ics = EventSkeleton(facts).filled(factory.attendee(name=text), LINK, {})
    event = vobject.readOne(ics.decode()).vevent
    assert event.summary.value == text
    assert event.description.value == f"{text}\nend\n{LINK}"
    assert event.attendee.params["CN"] == [shown(text)]


@pytest.mark.parametrize(
    ("mailbox", "uri"),
    [
        ("ada@example.org", "mailto:ada@example.org"),
        ("ada+x.y_z@example.org", "mailto:ada+x.y_z@example.org"),
        ("a%b@example.org", "mailto:a%25b@example.org"),
        ("r&d@example.org", "mailto:r&d@example.org"),
        ("a=b/c!$'*~@example.org", "mailto:a=b/c!$'*~@example.org"),
        ("a?e#f^`{|}@example.org", "mailto:a%3Fe%23f%5E%60%7B%7C%7D@example.org"),
        ("o'brien@example.org", "mailto:o'brien@example.org"),
        ("a,eve@example.org", "mailto:a%2Ceve@example.org"),
        ("a\r\nX:y@example.org", "mailto:a%20X%3Ay@example.org"),
    ],
)
def test_an_address_becomes_one_mailto_uri(mailbox: str, uri: str) -> None:
    """RFC 6068 2: raw, but for what a URI can't have, or would take for something else."""
    assert mailto(mailbox) == uri


@pytest.mark.parametrize("mailbox", ["r&d@example.org", "a=b@example.org", "o'brien@example.org"])
def test_an_attendee_stands_raw_wherever_the_uri_parses(factory: Factory, mailbox: str) -> None:
    """Percent-encoded, Thunderbird does not know its own user."""
    line = attendee_line(factory.attendee(mailbox=mailbox)).replace(b"\r\n ", b"").decode()
    assert line.endswith(f":mailto:{mailbox}\r\n")
    assert "EMAIL=" not in line


@pytest.mark.parametrize(
    ("mailbox", "written"),
    [
        ("a#b@example.org", ";EMAIL=a#b@example.org:mailto:a%23b@example.org\r\n"),
        ("a%b=c@example.org", ';EMAIL="a%b=c@example.org":mailto:a%25b=c@example.org\r\n'),
        ("a^n@example.org", ";EMAIL=a^^n@example.org:mailto:a%5En@example.org\r\n"),
    ],
)
def test_an_attendee_whose_uri_is_encoded_has_the_address_beside_it(
    factory: Factory, mailbox: str, written: str
) -> None:
    """EMAIL (RFC 7986 6.2), and another parser reads both."""
    person = factory.attendee(mailbox=mailbox)
    line = attendee_line(person).replace(b"\r\n ", b"").decode()
    assert line.endswith(written)
    ics = EventSkeleton(facts_with(factory)).filled(person, LINK, {})
    read = Calendar.from_ical(ics).walk("VEVENT")[0]["attendee"]
    assert unquote(read) == f"mailto:{mailbox}"
    assert read.params["EMAIL"] == mailbox


@pytest.mark.parametrize(
    ("moderator", "attendance", "role"),
    [
        (True, Attendance.REQUIRED, "CHAIR"),
        (True, Attendance.OPTIONAL, "CHAIR"),
        (False, Attendance.REQUIRED, "REQ-PARTICIPANT"),
        (False, Attendance.OPTIONAL, "OPT-PARTICIPANT"),
    ],
)
def test_the_attendee_line_is_the_documented_one(
    factory: Factory, role: str, attendance: Attendance, *, moderator: bool
) -> None:
    """Its parameters in their order, with ROLE from moderator and attendance."""
    line = attendee_line(factory.attendee(moderator=moderator, attendance=attendance))
    assert line.replace(b"\r\n ", b"") == (
        f"ATTENDEE;CUTYPE=INDIVIDUAL;ROLE={role};PARTSTAT=NEEDS-ACTION;RSVP=TRUE"
        ";CN=Ada Example 1:mailto:attendee1@example.org\r\n"
    ).encode("ascii")


@pytest.mark.parametrize(("length", "whole"), [(254, True), (255, True), (256, False)])
def test_a_long_link_is_no_location(factory: Factory, length: int, *, whole: bool) -> None:
    """Outlook cuts LOCATION after 255 characters: then the room's name stands there."""
    link = LINK.ljust(length, "x")
    event = event_of(EventSkeleton(facts_with(factory)).filled(factory.attendee(), link, {}))
    place = link if whole else "Jitsi Meet: planning (meet.example.com)"
    assert str(event["location"]) == place
    assert str(event["url"]) == str(event["conference"]) == str(event["description"]) == link


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (Kind.INVITATION, Status.CONFIRMED, "CONFIRMED"),
        (Kind.UPDATE, Status.TENTATIVE, "TENTATIVE"),
        (Kind.CANCELLED, Status.CANCELLED, "CANCELLED"),
        (Kind.WITHDRAWN, Status.CONFIRMED, "None"),
    ],
)
def test_the_status_is_the_methods(
    factory: Factory, kind: Kind, status: Status, expected: str
) -> None:
    """RFC 5546 3.2.5: STATUS:CANCELLED where the meeting is off, none for one withdrawn person."""
    revision = Revision(kind=kind, sequence=1, dtstamp=START)
    facts = facts_with(factory, status=status, revision=revision)
    cancels = kind in {Kind.CANCELLED, Kind.WITHDRAWN}
    ics = EventSkeleton(facts).filled(factory.attendee(), "" if cancels else LINK, {})
    event = event_of(ics)
    assert str(event.get("status")) == expected
    assert len(event.walk("VALARM")) == (0 if cancels else 1)
    assert ("url" in event, "conference" in event) == (not cancels, not cancels)
    assert octets.faults(ics) == []


@pytest.mark.parametrize(
    ("alarm", "trigger"),
    [
        (timedelta(minutes=10), "-PT10M"),
        (timedelta(hours=2), "-PT120M"),
        (timedelta(seconds=90), "-PT90S"),
        (None, None),
    ],
)
def test_the_alarm_is_last_and_as_long_as_the_settings_say(
    factory: Factory, alarm: timedelta | None, trigger: str | None
) -> None:
    """`reminder` of the settings; none means no VALARM."""
    facts = replace(facts_with(factory), alarm=alarm)
    ics = EventSkeleton(facts).filled(factory.attendee(), LINK, {}).decode()
    assert (f"TRIGGER:{trigger}\r\n" in ics) == (alarm is not None)
    assert ("END:VALARM\r\nEND:VEVENT" in ics) == (alarm is not None)


def test_the_organizer_is_the_service_mailbox_under_the_hosts_name(factory: Factory) -> None:
    """Replies find the mailbox that sends; no SENT-BY."""
    facts = facts_with(factory, organizer_name="Olive, Sample")
    event = event_of(EventSkeleton(facts).filled(factory.attendee(), LINK, {}))
    assert str(event["organizer"]) == "mailto:meetings@example.com"
    assert dict(event["organizer"].params) == {"CN": "Olive, Sample"}
