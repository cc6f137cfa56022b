"""Inspection: what is found in links, messages and calendars, and what is said about it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from invites.errors import UsageError
from invites.inspection import Inspection, contents_of, document, inspected, lines
from invites.invitation import Server
from invites.jitsi.links import join_link
from invites.jitsi.rooms import room_from_text
from invites.jitsi.tokens import Minter, SigningKey
from invites.jitsi.validity import ValidityRule
from invites.model import Attendee, Validity
from invites.roster.series import DateRow
from tests import factory as factories
from tests.factory import Factory
from tests.series import series_meeting

SECRET = b"a-made-up-secret-of-41-bytes-for-tests-00"
KEY = SigningKey.from_secret(SECRET, "HS256")
SERVER = Server(
    url="https://meet.example.com",
    host="meet.example.com",
    app_id="my_app",
    subject="meet.example.com",
)
ROOM = room_from_text("Équipe sync")
START = datetime(2031, 1, 7, 9, tzinfo=UTC)
WINDOW = Validity(not_before=int(START.timestamp()), expires=int(START.timestamp()) + 3_600)
ADA = Attendee(
    name="Ada Example",
    email="ada@example.com",
    mailbox="ada@example.com",
    address="ada@example.com",
    moderator=True,
)
BERLIN = ZoneInfo("Europe/Berlin")


def token_of(attendee: Attendee = ADA, *, key: SigningKey = KEY) -> str:
    """Return an attendee's token."""
    return Minter(SERVER, key).for_meeting(ROOM, WINDOW)(attendee)


def link_of(attendee: Attendee = ADA, *, server: Server = SERVER) -> str:
    """Return an attendee's join link."""
    return join_link(server, ROOM, token_of(attendee))


def calendar_with(link: str) -> str:
    """Return a calendar whose long lines are folded at 75 octets, as RFC 5545 wants it."""
    properties = [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        f"DESCRIPTION:Join here:\\n{link}\\nKeep it\\, please\\; it is yours.",
        f"URL;VALUE=URI:{link}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    folded = []
    for line in properties:
        pieces = [line[:75], *(line[at : at + 74] for at in range(75, len(line), 74))]
        folded.append("\r\n ".join(pieces))
    return "\r\n".join(folded) + "\r\n"


def message_with(text: str, html: str, calendar: str, zone: str = "") -> bytes:
    """Return a message with these links in its parts, as `policy.default` writes it."""
    message = EmailMessage()
    message["From"] = "meetings@example.com"
    message["To"] = "ada@example.com"
    message["Subject"] = "Équipe"
    message.set_content(f"Dear Ada,\n\n{text}\n\nSee you.", cte="quoted-printable")
    message.add_alternative(
        f'<p data-zone="{zone}">Dear Ada, <a href="{html}">join</a> or <span>{html}</span><b>now</b></p>',
        subtype="html",
        cte="base64",
    )
    message.add_alternative(calendar_with(calendar), subtype="calendar", cte="base64")
    message.add_attachment(
        calendar_with(calendar).encode(), maintype="application", subtype="ics", filename="a.ics"
    )
    return message.as_bytes()


def inspection_of(octets: bytes, *, at: datetime = START) -> Inspection:
    """Return the inspection of some input by the server's own settings."""
    return inspected(contents_of(octets), [at], server=SERVER, key=KEY)


def reasons(inspection: Inspection) -> list[str]:
    """Return the codes of the first token's reasons."""
    return [each.code for each in inspection.tokens[0].verdicts[-1].refusals]


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (token_of().encode(), "token"),
        (f"\ufeff  {token_of()}\r\n".encode(), "token"),
        (link_of().encode() + b"\n", "link"),
        (link_of(server=replace(SERVER, link="fragment")).encode(), "link"),
        (link_of(server=replace(SERVER, url="https://meet.example.com")).encode(), "link"),
        (calendar_with(link_of()).encode(), "calendar"),
        (message_with(link_of(), link_of(), link_of()), "message"),
        (f"Please join {link_of()} today".encode(), "text"),
    ],
)
def test_every_kind_of_input_is_admitted(octets: bytes, kind: str) -> None:
    """A token, a link of both forms, a calendar, a message and prose lead to the same verdict."""
    inspection = inspection_of(octets)
    assert inspection.contents.kind == kind
    assert inspection.contents.disagreement == ()
    assert len(inspection.tokens) == 1
    assert inspection.tokens[0].signature.state == "right"
    assert reasons(inspection) == []
    assert inspection.admitted


def test_all_parts_of_a_message_are_read() -> None:
    """Text, HTML, calendar part and attachment hold the one link, however each is encoded."""
    found = contents_of(message_with(link_of(), link_of(), link_of())).found
    assert [each.places for each in found] == [
        ("text part", "HTML part", "calendar part", "attached calendar")
    ]


def test_parts_that_hold_different_links_are_reported() -> None:
    """Each distinct link is explained, and the parts that differ are named."""
    other = link_of(replace(ADA, name="Bob Example"))
    inspection = inspection_of(message_with(link_of(), other, link_of()))
    assert len(inspection.tokens) == 2
    assert inspection.contents.disagreement == (
        "The HTML part holds another join link than the text part.",
    )


def test_a_part_without_a_link_is_reported() -> None:
    """A text part that lost its link is named, and the link of the others is explained."""
    inspection = inspection_of(message_with("no link", link_of(), link_of()))
    assert inspection.contents.disagreement == (
        "The text part holds no join link, and the HTML part holds one.",
    )
    assert inspection.admitted


def test_a_line_break_element_does_not_cut_a_link() -> None:
    """HTML that lets a long link break at <wbr> still shows the whole link."""
    link = link_of()
    page = f"<p>{link[:40]}<wbr>{link[40:]}</p>"
    message = EmailMessage()
    message["From"] = "meetings@example.com"
    message.set_content(page, subtype="html")
    assert (
        contents_of(message.as_bytes()).found[0].token == contents_of(link.encode()).found[0].token
    )


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (WINDOW.not_before - 1, ["early"]),
        (WINDOW.not_before, []),
        (WINDOW.expires - 1, []),
        (WINDOW.expires, ["expired"]),
    ],
)
def test_the_verdict_is_of_the_instant_asked_for(at: int, expected: list[str]) -> None:
    """The window is inclusive at nbf and exclusive at exp."""
    assert reasons(inspection_of(link_of().encode(), at=datetime.fromtimestamp(at, UTC))) == (
        expected
    )


def test_a_signature_of_another_secret_is_wrong() -> None:
    """A token signed with another secret is refused with a sentence that says so."""
    other = SigningKey.from_secret(SECRET[::-1], "HS256")
    inspection = inspection_of(token_of(key=other).encode())
    assert inspection.tokens[0].signature.state == "wrong"
    assert reasons(inspection) == ["signature"]


def test_a_cut_token_has_a_wrong_signature() -> None:
    """A link that lost its last characters, as some mail programs do, is refused."""
    assert reasons(inspection_of(link_of()[:-2].encode())) == ["signature"]


def test_without_a_key_the_signature_is_not_checked_and_that_is_said() -> None:
    """Without settings the rest is judged, and nobody is told that a forged token is admitted."""
    for token in (link_of(), link_of()[:-10] + "forgedsign"):
        inspection = inspected(contents_of(token.encode()), [START])
        assert not inspection.admitted
        assert inspection.tokens[0].signature.state == "not checked"
        first, second, *_ = lines(inspection, zone=BERLIN)
        assert first.startswith("DEPENDS ON THE SERVER at ")
        assert second.startswith("  - The signature was not checked: ")


def test_a_token_that_is_refused_anyway_has_no_doubt_besides() -> None:
    """Its signature would not save it; one that is only early may still be forged."""
    for at, doubts in ((WINDOW.expires, []), (WINDOW.not_before - 1, ["signature"])):
        inspection = inspected(contents_of(link_of().encode()), [datetime.fromtimestamp(at, UTC)])
        assert [each.code for each in inspection.tokens[0].verdicts[0].doubts] == doubts


def test_a_key_of_another_algorithm_checks_nothing() -> None:
    """An RS256 token can't be checked with a secret, nor is a public key ever used as one."""
    rsa_key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    key = SigningKey(algorithm="RS256", key=rsa_key, key_id="app/1")
    inspection = inspection_of(token_of(key=key).encode())
    assert inspection.tokens[0].signature.state == "not checked"
    assert reasons(inspection) == ["alg"]
    checked = inspected(
        contents_of(token_of(key=key).encode()),
        [START],
        server=replace(SERVER, algorithm="RS256"),
        key=key,
    )
    assert checked.admitted
    assert checked.tokens[0].signature.state == "right"


def test_the_lines_say_who_where_and_when() -> None:
    """People read the person, the room, the window in their zone and in UTC, and the roles."""
    told = "\n".join(lines(inspection_of(link_of().encode()), zone=BERLIN))
    for fact in (
        "ADMITTED at Tue 2031-01-07 10:00:00 CET (UTC+01:00) = 2031-01-07 09:00:00 UTC",
        "Ada Example <ada@example.com>",
        '"équipe sync", claimed as %c3%a9quipe%20sync',
        "Valid until Tue 2031-01-07 11:00:00 CET (UTC+01:00) = 2031-01-07 10:00:00 UTC",
        "token_affiliation: moderator",
        "token_moderation (older): no moderator",
    ):
        assert fact in told


def test_the_lines_give_a_reason_each() -> None:
    """Under the verdict stands one sentence for each reason to refuse."""
    link = link_of().replace("%20sync", "%20other")
    told = list(
        lines(inspection_of(link.encode(), at=datetime(2032, 1, 1, tzinfo=UTC)), zone=BERLIN)
    )
    assert told[0].startswith("REFUSED at Thu 2032-01-01 01:00:00 CET")
    assert sum(line.startswith("  - ") for line in told) == 2


def test_terminal_escapes_in_claims_are_shown_as_text() -> None:
    """A token from elsewhere can't drive the terminal of whoever inspects it."""
    body = json.dumps(
        {"iss": "\x1b[2J", "room": "a\u202eb", "context": {"user": {"name": "\x9b1m"}}}
    )
    segments = [
        urlsafe_b64encode(each.encode()).rstrip(b"=").decode()
        for each in ('{"typ":"JWT","alg":"\x1b]0;x"}'.replace("\x1b", "\\u001b"), body)
    ]
    told = "".join(lines(inspection_of(f"{'.'.join(segments)}.x".encode()), zone=None))
    assert told.isprintable()


def test_neither_token_nor_secret_is_in_what_is_said() -> None:
    """The token, its signature and the secret are in no line, document or repr."""
    token = token_of()
    inspection = inspection_of(message_with(link_of(), link_of(), link_of()))
    said = (
        "\n".join(lines(inspection, zone=BERLIN))
        + json.dumps(document(inspection))
        + repr(inspection)
    )
    for hidden in (token, token.rpartition(".")[2], token[:60], SECRET.decode()):
        assert hidden not in said


def test_the_document_has_the_facts_of_the_lines() -> None:
    """Programs get kind, claims, window, verdicts with codes, roles and signature."""
    told = json.loads(json.dumps(document(inspection_of(link_of().encode()))))
    assert told["kind"] == "link"
    assert told["admitted"] is True
    (token,) = told["tokens"]
    assert token["claims"]["room"] == token["link"]["room"] == "%c3%a9quipe%20sync"
    assert token["not_before"] == "2031-01-07T09:00:00Z"
    assert token["signature"]["state"] == "right"
    assert token["verdicts"] == [
        {
            "at": "2031-01-07T09:00:00Z",
            "admitted": True,
            "state": "admitted",
            "opens_at": None,
            "reasons": [],
            "depends_on": [],
        }
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://meet",
        "https://localhost:8443",
        "http://localhost:8000",
        "https://[::1]",
        "https://[2001:db8::1]:8443",
        "https://10.0.0.1",
        "https://meet.example.com/tenant",
    ],
)
@pytest.mark.parametrize("form", ["query", "fragment"])
def test_a_link_to_any_host_is_read(url: str, form: Literal["query", "fragment"]) -> None:
    """With one label, an address or a port: `build` takes them all."""
    tenant = "tenant" if url.endswith("tenant") else None
    server = replace(SERVER, url=url, host=url.split("/")[2], tenant=tenant, link=form)
    contents = contents_of(link_of(server=server).encode())
    (found,) = contents.found
    assert contents.kind == "link"
    assert found.link is not None
    assert found.link.host == server.host


@pytest.mark.parametrize(
    "pasted",
    [
        lambda link: link + ".",
        lambda link: link + ",",
        lambda link: link[:60] + "\n" + link[60:],
        lambda link: link[:150] + "\r\n  " + link[150:] + ".",
        lambda link: f"Join: {link}.\nBring cake.",
    ],
)
def test_a_link_is_found_as_people_paste_it(pasted: Callable[[str], str]) -> None:
    """With a sentence's end, wrapped, or among words."""
    inspection = inspection_of(pasted(link_of()).encode())
    assert reasons(inspection) == []


def test_a_whole_link_before_other_words_is_not_joined_with_them() -> None:
    """Only a link that lacks its end is taken for a wrapped one."""
    assert reasons(inspection_of(f"{link_of()} tomorrow".encode())) == []


def test_a_percent_encoded_token_depends_on_who_decodes_it() -> None:
    """Prosody does, the web client does not."""
    place, mark, token = link_of().partition("?jwt=")
    encoded = (place + mark + token.replace(".", "%2E")).encode()
    inspection = inspection_of(encoded)
    assert [each.code for each in inspection.tokens[0].verdicts[0].doubts] == ["encoded"]
    assert not inspection.admitted
    assert "DEPENDS ON THE SERVER at" in "\n".join(lines(inspection, zone=BERLIN))


def test_a_link_that_is_not_open_yet_opens() -> None:
    """The first line says when, in the reader's zone, and nothing says that it was refused."""
    early = inspection_of(link_of().encode(), at=START - timedelta(days=3))
    told = list(lines(early, zone=BERLIN))
    assert told[0] == "OPENS at Tue 2031-01-07 10:00:00 CET (UTC+01:00) = 2031-01-07 09:00:00 UTC"
    assert "REFUSED" not in "\n".join(told)
    (verdict,) = document(early)["tokens"][0]["verdicts"]
    assert (verdict["state"], verdict["opens_at"]) == ("opens", "2031-01-07T09:00:00Z")


def test_a_blank_in_a_link_is_not_taken_for_a_wrapped_line() -> None:
    """A line end is how mail programs break links; a blank within a line stands in the link."""
    link = link_of()
    assert reasons(inspection_of(f"{link[:90]} {link[90:]}".encode())) == ["blank"]
    assert reasons(inspection_of(f"{link[:90]}\n{link[90:]}".encode())) == []


@pytest.mark.parametrize(
    "octets",
    [
        calendar_with(link_of()).replace("END:VE", "DTSTART;TZID=Asia/Tokyo:x\r\nEND:VE").encode(),
        message_with(link_of(), link_of(), link_of(), "Asia/Tokyo"),
    ],
)
def test_the_meetings_zone_is_read_where_it_is_told(octets: bytes) -> None:
    """A calendar names it at the start's time, a mail of ours in its HTML."""
    assert contents_of(octets).zone == "Asia/Tokyo"


def test_a_token_without_signature_is_told_so() -> None:
    """And not that its segments were no base64url."""
    inspection = inspection_of(f"{token_of().rpartition('.')[0]}.".encode())
    said = "\n".join(lines(inspection, zone=BERLIN))
    assert "the signature, is empty" in said
    assert "base64url" not in said


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"hello",
        b"a.b.c",
        b"https://meet.example.com/room",
        b"https://meet.example.com/room?jwt=",
        b"https://meet.example.com/room?jwt=secret.value.here",
        b"https://[meet/room?jwt=a.b.c",
        b"From: a@example.com\r\nSubject: x\r\n\r\nno link",
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        b"PK\x03\x04\xff\xfe\x00",
    ],
)
def test_input_without_a_token_is_refused_in_words(octets: bytes) -> None:
    """The error says what was expected, and shows nothing of the input."""
    with pytest.raises(UsageError) as refused:
        contents_of(octets)
    assert "expected a link" in str(refused.value)
    assert "secret" not in str(refused.value)


@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_read_or_refused(octets: bytes) -> None:
    """Whatever somebody pipes in is explained or refused in words."""
    try:
        inspection_of(octets)
    except UsageError:
        return


@given(
    st.sampled_from(["text/html", "text/calendar", "text/plain; charset=nonsense", "x", ""]),
    st.binary(max_size=100),
)
def test_any_message_is_read_or_refused(kind: str, body: bytes) -> None:
    """A message with a broken part is no reason to fail in another way."""
    head = f"From: a@example.com\r\nContent-Type: {kind}\r\n\r\n".encode()
    try:
        inspection_of(head + body + link_of().encode())
    except UsageError:
        return


@pytest.mark.parametrize("form", ["ics", "eml"])
def test_a_series_is_told_with_its_dates(factory: Factory, form: str) -> None:
    """What the rule is, how many dates there are, and what runs at the time that is asked for."""
    meeting = series_meeting(
        "weekly x 4",
        wall=datetime(2031, 12, 1, 9),  # noqa: DTZ001 - a wall time
        exclude=(date(2031, 12, 8),),
        dates=(DateRow(original=date(2031, 12, 15), start=datetime(2031, 12, 16, 13, tzinfo=UTC)),),
    )
    (invitation,) = factory.composer().compose(meeting, factory.revision, [factory.attendee()])
    contents = contents_of(invitation.ics if form == "ics" else invitation.eml)
    assert contents.meeting is not None
    assert contents.meeting.starts == meeting.starts
    instants = [
        datetime(2031, 12, day, hour, tzinfo=UTC) for day, hour in ((15, 8), (16, 13), (23, 0))
    ]
    told = [*lines(inspected(contents, instants), zone=UTC)]
    assert told[0] == (
        "Dates       every Monday, 09:00 – 09:45, until Monday, 22 December 2031 (Berlin time); "
        "3 dates"
    )
    assert told[1].endswith("no date runs; the next is Tue 2031-12-16 13:00:00 UTC (UTC+00:00)")
    assert told[2].endswith("a date runs, until Tue 2031-12-16 13:45:00 UTC (UTC+00:00)")
    assert told[3].endswith("the last date is over")
    assert document(inspected(contents, instants))["dates"][1] == {
        "start": "2031-12-16T13:00:00Z",
        "end": "2031-12-16T13:45:00Z",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"RRULE:FREQ=SECONDLY",
        b"RRULE:FREQ=DAILY;COUNT=99999999",
        b"RRULE:FREQ=WEEKLY;COUNT=2\r\nEXDATE:20310101T000000Z",
        b"RRULE:FREQ=WEEKLY;COUNT=2\r\nRRULE:FREQ=DAILY;COUNT=2",
        b"RRULE:",
    ],
)
def test_a_rule_that_is_none_of_ours_is_passed_over(factory: Factory, line: bytes) -> None:
    """The link in a stranger's calendar is explained all the same."""
    meeting = factory.meeting()
    (invitation,) = factory.composer().compose(meeting, factory.revision, [factory.attendee()])
    contents = contents_of(invitation.ics.replace(b"SEQUENCE:0", b"SEQUENCE:0\r\n" + line))
    assert contents.meeting is None
    assert len(contents.found) == 1


@pytest.mark.parametrize("form", ["ics", "eml"])
def test_links_of_dates_are_no_disagreement_and_one_of_them_admits(
    factory: Factory, form: str
) -> None:
    """A series without a link, with those of two dates: at each date its own one does."""
    rule = ValidityRule(tokens="occurrence", link_ahead=timedelta(days=8))
    meeting = series_meeting("weekly x 4", wall=datetime(2031, 12, 1, 9))  # noqa: DTZ001 - a wall time
    ask = [factory.attendee()]

    def inspected_at(composed: datetime, at: datetime) -> Inspection:
        revision = replace(factory.revision, dtstamp=composed)
        (one,) = factory.composer(rule=rule).compose(meeting, revision, ask)
        read = contents_of(one.ics if form == "ics" else one.eml)
        return inspected(read, [at], server=factories.SERVER, key=factories.KEY)

    eve, first = datetime(2031, 11, 30, 12, tzinfo=UTC), datetime(2031, 12, 1, 8, tzinfo=UTC)
    found = inspected_at(eve, first + timedelta(weeks=1))
    assert (len(found.tokens), found.contents.disagreement, found.admitted) == (2, (), True)
    assert not inspected_at(eve, first + timedelta(weeks=2)).admitted
    assert any(
        line.startswith("Links       each date has a link of its own; this")
        for line in lines(found, zone=UTC)
    )
    none = inspected_at(eve - timedelta(weeks=4), first)
    assert (none.tokens, none.admitted) == ((), False)
    assert document(none)["links_of_dates"]
    assert [*lines(none, zone=UTC)][-1].endswith("has none yet")
