"""Header fields hold whatever they are given, and two parsers read back what was meant."""

from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import getaddresses, parsedate_to_datetime

import mailparser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invites.errors import MessageFaultError
from invites.messages.headers import date_field, mailbox_field, unstructured
from invites.text import BLANKS

HOSTILE = [
    "=?utf-8?q?evil=40x=2Eorg=2C?=",
    "A =?UTF-8?Q?=0A?=Bcc: e@x",
    "x\r\nBcc: eve@example.net",
    "x\nTo: eve@example.net\n\nbody",
    "x\u0085Bcc: eve@example.net",
    "x\u2028Bcc: eve@example.net",
    "\x00\x01\x7f",
    "eve@example.net, ada",
    "<eve@example.net>",
    'a" <eve@example.net>, "b',
    "\\",
    'ends with \\"',
    "(comment) ada",
    "a;b:c",
    "\ud800",
    "🚀" * 60,
    "é" * 300,
    "x" * 2000,
    "ada  example",
    "李 雷, 韩 梅梅",
]
ANYTHING = st.one_of(
    st.text(max_size=120),
    st.text(
        alphabet=st.sampled_from('=?utf8Qqb_\r\n\t ,;:<>@"\\()é🚀\u0085\u2028\x00'), max_size=80
    ),
    st.sampled_from(HOSTILE),
    st.characters(categories=["Cs"]).map(lambda one: f"a{one}b"),
)
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff\ud800-\udfff]")


def meant(text: str) -> str:
    """Return what the documentation says is left of a text: one blank for a control or line end."""
    return UNSHOWN.sub(" ", text.replace("\r\n", "\n"))


def message_with(field: bytes) -> bytes:
    """Return a message that has this field between two others."""
    return b"From: a@example.com\r\n" + field + b"Date: x\r\n\r\nbody\r\n"


def parsed(field: bytes) -> EmailMessage:
    """Return that message as the modern parser reads it."""
    message = email.message_from_bytes(message_with(field), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def lines_hold(field: bytes) -> None:
    """Assert that the field is one field: folded lines, each short, ASCII, none of blanks."""
    lines = field.split(b"\r\n")
    assert lines.pop() == b""
    assert field.isascii()
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", field)
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)
    assert max(map(len, lines)) <= 998


@given(ANYTHING)
def test_a_subject_adds_no_header_and_reads_back_as_it_was_meant(text: str) -> None:
    """Whatever the text, the message has its three headers and the subject says it."""
    field = unstructured("Subject", text)
    lines_hold(field)
    message = parsed(field)
    assert message.keys() == ["From", "Subject", "Date"]
    assert message.get_payload() == "body\r\n"
    legacy = email.message_from_bytes(message_with(field), policy=compat32)
    pieces = email.header.decode_header(legacy["Subject"])
    shown = "".join(
        part if isinstance(part, str) else part.decode(charset or "ascii")
        for part, charset in pieces
    )
    assert shown.strip() == meant(text).strip()


@given(ANYTHING)
@example("=?utf-8?q?evil=40x=2Eorg=2C?=")
def test_a_display_name_names_no_further_recipient(name: str) -> None:
    """The one address stays the one address for each of three parsers."""
    field = mailbox_field("To", name, "ada@example.org")
    lines_hold(field)
    message = parsed(field)
    assert message.keys() == ["From", "To", "Date"]
    header = message["To"]
    assert isinstance(header, AddressHeader)
    assert [address.addr_spec for address in header.addresses] == ["ada@example.org"]
    unfolded = field.decode()[4:].replace("\r\n", "")
    assert [mailbox for _, mailbox in getaddresses([unfolded])] == ["ada@example.org"]


@given(ANYTHING)
@example("0 \N{NO-BREAK SPACE}")
@example("0000000000000 \u00a0\u00a0\u00a0\u00a0\U00010000")
@example("é" * 22 + "\u00a0" + "é" * 30)
@example("0000000000000 \u3000\u00a0" * 20)
def test_a_display_name_reads_back_as_it_was_meant(name: str) -> None:
    """Blanks at the ends go and several become one; the rest is what it was.

    Python 3.11 puts a blank between two encoded words of a phrase, against RFC 2047 6.2, and drops
    a no-break space at the end of one: no word ends there.
    """
    field = mailbox_field("To", name, "ada@example.org")
    (address,) = parsed(field)["To"].addresses
    runs = re.sub(f"[{BLANKS}]{{2,}}", lambda run: " " if " " in run[0] else run[0][0], meant(name))
    expected = runs.strip(BLANKS)
    if field.count(b"=?utf-8?B?") <= 1:
        assert address.display_name.split() == expected.split()
    else:
        assert address.display_name.replace(" ", "") == expected.replace(" ", "")


@pytest.mark.parametrize("name", [text for text in HOSTILE if "\ud800" not in text])
def test_another_parser_finds_one_recipient(name: str) -> None:
    """mail-parser sees one address in To, whatever its display name holds."""
    message = mailparser.parse_from_bytes(
        message_with(mailbox_field("To", name, "ada@example.org"))
    )
    assert [mailbox for _, mailbox in message.to] == ["ada@example.org"]
    assert "bcc" not in {header.lower() for header in message.headers}


@pytest.mark.parametrize(
    "mailbox",
    [
        "x@y>\r\nRCPT TO:<eve@example.net",
        "ada@example.org>, <eve@example.net",
        "ada@example.org,eve@example.net",
        "ada@example.org ",
        "ada",
        "",
        "a b@example.org",
        '"a,b"@example.org',
        "adá@example.org",
        "ada@exämple.org",
        "ada@example.org\n",
        "a@b@c",
    ],
)
def test_a_mailbox_of_another_form_is_no_field(mailbox: str) -> None:
    """Nothing that could be two addresses, or end the line, gets into a header."""
    with pytest.raises(MessageFaultError, match="mailbox"):
        mailbox_field("To", "Ada", mailbox)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Ada Example", b"To: Ada Example <ada@example.org>\r\n"),
        ("", b"To: <ada@example.org>\r\n"),
        ("O'Brien", b"To: O'Brien <ada@example.org>\r\n"),
        ('O\'Brien, "Bob"', b'To: "O\'Brien, \\"Bob\\"" <ada@example.org>\r\n'),
        ("J. Doe", b'To: "J. Doe" <ada@example.org>\r\n'),
        ("Zoë", b"To: =?utf-8?B?Wm/Dqw==?=\r\n <ada@example.org>\r\n"),
    ],
)
def test_a_mailbox_field_looks_as_a_person_would_write_it(name: str, field: bytes) -> None:
    """ASCII stays readable, quotes come where they must, the rest is an encoded word."""
    assert mailbox_field("To", name, "ada@example.org") == field


def test_a_plain_subject_stays_readable() -> None:
    """Only what has to be encoded is."""
    assert unstructured("Subject", "Invitation: Planning") == b"Subject: Invitation: Planning\r\n"


@given(st.text(min_size=60, max_size=300))
def test_an_encoded_word_is_short_and_whole(text: str) -> None:
    """RFC 2047: at most 75 characters a word, 76 a line, and no character cut in two."""
    field = unstructured("Subject", text)
    for line in field.rstrip(b"\r\n").split(b"\r\n "):
        word = line.removeprefix(b"Subject: ")
        if word.startswith(b"=?utf-8?B?"):
            assert len(word) <= 75
            assert len(line) <= 76
            ((content, charset),) = email.header.decode_header(word.decode())
            content.decode(charset)


@given(st.integers(0, 253_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_a_date_reads_back_to_the_second(instant: datetime) -> None:
    """The field is RFC 5322's, in UTC."""
    text = date_field(instant).decode().removeprefix("Date: ").removesuffix("\r\n")
    assert parsedate_to_datetime(text) == instant
