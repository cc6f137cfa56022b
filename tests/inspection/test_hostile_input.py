"""Input that somebody made to keep `inspect` busy or to make it fail."""

from __future__ import annotations

import contextlib
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from time import process_time

import pytest

from invites.errors import UsageError
from invites.inspection import contents_of, document, inspected, lines

HTML = b"From: a@example.com\r\nContent-Type: text/html\r\n\r\n"
HEADER = b"From: a@example.com\r\nContent-Type: text/plain;"
PATTERNS = {
    "links without a token": (b"https://", b""),
    "links in prose": (b"x https://a?", b""),
    "links with half a token": (b"https://a?jwt=", b""),
    "tokens without an end": (b"?jwt=ey", b"x https://a"),
    "half a token": (b"ey", b"x https://a?jwt="),
    "links one after the other": (b"https://a?jwt=eya.b.c", b"x "),
    "a calendar of links": (b"https://", b"BEGIN:VCALENDAR\r\n"),
    "comments without an end": (b"<!--", HTML),
    "comments": (b"<!---->", HTML),
    "tags without an end": (b"<a ", HTML),
    "attributes without an end": (b"<a b=", HTML),
    "quotes in tags": (b'<a"', HTML),
    "declarations": (b"<![", HTML),
    "half anchors": (b'<a href="https://', HTML),
    "parameters": (b"a*0=b;", HEADER),
    "empty parameters": (b";", HEADER),
    "comments in a header": (b"(", HEADER),
    "file names": (b"a;b*0*=", b"From: a\r\nContent-Disposition: "),
}


def cost_of(octets: bytes) -> float:
    """Return the least processor time of three readings, whatever comes of them."""

    def once() -> float:
        start = process_time()
        with contextlib.suppress(UsageError):
            contents_of(octets)
        return process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize(("again", "before"), PATTERNS.values(), ids=PATTERNS)
def test_four_times_the_input_takes_about_four_times_as_long(again: bytes, before: bytes) -> None:
    """Reading is linear in what is read: 144 kB once took 32 s, which nobody waits for."""

    def growth() -> float:
        short, long = (cost_of(before + again * (size // len(again))) for size in (20_000, 80_000))
        return long / short

    # What grows as the square grows by 16 each time; a busy machine disturbs one of a few.
    assert any(growth() <= 9 for _ in range(5))


def segment(text: str) -> str:
    """Return some text as a token's segment."""
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("levels", [60, 400, 990, 5_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deep_json_is_refused_in_words(levels: int, opening: str, closing: str) -> None:
    """Each claim is walked through and printed, which is no reason to run out of stack."""
    claims = f'{{"x":{opening * levels}1{closing * levels}}}'
    token = f"{segment(json.dumps({'typ': 'JWT', 'alg': 'HS256'}))}.{segment(claims)}.c2ln"
    with pytest.raises(UsageError) as refused:
        contents_of(token.encode())
    assert "expected a link" in str(refused.value)


def test_json_of_some_levels_is_explained() -> None:
    """What a server reads is shown, deeper than Jitsi's own claims are."""
    claims = '{"x":' + "[" * 40 + "]" * 40 + "}"
    token = f"{segment(json.dumps({'typ': 'JWT', 'alg': 'HS256'}))}.{segment(claims)}.c2ln"
    inspection = inspected(contents_of(token.encode()), [datetime(2031, 1, 1, tzinfo=UTC)])
    assert json.dumps(document(inspection))
    assert list(lines(inspection, zone=UTC))


@pytest.mark.parametrize(
    "octets",
    [
        b"From: a\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 3_000,
        b"From: a\r\n"
        + b"".join(
            b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (one, one)
            for one in range(2_000)
        ),
        HTML + b"&#" + b"9" * 6_000 + b";",
        HTML + b"&#x" + b"f" * 60 + b";",
        HEADER + b" charset=" + b"x" * 50 + b"\r\n\r\nhello",
        HEADER + b' charset="\x00"\r\n\r\nhello',
        HEADER + b" charset=idna\r\n\r\n\xff..hello",
        HEADER + b" charset=zlib\r\n\r\nhello",
        b"https://meet.example.com/a?jwt=x.y.z" + b"x" * 50_000_000,
    ],
)
def test_what_the_standard_parsers_fail_on_is_refused_in_words(octets: bytes) -> None:
    """Parts within parts, references to no character, odd encodings, and too much of it."""
    with pytest.raises(UsageError):
        contents_of(octets)


def test_a_long_header_does_not_hide_the_link_behind_it() -> None:
    """It is cut, and the part that it belongs to is read all the same."""
    token = ".".join((segment('{"typ":1}'), segment('{"a":1}'), "c2ln"))
    link = f"https://meet.example.com/a?jwt={token}".encode()
    (found,) = contents_of(HEADER + b";" * 9_000 + b"\r\n\r\nJoin: " + link).found
    assert found.places == ("text part",)
