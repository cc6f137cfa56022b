"""A logo that each mail brings along: where it stands, and what the HTML names it by."""

from __future__ import annotations

import email
import re
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import mailparser
import pytest

from invites.errors import Exit
from invites.invitation import Brand, Kind, Revision
from invites.messages.mime import html_of
from invites.settings.settings import OCTETS_AT_MOST
from invites.templating import Templates
from tests.factory import LOGO, START, Factory, branded
from tests.support import NOW, SETTINGS, Answer, write_settings

LEAVES = ["text/plain", "multipart/related", "text/html", "image/png"]
ROSTER = (
    "meeting_id,title,start,end,name,email\n"
    "planning,Planning,2031-12-02 09:00,2031-12-02 10:00,Ada,ada@example.org\n"
)


def composed(factory: Factory, kind: Kind) -> bytes:
    """Return a checked message of this kind."""
    revision = Revision(kind=kind, sequence=0, dtstamp=START)
    invitations = factory.composer().compose(factory.meeting(), revision)
    (invitation,) = factory.verifier().passed(invitations)
    return invitation.eml


def parsed(eml: bytes) -> EmailMessage:
    """Return the message as the standard library's modern policy reads it."""
    message = email.message_from_bytes(eml, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize("kind", list(Kind))
def test_the_logo_stands_beside_the_html_among_the_alternatives(
    factory: Factory, kind: Kind
) -> None:
    """multipart/related holds both (RFC 2387); calendar part and attachment stay where they are."""
    message = parsed(composed(branded(factory), kind))
    tree = ["multipart/alternative", *LEAVES]
    if kind is not Kind.REMINDER:
        tree = ["multipart/mixed", *tree, "text/calendar", "application/ics"]
    parts = list(message.walk())
    assert [part.get_content_type() for part in parts] == tree
    assert all(part.defects == [] for part in parts)
    html = message.get_body(preferencelist=("related", "html"))
    assert html is not None
    (picture,) = html.iter_attachments()
    assert picture.get_content() == LOGO.content
    assert picture.get_content_disposition() == "inline"
    assert picture.get_filename() == "logo.png"
    assert html.get_param("type") == "text/html"
    shown = next(html.iter_parts()).get_content()
    assert f'src="cid:{picture["Content-ID"].strip("<>")}" alt="Example Academy"' in shown


def test_another_parser_finds_the_logo(factory: Factory) -> None:
    """mail-parser reads it as an inline attachment with its Content-ID, and its bytes."""
    mail = mailparser.parse_from_bytes(composed(branded(factory), Kind.INVITATION))
    (logo,) = (one for one in mail.attachments if one["mail_content_type"] == "image/png")
    assert logo["content-id"] == f"<{LOGO.content_id}>"
    assert logo["filename"] == "logo.png"
    assert not mail.defects


def test_a_page_to_look_at_has_the_logo_in_it(factory: Factory) -> None:
    """A browser knows no `cid:`."""
    page = html_of(composed(branded(factory), Kind.INVITATION)).decode()
    assert "cid:" not in page
    assert 'src="data:image/png;base64,iVBOR' in page
    assert len(re.findall("data:", page)) == 1


def test_templates_that_show_no_logo_bring_none_along(factory: Factory, tmp_path: Path) -> None:
    """A picture that nothing names would stand there as an attachment."""
    for name in ("invitation", "cancellation"):
        text = "{% extends 'layout.html.j2' %}"
        (tmp_path / f"{name}.html.j2").write_text(text, encoding="utf-8")
    page = '<!DOCTYPE html><title>x</title><a href="{{ link }}">{{ link }}</a>'
    (tmp_path / "invitation.html.j2").write_text(page, encoding="utf-8")
    brand = Brand(logo=f"cid:{LOGO.content_id}", picture=LOGO)
    own = Factory(Templates.load(tmp_path, brand=brand))
    kinds = [part.get_content_type() for part in parsed(composed(own, Kind.INVITATION)).walk()]
    assert "image/png" not in kinds
    assert "image/png" in [p.get_content_type() for p in parsed(composed(own, Kind.UPDATE)).walk()]


def test_a_message_without_a_logo_is_as_it_was(factory: Factory) -> None:
    """The parts of RFC 6047 alone."""
    eml = composed(factory, Kind.INVITATION)
    assert b"multipart/related" not in eml


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (LOGO.content, "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 40, "image/jpeg"),
        (b"GIF89a" + b"\0" * 40, "image/gif"),
    ],
)
def test_build_takes_a_file_by_what_it_is(
    invites: Callable[..., Answer], tmp_path: Path, content: bytes, media_type: str
) -> None:
    """The file's name says nothing; the path starts at the settings file."""
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    (tmp_path / "logo.bin").write_bytes(content)
    config = write_settings(tmp_path, SETTINGS + '[brand]\nlogo = "logo.bin"\n')
    call = ("build", "roster.csv", "--config", config, "--now", NOW, "--verify", "all")
    assert invites(*call).code == Exit.DONE
    (eml,) = (tmp_path / "out").rglob("*.eml")
    assert f"Content-Type: {media_type};".encode() in eml.read_bytes()
    assert f"data:{media_type};base64,".encode() in eml.with_suffix(".html").read_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
            "found an SVG drawing",
        ),
        (b"RIFF\0\0\0\0WEBPVP8 ", "found a WebP picture"),
        (b"", "found nothing"),
        (b"<html>", "found something else"),
        (LOGO.content + bytes(OCTETS_AT_MOST), "found a picture of 65,6"),
        (None, "can't be read (No such file or directory)"),
    ],
)
def test_a_file_that_mail_programs_do_not_show_is_refused(
    invites: Callable[..., Answer], tmp_path: Path, content: bytes | None, says: str
) -> None:
    """What was found, where, what was expected, and what to do."""
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8")
    if content is not None:
        (tmp_path / "logo.png").write_bytes(content)
    config = write_settings(tmp_path, SETTINGS + '[brand]\nlogo = "logo.png"\n')
    answer = invites("build", "roster.csv", "--config", config, "--now", NOW)
    assert answer.code == Exit.SETTINGS
    assert says in answer.err
    assert "[brand] logo" in answer.err
    assert "expected" in answer.err
    assert not (tmp_path / "out").exists()
