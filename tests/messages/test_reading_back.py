"""What reading back finds: faults whose bytes are all in order; and what it lets stand as text."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from invites.errors import Exit, MessageFaultError
from invites.invitation import Invitation, Kind, Revision
from invites.messages.mime import encoded
from invites.model import Room
from tests.factory import START, Factory
from tests.messages.planting import (
    EVE,
    Alter,
    bodies_of,
    calendar_linked,
    eml,
    header,
    html,
    ics,
    link_for,
    link_of,
    linked,
    resigned,
    text,
    texts_linked,
    unfolded,
)

FOREIGN_LINK = (
    b"https://meet.example.com/%s?jwt=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJqaXRzaSJ9."
    b"c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXI"
)
LINK = "the link, on a line of the text and as an anchor"
OTHERS = "tokens that are not this attendee's"


def word(content: bytes) -> bytes:
    """Return an encoded word."""
    return b"=?utf-8?B?" + b64encode(content) + b"?="


def name_with(end: bytes) -> Alter:
    """Return what lets the name in To, decoded, go on with `end`."""

    def altered(invitation: Invitation) -> Invitation:
        content = re.sub(
            rb"To: (\w+) ",
            lambda name: b"To: " + word(name[1] + end) + b" ",
            invitation.eml,
            count=1,
        )
        return replace(invitation, eml=content)

    return altered


def swapped(invitation: Invitation) -> Invitation:
    """Give the text the HTML's place."""
    first, second, *_ = bodies_of(invitation)
    before, between, after = invitation.eml.replace(first, b"\0", 1).partition(second)
    return replace(invitation, eml=before.replace(b"\0", second) + first + after + between[:0])


def in_the_text(invitation: Invitation) -> Invitation:
    """Put somebody else's link into the text as well."""
    return text(lambda body: body + link_for(invitation, EVE) + b"\r\n")(invitation)


def in_the_markup(invitation: Invitation) -> Invitation:
    """Put somebody else's link into the HTML text as well."""
    return html(lambda body: body + link_for(invitation, EVE) + b"\r\n")(invitation)


def in_the_notes(invitation: Invitation) -> Invitation:
    """Put somebody else's link into the calendar entry's notes as well."""
    return unfolded(b"DESCRIPTION:", b"DESCRIPTION:" + link_for(invitation, EVE) + b"\\n")(
        invitation
    )


def in_the_subject(invitation: Invitation) -> Invitation:
    """Put somebody else's link into the Subject."""
    words = b"\r\n ".join(map(word, _pieces(link_for(invitation, EVE))))
    return header(rb"Subject: [^\r]+(?:\r\n [^\r]+)*", b"Subject: " + words)(invitation)


def _pieces(content: bytes) -> list[bytes]:
    return [content[start : start + 42] for start in range(0, len(content), 42)]


FAULTS: dict[str, tuple[str, Alter]] = {
    "another sender": ("From", eml(b"<meetings@example.com>", b"<eve@example.net>")),
    "another Message-ID": ("Message-ID", eml(b"Message-ID: <", b"Message-ID: <0")),
    "another Date": ("Date", eml(b" 2031 08:00:00", b" 2031 09:00:00")),
    "another name in To": ("the name in To", header(rb"To: \w+ ", b"To: Eve ")),
    "another Reply-To": ("Reply-To", eml(b"<olive@", b"<eve@")),
    "a word in To that ends the line": ("", name_with(b"\r\nBcc: eve@example.net")),
    "a control in To": ("controls in to", name_with(b"\x1b")),
    "a word in Subject that ends the line": (
        "controls in subject",
        header(rb"Subject: [^\r]+", b"Subject: " + word(b"a\r\nBcc: eve@example.net")),
    ),
    "another UID": ("UID", ics(b"UID:", b"UID:0")),
    "another SEQUENCE": ("SEQUENCE", ics(b"SEQUENCE:0", b"SEQUENCE:1")),
    "another DTSTAMP": ("DTSTAMP", ics(b"DTSTAMP:2031", b"DTSTAMP:2030")),
    "another DTSTART": ("DTSTART", ics(b"DTSTART:20311202T08", b"DTSTART:20311202T07")),
    "another DTEND": ("DTEND", ics(b"DTEND:20311202T09", b"DTEND:20311202T10")),
    "a day that is none": ("", ics(b"DTSTART:20311202", b"DTSTART:20310231")),
    "another STATUS": ("STATUS", ics(b"STATUS:CONFIRMED", b"STATUS:TENTATIVE")),
    "a moderator's ROLE": ("ROLE", unfolded(b"ROLE=REQ-PARTICIPANT", b"ROLE=CHAIR")),
    "an optional ROLE": ("ROLE", unfolded(b"ROLE=REQ-PARTICIPANT", b"ROLE=OPT-PARTICIPANT")),
    "another room as LOCATION": (
        "LOCATION", unfolded(b"LOCATION:Jitsi Meet: planning", b"LOCATION:Jitsi Meet: elsewhere"),
    ),
    "another name of the ORGANIZER": (
        "CN of ORGANIZER", unfolded(b"ORGANIZER;CN=Olive Sample", b"ORGANIZER;CN=Eve"),
    ),
    "another name in From": ("the name in From", header(rb"From: Olive Sample", b"From: Eve")),
    "another name in Reply-To": ("Reply-To", header(rb"Reply-To: Olive Sample", b"Reply-To: Eve")),
    "a slot's mark in the text": (
        "controls in a text", text(lambda body: body.replace(b"Hello", b"Hel\x01\x02lo", 1)),
    ),
    "a NUL in the HTML text": (
        "controls in a text", html(lambda body: body.replace(b"</body>", b"\0</body>", 1)),
    ),
    "another SUMMARY": ("SUMMARY", ics(b"SUMMARY:Planning", b"SUMMARY:Flying")),
    "another CN": ("CN of ATTENDEE", unfolded(b"RSVP=TRUE;CN=", b"RSVP=TRUE;CN=Eve")),
    "another ORGANIZER": ("ORGANIZER", ics(b"mailto:meetings@", b"mailto:eve@")),
    "a bare LF in the text": (
        "line ends of a text", text(lambda body: body.replace(b"\r\n", b"\n", 1)),
    ),
    "a bare CR in the HTML text": (
        "line ends of a text", html(lambda body: body.replace(b"\r\n", b"\r", 1)),
    ),
    "another link in the text": (LINK, text(lambda body: body.replace(b"?jwt=", b"?jwt=x"))),
    "no link in the text": (LINK, text(lambda body: body.replace(b"?jwt=", b""))),
    "a neighbour of the link": (LINK, text(lambda body: body.replace(b"https:", b"At https:"))),
    "another link on the button": ("the anchors", html(lambda body: body.replace(b"?jwt=", b"?jwt=x", 1))),
    "texts that changed places": (LINK, swapped),
    "a link to another room": (
        LINK, lambda one: linked(one, link_for(one, EVE, room=Room(claim="b", segment="b"))),
    ),
    "another's link": ("context.user.email", lambda one: linked(one, link_for(one, EVE))),
    "a token for another room": (
        "room",
        lambda one: linked(
            one, link_for(one, one.attendee, room=replace(one.room, claim="elsewhere"))
        ),
    ),
    "a token that ends later": (
        "exp", lambda one: linked(one, link_for(one, one.attendee, later=60)),
    ),
    "a token of another key": (
        "", lambda one: linked(one, FOREIGN_LINK % one.room.segment.encode()),
    ),
    "another link in the texts": (
        "the links of the calendar entry",
        lambda one: texts_linked(one, link_for(one, one.attendee, later=60)),
    ),
    "another link in the calendar": (
        "the links of the calendar entry",
        lambda one: calendar_linked(one, link_for(one, one.attendee, later=60)),
    ),
    "another's link beside it in the text": (OTHERS, in_the_text),
    "another's link beside it in the HTML text": (OTHERS, in_the_markup),
    "another's link in the notes": (OTHERS, in_the_notes),
    "another's link in the subject": (OTHERS, in_the_subject),
}  # fmt: skip
"""The check that finds each; "" where a parser refuses what it is given."""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_only_reading_back_shows_ends_the_build(
    planted: Callable[..., MessageFaultError], tmp_path: Path, fault: str
) -> None:
    """Each byte is in order, but an independent parser finds something else than was composed."""
    check, alter = FAULTS[fault]
    error = planted(alter)
    assert error.check == (f"read back: {check}" if check else "read back")
    assert ("a parser refuses" in str(error)) is not bool(check)
    assert error.exit_code == Exit.FAILED
    assert "jwt=" not in str(error)
    assert list(tmp_path.iterdir()) == []


def user(**claims: object) -> dict[str, object]:
    """Return claims of context.user that are to be put in; None is null."""
    return {"context": {"user": claims}}


TOKENS: dict[str, tuple[str, dict[str, object], dict[str, object]]] = {
    "no typ": ("header", {}, {"typ": ""}),
    "typ in lower case": ("header", {}, {"typ": "jwt"}),
    "a foreign kid": ("header", {}, {"kid": "k"}),
    "aud as a list": ("aud", {"aud": ["jitsi"]}, {}),
    "exp with a fraction": ("exp", {"exp": 1_954_000_000.0}, {}),
    "another issuer": ("iss", {"iss": "other_app"}, {}),
    "another domain": ("sub", {"sub": "*"}, {}),
    "null features": ("context.features", {"context": {"features": None}}, {}),
    "features that nobody gave": (
        "context.features.recording", {"context": {"features": {"recording": True}}}, {},
    ),
    "a null id": ("context.user.id", user(id=None), {}),
    "a moderator": ("context.user.moderator", user(moderator=True), {}),
    "a moderator in words": ("context.user.moderator", user(moderator="false"), {}),
    "an owner": ("context.user.affiliation", user(affiliation="owner"), {}),
    "a moderator at the top": ("moderator", {"moderator": True}, {}),
    "another name": ("context.user.name", user(name="Eve"), {}),
    "an avatar": ("context.user.avatar", user(avatar="https://example.net/eve.png"), {}),
    "a group": ("context.group", {"context": {"group": "g"}}, {}),
    "a room that is a pattern": (
        "context.room.regex", {"context": {"room": {"regex": True}}}, {},
    ),
    "a claim of one's own": ("nbf2", {"nbf2": 1}, {}),
}  # fmt: skip
"""The claim that differs, what is put into the claims, and into the header; all rightly signed."""


@pytest.mark.parametrize("fault", TOKENS)
def test_a_token_that_says_another_thing_ends_the_build(
    planted: Callable[..., MessageFaultError], tmp_path: Path, fault: str
) -> None:
    """Whatever the server would refuse or grant by it: the link is right in all parts otherwise."""
    claim, claims, head = TOKENS[fault]
    error = planted(lambda one: linked(one, resigned(one, claims, head)))
    assert error.check == f"read back: {claim}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["In-Reply-To", "References"])
def test_an_answer_to_another_message_is_a_fault(factory: Factory, name: str) -> None:
    """One alone by the bytes, for they are the same; both by reading back."""
    ada = factory.attendee()
    revision = Revision(kind=Kind.UPDATE, sequence=1, dtstamp=START)
    (update,) = factory.composer().compose(
        factory.meeting(ada), revision, references={ada.address: "<first@example.com>"}
    )
    factory.verifier().check(update)
    one = header(name.encode() + rb": <first", name.encode() + b": <other")(update)
    with pytest.raises(MessageFaultError, match="form of the message"):
        factory.verifier().check(one)
    both = replace(update, eml=update.eml.replace(b"<first@", b"<other@"))
    with pytest.raises(MessageFaultError, match="read back: in-reply-to"):
        factory.verifier().check(both)


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.WITHDRAWN])
@pytest.mark.parametrize("where", ["text", "notes"])
def test_a_link_in_a_cancellation_is_a_fault(factory: Factory, kind: Kind, where: str) -> None:
    """Whoever is no longer invited gets no link, not even their own."""
    (invited,) = factory.composer().compose(factory.meeting(), factory.revision)
    revision = Revision(kind=kind, sequence=1, dtstamp=START)
    (invitation,) = factory.composer().compose(factory.meeting(), revision)
    factory.verifier().check(invitation)
    link = link_of(invited)
    leaks = {
        "text": text(lambda body: body + link + b"\r\n"),
        "notes": unfolded(b"\r\nLOCATION:", b"\r\nDESCRIPTION:" + link + b"\r\nLOCATION:"),
    }
    with pytest.raises(MessageFaultError, match=OTHERS):
        factory.verifier().check(leaks[where](invitation))


TEXTS = {
    "what begins a token": "Pages with ?jwt= or #jwt=%22",
    "a link of another server": "https://meet.example.org/room?jwt=eyJhbGciOiJ9.eyJhdWQiOiJ9.c2ln",
    "a link of this server's, forged": FOREIGN_LINK.decode() % "planning",
    "a page of this server": "https://meet.example.com/planning?jwt=",
}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("said", TEXTS)
def test_what_looks_like_a_link_in_a_roster_is_text(
    factory: Factory, said: str, kind: Kind
) -> None:
    """In each field of free text, and in each kind of message; nothing fails, and it is shown."""
    words = TEXTS[said]
    meeting = factory.meeting(
        factory.attendee(name=words, group=words, columns={"note": words}),
        title=words,
        description=f"{words}\n{words}",
        organizer_name=words,
        organizer_email="olive@example.org",
    )
    revision = Revision(kind=kind, sequence=1, dtstamp=START)
    (invitation,) = factory.composer().compose(meeting, revision)
    factory.verifier().check(invitation)


@pytest.mark.parametrize("person", ["their own", "another's"])
def test_a_link_that_was_pasted_into_the_roster_is_text(factory: Factory, person: str) -> None:
    """Whoever puts an attendee's link into a description wants it there."""
    ada = factory.attendee()
    (first,) = factory.composer().compose(factory.meeting(ada), factory.revision)
    pasted = link_of(first) if person == "their own" else link_for(first, EVE)
    meeting = factory.meeting(ada, description=f"See:\n{pasted.decode()}\n")
    (invitation,) = factory.composer().compose(meeting, factory.revision)
    factory.verifier().check(invitation)
    assert encoded(invitation.ics) in invitation.eml
