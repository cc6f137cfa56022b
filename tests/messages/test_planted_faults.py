"""Each check finds the fault that it is there for, planted in a message that was composed.

A build composes and checks as always; only what the composer hands on is altered.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from invites.errors import Exit, MessageFaultError
from invites.invitation import Invitation, Kind, Revision
from invites.messages import check
from invites.messages.calendar import attendee_line
from invites.messages.mime import encoded
from tests.factory import START, Factory, branded, with_calendar
from tests.messages.planting import (
    EVE,
    Alter,
    bodies_of,
    boundary,
    boundary_of,
    calendar_linked,
    eml,
    header,
    ics,
    link_of,
    meeting,
    planting,
    refolded,
    unfolded,
)
from tests.support import NOW, Answer, write_settings

ROSTER = "meeting_id,title,start,end,name,email,organizer_name,organizer_email\n" + "".join(
    f"planning,Planning,2031-03-03 09:00,2031-03-03 10:00,{name},{name}@example.org,"
    "Olive Sample,olive@example.org\n"
    for name in ("ada", "bob")
)


def attachment(invitation: Invitation) -> Invitation:
    """Alter the attached copy alone."""
    copy = encoded(invitation.ics)
    start, _, end = invitation.eml.rpartition(copy)
    other = encoded(invitation.ics.replace(b"SEQUENCE:0", b"SEQUENCE:9"))
    return replace(invitation, eml=start + other + end)


def file_alone(invitation: Invitation) -> Invitation:
    """Alter the .ics file alone."""
    return replace(invitation, ics=invitation.ics.replace(b"SEQUENCE:0", b"SEQUENCE:9"))


def long_base64_line(invitation: Invitation) -> Invitation:
    """Join the first two lines of the text part."""
    at = invitation.eml.index(b"base64\r\n\r\n") + 10
    body = invitation.eml[at:].replace(b"\r\n", b"", 8)
    return replace(invitation, eml=invitation.eml[:at] + body)


def last_group(group: bytes) -> Alter:
    """Return what puts `group` in place of the text part's last four characters."""

    def altered(invitation: Invitation) -> Invitation:
        end = invitation.eml.index(b"\r\n\r\n--", invitation.eml.index(b"base64\r\n\r\n") + 10)
        return replace(invitation, eml=invitation.eml[: end - 4] + group + invitation.eml[end:])

    return altered


def without_attachment(invitation: Invitation) -> Invitation:
    """Leave the attached copy out."""
    at = invitation.eml.rindex(b"\r\n--=_m_", 0, invitation.eml.index(b"application/ics"))
    closing = invitation.eml[invitation.eml.rindex(b"\r\n--=_m_") :]
    return replace(invitation, eml=invitation.eml[:at] + closing)


def link_as_place(invitation: Invitation) -> Invitation:
    """Put a link above 255 characters into LOCATION, as Outlook would cut it."""
    long = link_of(invitation) + b"x" * 255
    whole = calendar_linked(invitation, long).ics.replace(b"\r\n ", b"")
    place = re.sub(rb"LOCATION:[^\r]+", b"LOCATION:" + long, whole)
    return with_calendar(invitation, refolded(place))


def without_text(number: int) -> Alter:
    """Return what empties one of the two texts."""

    def altered(invitation: Invitation) -> Invitation:
        body = bodies_of(invitation)[number]
        return replace(invitation, eml=invitation.eml.replace(body, b"", 1))

    return altered


def outer_boundary_as_inner(invitation: Invitation) -> Invitation:
    """Give the outer multipart the boundary of the inner one."""
    return boundary(b"=_m_", boundary_of(invitation, b"=_a_"))(invitation)


def outer_boundary_as_beginning_of_inner(invitation: Invitation) -> Invitation:
    """Give the outer multipart a boundary that the inner one begins with."""
    return boundary(b"=_m_", boundary_of(invitation, b"=_a_")[:-1])(invitation)


BYTES: dict[str, tuple[str, Alter]] = {
    "a bare LF in the header": ("line ends", eml(b"\r\nDate:", b"\nDate:")),
    "a bare CR in the header": ("line ends", eml(b"\r\nDate:", b"\rDate:")),
    "no line end at the end": (
        "line ends",
        lambda one: replace(one, eml=one.eml.removesuffix(b"\r\n")),
    ),
    "a Bcc": ("header fields", eml(b"\r\nDate:", b"\r\nBcc: eve@example.net\r\nDate:")),
    "a second To": ("header fields", eml(b"\r\nDate:", b"\r\nTo: eve@example.net\r\nDate:")),
    "no Subject": ("header fields", eml(b"\r\nSubject: ", b"\r\nDate: ")),
    "no X-Auto-Response-Suppress": (
        "header fields",
        eml(b"X-Auto-Response-Suppress: OOF, DR, RN, NRN\r\n", b""),
    ),
    "no Auto-Submitted": ("header fields", eml(b"Auto-Submitted: auto-generated\r\n", b"")),
    "an answer to nothing": (
        "header fields",
        eml(b"\r\nAuto-Sub", b"\r\nIn-Reply-To: <a@example.com>\r\nAuto-Sub"),
    ),
    "a body's line too long": ("line length", long_base64_line),
    "a header line too long": (
        "header line length",
        eml(b"\r\nDate: ", b"\r\nDate: " + b"x" * 1000),
    ),
    "another method of the part": ("method of the calendar part", eml(b"=REQUEST", b"=PUBLISH")),
    "no method of the part": ("method of the calendar part", eml(b" method=REQUEST;", b"")),
    "an octet that is no ASCII": ("form of the message", eml(b"\r\nDate: ", b"\r\nDate: \xe9")),
    "a NUL": ("form of the message", eml(b"\r\nDate: ", b"\r\nDate: \0")),
    "an empty header": (
        "form of the message",
        lambda one: replace(one, eml=re.sub(rb"Date: [^\r]+", b"Date: ", one.eml)),
    ),
    "two recipients in To": ("form of the message", eml(b"@example.org>", b"@example.org>, <e@e.e>")),
    "a part in another encoding": ("form of the message", eml(b": base64", b": 8bit")),
    "a body that is no base64": ("form of the message", eml(b"base64\r\n\r\nSG", b"base64\r\n\r\nS!")),
    "a body in shorter lines": ("form of the message", eml(b"base64\r\n\r\nSGVs", b"base64\r\n\r\nSGVs\r\n")),
    "an empty line in a body": ("form of the message", eml(b"base64\r\n\r\n", b"base64\r\n\r\n\r\n")),
    "padding inside a body": ("form of the message", eml(b"base64\r\n\r\nSG", b"base64\r\n\r\nS=")),
    "padding that goes on": ("form of the message", last_group(b"QQ=Q")),
    "a group that is not whole": ("form of the message", last_group(b"QQ")),
    "padding alone": ("form of the message", last_group(b"====")),
    "a hyphen in a body": ("form of the message", eml(b"base64\r\n\r\nSG", b"base64\r\n\r\nS-")),
    "text after the end": ("form of the message", lambda one: replace(one, eml=one.eml + b"eve\r\n")),
    "text before the first part": (
        "form of the message",
        lambda one: replace(one, eml=one.eml.replace(b"\r\n\r\n--", b"\r\n\r\neve\r\n--", 1)),
    ),
    "no attachment": ("form of the message", without_attachment),
    "a calendar part with a disposition": (
        "form of the message",
        eml(b"component=VEVENT\r\n", b"component=VEVENT\r\nContent-Disposition: inline\r\n"),
    ),
    "an empty text": ("texts", without_text(0)),
    "an empty HTML text": ("texts", without_text(1)),
    "one boundary for both": ("form of the message", outer_boundary_as_inner),
    "a boundary that begins the other": (
        "form of the message",
        outer_boundary_as_beginning_of_inner,
    ),
    "a backslash in a boundary": ("form of the message", boundary(b"=_m_", b"=_m_\\x")),
    "two mailboxes in From": ("form of the message", eml(b"@example.com>\r\n", b"@example.com>, <e@e.e>\r\n")),
    "no mailbox in From": ("form of the message", header(rb"From: [^\r]+", b"From: Meetings")),
    "two mailboxes in Reply-To": (
        "form of the message",
        header(rb"Reply-To: ", b"Reply-To: <eve@example.net>, "),
    ),
    "another MIME version": ("form of the message", eml(b"MIME-Version: 1.0", b"MIME-Version: 2.0")),
    "mail of a person": ("form of the message", eml(b": auto-generated", b": no")),
    "another boundary": ("form of the message", eml(b"\r\n--=_a_", b"\r\n--=_b_")),
    "another recipient": (
        "recipient",
        lambda one: replace(one, eml=re.sub(rb"(To: .*)<.*>", rb"\1<eve@example.net>", one.eml, count=1)),
    ),
    "an attachment of its own": ("calendar copies", attachment),
    "a file of its own": ("calendar copies", file_alone),
    "a bare LF in the calendar": ("calendar line ends", ics(b"\r\nSEQUENCE", b"\nSEQUENCE")),
    "a bare CR in the calendar": ("calendar line ends", ics(b"\r\nSEQUENCE", b"\rSEQUENCE")),
    "an empty calendar line": ("calendar properties", ics(b"\r\nSEQUENCE", b"\r\n\r\nSEQUENCE")),
    "a calendar line too long": ("calendar line length", ics(b"\r\n ", b"")),
    "a fold inside a character": ("calendar characters", ics(b"Planning", b"Pl\xc3\r\n \xa4n")),
    "Latin-1 in the calendar": ("calendar characters", ics(b"Planning", b"Pl\xe4n")),
    "U+2028 in the calendar": ("calendar characters", ics(b"Planning", "Pl\u2028n".encode())),
    "U+2029 in the calendar": ("calendar characters", ics(b"Planning", "Pl\u2029n".encode())),
    "U+0085 in the calendar": ("calendar characters", ics(b"Planning", "Pl\x85n".encode())),
    "a NUL in a name": ("calendar properties", ics(b"CN=bob", b"CN=b\0b")),
    "an ESC in a name": ("calendar properties", ics(b"CN=bob", b'CN="b\x1bb"')),
    "an unknown PARTSTAT": ("calendar properties", unfolded(b"NEEDS-ACTION", b"BOGUS")),
    "an unknown ROLE": ("calendar properties", unfolded(b"ROLE=REQ-PARTICIPANT", b"ROLE=BOSS")),
    "a month that is none": ("calendar properties", ics(b"DTSTART:20311202", b"DTSTART:20311302")),
    "an hour that is none": ("calendar properties", ics(b"DTEND:20311202T09", b"DTEND:20311202T25")),
    "another METHOD": ("calendar properties", ics(b"METHOD:REQUEST", b"METHOD:PUBLISH")),
    "an unknown PARTSTAT's quote": ("calendar properties", ics(b"NEEDS-ACTION", b'NEEDS"ACTION')),
    "an ATTENDEE without mailto": ("calendar properties", ics(b":mailto:bob", b":bob")),
    "an ORGANIZER without mailto": ("calendar properties", ics(b":mailto:meet", b":meet")),
    "no SEQUENCE": ("calendar properties", ics(b"SEQUENCE:0\r\n", b"")),
    "no UID": ("calendar properties", ics(b"UID:", b"X-UID:")),
    "a local DTSTAMP": ("calendar properties", ics(b"DTSTAMP:20310903T080000Z", b"DTSTAMP:20310903T080000")),
    "a local DTSTART": ("calendar properties", ics(b"DTSTART:20311202T080000Z", b"DTSTART:20311202T080000")),
    "an unescaped comma": ("calendar properties", ics(b"SUMMARY:", b"SUMMARY:a, ")),
    "an unescaped semicolon": ("calendar properties", ics(b"SUMMARY:", b"SUMMARY:a; ")),
    "a backslash that escapes nothing": ("calendar properties", ics(b"SUMMARY:", b"SUMMARY:\\x")),
    "counter-proposals": (
        "calendar properties",
        ics(b"X-MICROSOFT-DISALLOW-COUNTER:TRUE\r\n", b""),
    ),
    "a further property": ("calendar properties", ics(b"TRANSP", b"X-ALT-DESC:x\r\nTRANSP")),
    "another link as URL": ("calendar properties", ics(b"URL:https", b"URL:http")),
    "another link for the conference": ("calendar properties", ics(b"Jitsi Meet:https", b"Jitsi Meet:http")),
    "a description without the link": ("calendar properties", ics(b"\\n\r\n https:", b"\\n\r\n http:")),
    "a description with text beside the link": ("calendar properties", ics(b"\\n\r\n https:", b"\r\n https:")),
    "a second event": ("calendar properties", ics(b"END:VEVENT", b"END:VEVENT\r\nBEGIN:VEVENT\r\nEND:VEVENT")),
    "a cancelled REQUEST": ("calendar properties", ics(b"STATUS:CONFIRMED", b"STATUS:CANCELLED")),
    "a long link as the place": ("LOCATION", link_as_place),
    "another attendee": ("attendee", ics(b"mailto:bob@", b"mailto:eve@")),
    "a second attendee": (
        "ATTENDEE lines",
        ics(b"DESCRIPTION:", attendee_line(EVE) + b"DESCRIPTION:"),
    ),
}  # fmt: skip


FALSE_LOGOS: dict[str, tuple[str, Alter]] = {
    "another picture": ("logo", eml(b"\r\n\r\niVBOR", b"\r\n\r\niVBOS")),
    "another Content-ID": ("form of the message", eml(b"Content-ID: <logo.", b"Content-ID: <log.")),
    "another type": ("form of the message", eml(b"image/png", b"image/svg+xml")),
    "no disposition": (
        "form of the message",
        eml(b'Content-Disposition: inline; filename="logo.png"\r\n', b""),
    ),
    "a logo as an attachment": ("form of the message", eml(b"inline;", b"attachment;")),
    "a boundary of another multipart": ("form of the message", boundary(b"=_r_", b"=_a_")),
    "a logo beside the alternatives": (
        "form of the message",
        eml(b'related; type="text/html"', b"mixed"),
    ),
}


@pytest.mark.parametrize("fault", FALSE_LOGOS)
@pytest.mark.parametrize("kind", [Kind.INVITATION, Kind.REMINDER])
def test_a_fault_in_the_logo_is_found(factory: Factory, kind: Kind, fault: str) -> None:
    """Mail programs show a broken picture, or a file that nobody sent."""
    name, alter = FALSE_LOGOS[fault]
    with_logo = branded(factory)
    revision = Revision(kind=kind, sequence=0, dtstamp=START)
    (invitation,) = with_logo.composer().compose(with_logo.meeting(), revision)
    verifier = with_logo.verifier()
    verifier.check(invitation)
    with pytest.raises(MessageFaultError) as caught:
        verifier.check(alter(invitation))
    assert caught.value.check == name


def test_the_meeting_builds_where_nothing_is_planted(factory: Factory, tmp_path: Path) -> None:
    """What the faults below are planted in is right."""
    composer = factory.composer(planting(lambda invitation: invitation, only=""))
    report = factory.build(tmp_path / "out", meeting(factory), composer=composer)
    assert (report.invitations, report.read_back) == (2, 1)


def test_each_check_has_its_planted_fault() -> None:
    """Whoever adds a check adds the fault that it finds."""
    calls = [
        node for node in ast.walk(ast.parse(inspect.getsource(check))) if isinstance(node, ast.Call)
    ]
    raised = {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in {"MessageFaultError", "_too_long"}
        and isinstance(call.args[0], ast.Constant)
    }
    assert len(raised) >= 13
    assert raised == {name for name, _ in (*BYTES.values(), *FALSE_LOGOS.values())}


@pytest.mark.parametrize("fault", BYTES)
def test_a_fault_in_the_bytes_ends_the_build(
    planted: Callable[..., MessageFaultError], tmp_path: Path, fault: str
) -> None:
    """In the second message of its shape, which no sample reads back; nothing is left behind."""
    name, alter = BYTES[fault]
    error = planted(alter, only="bob")
    assert error.check == name
    assert error.exit_code == Exit.FAILED
    assert "example.org" not in str(error)
    assert list(tmp_path.iterdir()) == []


def test_the_command_ends_with_1_and_an_earlier_build_is_untouched(
    tmp_path: Path, invites: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of the build before stands as it was, byte by byte; the message is one line."""
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    call = ("build", "roster.csv", "--config", write_settings(tmp_path), "--now", NOW)
    assert invites(*call).code == Exit.DONE
    files = [path for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()]
    before = [(path, path.read_bytes(), path.stat().st_ino) for path in files]
    faulty = planting(BYTES["a Bcc"][1], only="bob")
    monkeypatch.setattr("invites.messages.Composer", faulty)
    answer = invites(*call)
    assert (answer.code, answer.out) == (Exit.FAILED, "")
    assert re.fullmatch(r"invites: <\w+@example\.com>: header fields: found [^\n]*\n", answer.err)
    assert [(path, path.read_bytes(), path.stat().st_ino) for path in files] == before
    assert [path.name for path in tmp_path.glob("*out*")] == ["out"]


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.WITHDRAWN])
def test_an_alarm_in_a_cancellation_is_a_fault(factory: Factory, kind: Kind) -> None:
    """RFC 5546 3.2.5: a CANCEL carries no VALARM."""
    revision = Revision(kind=kind, sequence=1, dtstamp=START)
    (invitation,) = factory.composer().compose(factory.meeting(), revision)
    verifier = factory.verifier()
    verifier.check(invitation)
    alarm = b"BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT10M\r\nDESCRIPTION:x\r\nEND:VALARM\r\n"
    with pytest.raises(MessageFaultError, match="calendar properties"):
        verifier.check(ics(b"END:VEVENT", alarm + b"END:VEVENT")(invitation))


def test_a_calendar_part_in_a_reminder_is_a_fault(factory: Factory) -> None:
    """A reminder is no iTIP message."""
    revision = Revision(kind=Kind.REMINDER, sequence=0, dtstamp=START)
    (reminder,) = factory.composer().compose(factory.meeting(), revision)
    verifier = factory.verifier()
    verifier.check(reminder)
    spoilt = eml(b"text/html; charset=utf-8", b"text/calendar; method=REQUEST")(reminder)
    with pytest.raises(MessageFaultError, match="method of the calendar part"):
        verifier.check(spoilt)
