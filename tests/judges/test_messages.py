"""Every message of the sample, before two parsers that are not ours."""

from __future__ import annotations

import csv
import email
import re
from email.message import EmailMessage
from email.policy import default

import mailparser
import pytest

from tests.support import SAMPLE, SampleBuild

HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID"),
    *("Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version"),
]
TREE = [
    "multipart/mixed",
    "multipart/alternative",
    "text/plain",
    "text/html",
    "text/calendar",
    "application/ics",
]
LINK = re.compile(r"https://meet\.example\.com/[^\s\"<>]+\?jwt=[\w-]+\.[\w-]+\.[\w-]+")


def roster_rows() -> dict[tuple[str, str], dict[str, str]]:
    """Return the sample's rows by meeting and address, with the meeting's first title and host."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return {(row["meeting_id"], row["email"]): row for row in csv.DictReader(file)}


def parsed(eml: bytes) -> EmailMessage:
    """Return the message as the standard library's modern policy reads it."""
    message = email.message_from_bytes(eml, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_the_standard_library_reads_the_tree_without_a_defect(sample: SampleBuild) -> None:
    """The parts stand in the order that programs choose from, each in base64."""
    for eml in sample.files("eml"):
        message = parsed(eml)
        parts = list(message.walk())
        assert [part.get_content_type() for part in parts] == TREE
        assert all(part.defects == [] for part in parts)
        leaves = [part for part in parts if not part.is_multipart()]
        assert {part["Content-Transfer-Encoding"] for part in leaves} == {"base64"}
        assert all(header.defects == () for header in message.values())


def test_headers_are_those_that_a_message_has_once_each(sample: SampleBuild) -> None:
    """No Cc, no Bcc, no tracking; Reply-To only where the roster names a host."""
    rows = roster_rows()
    hosts = {meeting for (meeting, _), row in rows.items() if row["organizer_email"]}
    for row, eml in zip(sample.rows, sample.files("eml"), strict=True):
        names = parsed(eml).keys()
        further = ["Reply-To"] if row["meeting_id"] in hosts else []
        assert sorted(names) == sorted([*HEADERS, *further, "Content-Type"])


def test_each_message_goes_to_its_attendee_and_comes_from_the_service(sample: SampleBuild) -> None:
    """To is the roster's name and address (its domain as A-labels) and nobody else."""
    rows = roster_rows()
    for row, eml in zip(sample.rows, sample.files("eml"), strict=True):
        message = parsed(eml)
        attendee = rows[row["meeting_id"], row["email"]]
        local, _, domain = row["email"].partition("@")
        (to,) = message["to"].addresses
        assert to.display_name == attendee["name"]
        assert to.addr_spec == f"{local}@{domain.encode('idna').decode()}"
        (sender,) = message["from"].addresses
        assert sender.addr_spec == "meetings@example.com"
        assert attendee["title"] in message["subject"]


def test_the_calendar_part_carries_the_method_and_equals_both_copies(sample: SampleBuild) -> None:
    """`method=` is METHOD, and part, attachment and file are the same bytes."""
    for eml, ics in zip(sample.files("eml"), sample.files("ics"), strict=True):
        part, attached = list(parsed(eml).walk())[-2:]
        assert part.get_param("method") == "REQUEST"
        assert part.get_param("component") == "VEVENT"
        assert part["Content-Disposition"] is None
        assert attached.get_filename() == "invite.ics"
        assert part.get_payload(decode=True) == attached.get_payload(decode=True) == ics


def test_the_link_stands_alone_on_its_line_and_on_the_button(sample: SampleBuild) -> None:
    """One link in each message: a line of the text, an anchor and text of the page."""
    seen = set()
    for eml in sample.files("eml"):
        _, _, text, html, *_ = parsed(eml).walk()
        (line,) = [line for line in text.get_content().splitlines() if "jwt=" in line]
        assert LINK.fullmatch(line)
        page = html.get_content()
        assert f'href="{line}"' in page
        assert set(LINK.findall(page)) == {line}
        seen.add(line)
    assert len(seen) == len(sample.rows)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_another_parser_reads_the_same(sample: SampleBuild) -> None:
    """mail-parser finds the same people, subject and attachment, and no defect."""
    for eml in sample.files("eml"):
        message, other = parsed(eml), mailparser.parse_from_bytes(eml)
        (to,) = message["to"].addresses
        assert other.to == [(to.display_name, to.addr_spec)]
        assert other.subject == message["subject"]
        assert other.defects == []
        assert other.headers["Auto-Submitted"] == "auto-generated"
        assert other.headers["X-Auto-Response-Suppress"] == "OOF, DR, RN, NRN"
        assert [attached["filename"] for attached in other.attachments] == ["invite.ics"]
        plain = message.get_body(("plain",))
        assert plain is not None
        assert other.text_plain[0].splitlines() == plain.get_content().splitlines()


def test_every_octet_of_a_message_is_ascii_in_short_lines(sample: SampleBuild) -> None:
    """CRLF alone ends lines; none is longer than 78, so no server on the way re-encodes."""
    for eml in sample.files("eml"):
        assert eml.isascii()
        assert eml.endswith(b"\r\n")
        bare = eml.replace(b"\r\n", b"")
        assert b"\r" not in bare
        assert b"\n" not in bare
        assert max(map(len, eml.split(b"\r\n"))) <= 78


def test_message_ids_are_unique_and_in_the_organizers_domain(sample: SampleBuild) -> None:
    """The manifest lists the Message-ID that the message has."""
    ids = [str(parsed(eml)["Message-ID"]) for eml in sample.files("eml")]
    assert ids == [row["message_id"] for row in sample.rows]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"<[0-9a-f]{40}@example\.com>", one) for one in ids)
