"""What the composer makes of a meeting: for each kind of server, key, host and message."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from icalendar import Calendar

from invites.errors import MessageFaultError
from invites.invitation import Change, Invitation, Kind, Organizer, Revision, Server
from invites.jitsi.tokens import SigningKey
from invites.jitsi.validity import ValidityRule
from invites.messages import Composer, Verifier
from invites.messages.compose import Sender
from invites.messages.mime import BLOCK
from invites.messages.verify import SAMPLE_ONE_IN
from invites.model import Room, Status
from invites.templating import Templates
from tests.factory import SERVER, START, Factory

PEM = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
SECRET = b"a secret of the tests, long enough for each algorithm 0123456789abcdef"
SERVERS = {
    "the default": SERVER,
    "links with a fragment": replace(SERVER, link="fragment"),
    "a tenant": replace(
        SERVER, url="https://meet.example.com/some.team", tenant="some_team", subject="some_team"
    ),
    "a port": replace(SERVER, url="https://meet.example.com:8443", host="meet.example.com:8443"),
    "HS384": replace(SERVER, algorithm="HS384"),
    "HS512": replace(SERVER, algorithm="HS512"),
    "a key server": replace(SERVER, algorithm="RS256", key_id="invites/2031"),
    "RS512": replace(SERVER, algorithm="RS512", key_id="k"),
    "8x8": Server(
        url="https://8x8.vc/vpaas-magic-cookie-1",
        host="8x8.vc",
        app_id="vpaas-magic-cookie-1",
        subject="vpaas-magic-cookie-1",
        algorithm="RS256",
        key_id="vpaas-magic-cookie-1/k",
        profile="jaas",
    ),
    "an old moderation plugin": replace(
        SERVER, moderator_claims=("context", "affiliation", "root", "lobby_bypass")
    ),
}  # fmt: skip


def key_for(server: Server) -> SigningKey:
    """Return a key that the server's algorithm takes."""
    if server.algorithm.startswith("HS"):
        return SigningKey.from_secret(SECRET, server.algorithm)
    return SigningKey.from_pem(PEM, server.algorithm, key_id=server.key_id)


def parsed(invitation: Invitation) -> EmailMessage:
    """Return the message as the standard library reads it."""
    message = email.message_from_bytes(invitation.eml, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(invitation: Invitation) -> str:
    """Return the text part."""
    part = parsed(invitation).get_body(("plain",))
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text


def event_of(invitation: Invitation) -> Any:
    """Return the calendar entry."""
    (event,) = Calendar.from_ical(invitation.ics).walk("VEVENT")
    return event


def one(factory: Factory, *, sender: dict[str, Any] | None = None, **facts: Any) -> Invitation:
    """Return the invitation to a meeting of one with these facts."""
    composer = factory.composer(**sender or {})
    (invitation,) = composer.compose(factory.meeting(**facts), factory.revision)
    factory.verifier().check(invitation)
    return invitation


@pytest.mark.parametrize("name", SERVERS)
def test_messages_for_each_kind_of_server_are_read_back(factory: Factory, name: str) -> None:
    """Signature, claims, room and place of the link: independent parsers agree."""
    server = SERVERS[name]
    sender = Sender(
        server=server,
        organizer=Organizer(name="Meetings", email="meetings@example.com"),
        namespace="example.com",
        rule=ValidityRule(),
    )
    key = key_for(server)
    composer = Composer(sender, key=key, room_key=b"k", templates=factory.templates)
    verifier = Verifier(server, mailbox="meetings@example.com", key=key, everything=True)
    people = [
        factory.attendee(
            1, moderator=True, features=("recording", "-lobby"), user_id="u", group="g"
        ),
        factory.attendee(2, name="Élodie", timezone="Asia/Tokyo", avatar="https://example.org/a"),
    ]
    meeting = factory.meeting(*people)
    assert len(list(verifier.passed(composer.compose(meeting, factory.revision)))) == 2
    assert verifier.read_back == 2


def test_rs256_links_are_too_long_for_a_location(factory: Factory) -> None:
    """LOCATION then names room and host, and the link stands in DESCRIPTION and URL."""
    event = event_of(one(factory, room=Room(claim="team%20sync", segment="team%20sync")))
    assert len(str(event["url"])) > 255
    assert str(event["location"]) == "Jitsi Meet: team sync (meet.example.com)"


def test_the_host_is_named_and_the_service_sends(factory: Factory) -> None:
    """From "Host via Organizer", Reply-To the host, ORGANIZER the service under the host's name."""
    host = {"organizer_name": "Olive, Sample", "organizer_email": "olive@example.org"}
    invitation = one(factory, **host)
    message = parsed(invitation)
    (sender,) = message["from"].addresses
    assert (sender.display_name, sender.addr_spec) == (
        "Olive, Sample via Meetings",
        "meetings@example.com",
    )
    (reply_to,) = message["reply-to"].addresses
    assert (reply_to.display_name, reply_to.addr_spec) == ("Olive, Sample", "olive@example.org")
    event = event_of(invitation)
    assert str(event["organizer"]) == "mailto:meetings@example.com"
    assert event["organizer"].params["CN"] == "Olive, Sample"


@pytest.mark.parametrize(
    ("host", "display_name", "replies"),
    [
        ({}, "Meetings", False),
        ({"organizer_name": "Meetings"}, "Meetings", False),
        ({"organizer_name": "Olive"}, "Olive via Meetings", False),
        ({"organizer_email": "olive@example.org"}, "Meetings", True),
    ],
)
def test_a_host_may_be_named_in_part(
    factory: Factory, host: dict[str, str], display_name: str, *, replies: bool
) -> None:
    """A name alone, an address alone, or neither."""
    message = parsed(one(factory, **host))
    assert message["from"].addresses[0].display_name == display_name
    assert ("reply-to" in message) is replies


def test_an_update_answers_the_first_message_and_says_what_changed(factory: Factory) -> None:
    """In-Reply-To and References are the first Message-ID; Message-ID and boundaries are new."""
    meeting = factory.meeting()
    composer = factory.composer()
    (first,) = composer.compose(meeting, factory.revision)
    update = Revision(kind=Kind.UPDATE, sequence=1, dtstamp=START - timedelta(days=1))
    (second,) = composer.compose(
        meeting,
        update,
        changes=[Change(field="title", old="Plannign", new="Planning")],
        references={meeting.attendees[0].address: first.message_id},
    )
    factory.verifier().check(second)
    message = parsed(second)
    assert message["in-reply-to"] == message["references"] == first.message_id
    assert message["message-id"] == second.message_id != first.message_id
    assert "Plannign" in text_of(second)
    assert event_of(second)["sequence"] == 1
    assert event_of(second)["uid"] == event_of(first)["uid"]
    boundary = re.compile(rb'boundary="([^"]+)"')
    assert not set(boundary.findall(first.eml)) & set(boundary.findall(second.eml))


def test_the_ledgers_uid_and_room_stand_in_for_the_derived_ones(factory: Factory) -> None:
    """What was sent once stays."""
    room = Room(claim="kept", segment="kept")
    composer = factory.composer()
    (invitation,) = composer.compose(factory.meeting(), factory.revision, uid="kept-uid", room=room)
    factory.verifier().check(invitation)
    assert str(event_of(invitation)["uid"]) == "kept-uid"
    assert str(event_of(invitation)["url"]).startswith("https://meet.example.com/kept?jwt=")


def test_a_derived_room_is_the_meetings_and_nobody_guesses_it(factory: Factory) -> None:
    """The slug of the meeting's id and sixteen characters of a keyed hash."""
    composer = factory.composer()
    room = composer.room_for(factory.meeting(id="Weekly Planning"))
    assert re.fullmatch(r"weekly-planning-[a-z2-7]{16}", room.claim)
    assert composer.room_for(factory.meeting(id="Weekly planning")) != room


def test_only_the_named_attendees_are_composed_for(factory: Factory) -> None:
    """In the order given."""
    people = [factory.attendee(number) for number in range(5)]
    meeting = factory.meeting(*people)
    chosen = factory.composer().compose(meeting, factory.revision, [people[3], people[1]])
    assert [invitation.attendee for invitation in chosen] == [people[3], people[1]]


def test_the_date_is_the_revisions(factory: Factory) -> None:
    """Date and DTSTAMP are the same instant, whatever the clock says."""
    stamp = datetime(2029, 2, 3, 4, 5, 6, tzinfo=UTC)
    revision = Revision(kind=Kind.INVITATION, sequence=0, dtstamp=stamp)
    (invitation,) = factory.composer().compose(factory.meeting(), revision)
    assert parsed(invitation)["date"].datetime == stamp == event_of(invitation)["dtstamp"].dt


def test_a_reminder_is_no_itip_message(factory: Factory) -> None:
    """Text and page with the link, no calendar part, a Message-ID of its own."""
    meeting, composer = factory.meeting(), factory.composer()
    (reminder,) = composer.compose(meeting, replace(factory.revision, kind=Kind.REMINDER))
    (invitation,) = composer.compose(meeting, factory.revision)
    factory.verifier().check(reminder)
    kinds = [part.get_content_type() for part in parsed(reminder).walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    assert reminder.ics == b""
    assert "?jwt=" in text_of(reminder)
    assert reminder.message_id != invitation.message_id


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.WITHDRAWN])
def test_what_takes_back_an_invitation_has_no_link(factory: Factory, kind: Kind) -> None:
    """METHOD:CANCEL in part and body, the attendee named, no token anywhere."""
    meeting = factory.meeting(status=Status.CANCELLED)
    revision = Revision(kind=kind, sequence=2, dtstamp=START)
    (invitation,) = factory.composer().compose(meeting, revision)
    factory.verifier().check(invitation)
    assert "jwt" not in text_of(invitation)
    assert event_of(invitation)["attendee"] == "mailto:attendee1@example.org"
    (part,) = [p for p in parsed(invitation).walk() if p.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "CANCEL"


def test_long_links_are_warned_of_together(factory: Factory) -> None:
    """One warning above 1,000 characters, with their count and the longest one's row."""
    composer = factory.composer()
    assert composer.warnings == []
    people = [
        factory.attendee(number, avatar="https://example.org/" + "a" * (600 + number), row=number)
        for number in (7, 9, 8)
    ]
    assert len(list(composer.compose(factory.meeting(*people), factory.revision))) == 3
    (warning,) = composer.warnings
    assert warning.row == 9
    assert warning.text.startswith("3 join links have more than 1,000 characters")


def test_a_link_that_is_too_long_is_refused(factory: Factory) -> None:
    """Above 2,000 characters: reading the roster should have seen it; the link is not shown."""
    person = factory.attendee(avatar="https://example.org/" + "a" * 1700, row=8)
    with pytest.raises(MessageFaultError) as caught:
        list(factory.composer().compose(factory.meeting(person), factory.revision))
    assert caught.value.check == "join link"
    assert "jwt" not in str(caught.value)


def test_the_sample_that_is_read_back_has_each_shape_once(factory: Factory) -> None:
    """Of twenty alike one is read; a moderator among them is another shape."""
    people = [factory.attendee(number, moderator=number == 5) for number in range(20)]
    verifier = factory.verifier(everything=False)
    meeting = factory.meeting(*people)
    list(verifier.passed(factory.composer().compose(meeting, factory.revision)))
    assert verifier.read_back == 2


def test_some_messages_are_read_back_by_their_hash(factory: Factory) -> None:
    """The choice follows from the Message-ID: the same on every run, and not the first ones."""
    people = [factory.attendee(number) for number in range(3 * SAMPLE_ONE_IN)]
    made = list(factory.composer().compose(factory.meeting(*people), factory.revision))
    counts = []
    for every in (made, made[::-1]):
        verifier = factory.verifier(everything=False)
        list(verifier.passed(every))
        counts.append(verifier.read_back)
    chosen = sum(int(each.message_id[1:9], 16) % SAMPLE_ONE_IN == 0 for each in made)
    assert 0 < chosen < 10
    assert counts == [1 + chosen, 1 + chosen]


def test_a_meeting_of_several_blocks_is_in_order_and_each_has_its_own_link(
    factory: Factory,
) -> None:
    """Steps are done block by block; nobody gets what is meant for another."""
    people = [
        factory.attendee(number, moderator=number % 7 == 0, name=f"{'Ä' * (number % 3)}{number}")
        for number in range(2 * BLOCK + 3)
    ]
    meeting = factory.meeting(*people)
    verifier = factory.verifier()
    made = list(verifier.passed(factory.composer().compose(meeting, factory.revision)))
    assert [invitation.attendee for invitation in made] == people
    assert verifier.read_back == len({invitation.eml for invitation in made}) == len(people)


def test_meetings_composed_side_by_side_are_what_each_is_alone(factory: Factory) -> None:
    """Blocks reach across meetings, and a text is remembered by all that it was made of."""
    titles, hosts = ("Budget", "Etat – ü", "Budget"), ("", "Olive Sample")
    some = [
        factory.meeting(
            *[factory.attendee(seat, moderator=seat == 1) for seat in range(1 + number % 5)],
            id=f"m{number}",
            title=titles[number % 3],
            organizer_name=hosts[number % 2],
            start=factory.meeting().start + timedelta(hours=number % 7),
            end=factory.meeting().end + timedelta(hours=number % 7),
        )
        for number in range(BLOCK // 2)
    ]
    every = [(meeting, meeting.attendees) for meeting in some]
    together = factory.composer().compose_all(every, factory.revision)
    alone = [
        invitation
        for meeting in some
        for invitation in factory.composer().compose(meeting, factory.revision)
    ]
    assert [each.eml for each in together] == [each.eml for each in alone]
    assert len(alone) > BLOCK


def test_the_lines_of_a_cell_are_lines_of_the_mail(factory: Factory, tmp_path: Path) -> None:
    """RFC 2046 4.1.1: lines of a text part end in CRLF, those that an attendee's cell brings too."""
    source = "{{ columns.address }}\n{{ link }}\n"
    (tmp_path / "invitation.txt.j2").write_text(source, encoding="utf-8")
    ready = replace(factory, templates=Templates.load(tmp_path))
    invitation = one(ready, attendees=(ready.attendee(columns={"address": "Room 7\nFloor 2"}),))
    text = email.message_from_bytes(invitation.eml).get_payload(0).get_payload(0)
    assert text.get_payload(decode=True).startswith(b"Room 7\r\nFloor 2\r\nhttps://")


def test_entries_list_the_others_of_meetings_of_200_at_most(factory: Factory) -> None:
    """Beyond, the lists would grow as a square; one warning tells how many meetings that are."""
    composer = factory.composer(show_attendees=True)
    people = [factory.attendee(number) for number in range(1, 202)]
    listed = next(composer.compose(factory.meeting(*people[:200]), factory.revision))
    assert listed.ics.count(b"\r\nATTENDEE;") == 200
    assert composer.warnings == []
    for name in ("large", "larger"):
        alone = next(composer.compose(factory.meeting(*people, id=name), factory.revision))
        assert alone.ics.count(b"\r\nATTENDEE;") == 1
        factory.verifier(with_others=True).check(alone)
    (warning,) = composer.warnings
    assert "entries of 2 meetings do not list the others" in warning.text
    assert "goes to 200 attendees" in warning.text
