"""From bytes that somebody has at hand to the links or the token in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote

from invites.errors import UsageError
from invites.jitsi.claims import NotAToken, token_from
from invites.jitsi.links import link_from, links_in, looks_like_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invites.jitsi.claims import Token
    from invites.jitsi.links import Link

Kind = Literal["token", "link", "calendar", "message", "text"]

_FOLD: Final = re.compile(rb"\r?\n[ \t]")
_ESCAPE: Final = re.compile(r"\\([nN,;\\])")
_HEADERS: Final = {"from", "to", "subject", "content-type", "mime-version", "received", "date"}

CALENDARS: Final = {"text/calendar", "application/ics"}

NOTHING_FOUND = (
    "found no join link and no token, expected a link with jwt=, a token of three segments, "
    "or an .eml or .ics that holds such a link"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundToken:
    """One token, the link that it stands in, and the places that hold it."""

    token: Token
    link: Link | None
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was found in the input: each distinct link once, and what is odd about the whole.

    `disagreement` says where the parts of one message hold other links, or none.
    """

    kind: Kind
    found: tuple[FoundToken, ...]
    disagreement: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The links that one part of a message or file holds."""

    place: str
    links: tuple[str, ...] = field(repr=False)


def contents_of(octets: bytes) -> Contents:
    """Return the links or the token in `octets`, which may be any of the kinds.

    Raises UsageError where there is neither; its text shows nothing of the input.
    """
    text = octets.decode("utf-8-sig", "replace").strip()
    if looks_like_token(text):
        return Contents(kind="token", found=(FoundToken(token=_token(text), link=None, places=()),))
    if alone := _link_alone(text):
        return Contents(kind="link", found=(_found(alone, ()),))
    if text[:15].upper() == "BEGIN:VCALENDAR":
        return _contents("calendar", [_Part(place="calendar", links=_in_calendar(octets))])
    message = message_from_bytes(octets.lstrip(), policy=policy.default)
    if _HEADERS & {name.lower() for name in message}:
        return _contents("message", list(_parts(message)))
    return _contents("text", [_Part(place="text", links=tuple(links_in(text)))])


def _link_alone(text: str) -> str | None:
    """Return the link that is all of `text`, be it wrapped or with a sentence's end; else None."""
    if not re.match(r"https?://", text, re.IGNORECASE):
        return None
    words = text.split()
    whole = "".join(words)
    bare = whole.rstrip(".,;:!")
    if links_in(bare) == [bare] and (len(words) == 1 or not links_in(text)):
        return bare
    return whole if len(words) == 1 else None


def _contents(kind: Kind, parts: list[_Part]) -> Contents:
    places: dict[str, list[str]] = {}
    for part in parts:
        for link in part.links:
            places.setdefault(link, []).append(part.place)
    if not places:
        raise UsageError(f"{kind}: {NOTHING_FOUND}")
    found = tuple(_found(link, tuple(where)) for link, where in places.items())
    return Contents(kind=kind, found=found, disagreement=tuple(_disagreement(parts)))


def _disagreement(parts: list[_Part]) -> Iterator[str]:
    first = next(part for part in parts if part.links)
    for part in parts:
        if len(part.links) > 1:
            yield f"The {part.place} holds {len(part.links)} different join links."
        if not part.links:
            yield f"The {part.place} holds no join link, and the {first.place} holds one."
        elif set(part.links) != set(first.links):
            yield f"The {part.place} holds another join link than the {first.place}."


def _found(text: str, places: tuple[str, ...]) -> FoundToken:
    try:
        link = link_from(text)
    except NotAToken:
        raise UsageError(f"link: {NOTHING_FOUND}") from None
    return FoundToken(token=_token(_as_text(link.token)), link=link, places=places)


def _as_text(token: str) -> str:
    """Return a link's token with its dots in place, which the link may have percent-encoded."""
    return token if looks_like_token(token) else unquote(token)


def _token(text: str) -> Token:
    try:
        return token_from(text)
    except NotAToken as fault:
        raise UsageError(f"token: {fault}; {NOTHING_FOUND}") from None


def _parts(message: EmailMessage) -> Iterator[_Part]:
    """Yield the parts that can hold a link, named as people know them."""
    for part in message.walk():
        octets = part.get_payload(decode=True)
        if not isinstance(octets, bytes):
            continue
        kind, attached = part.get_content_type(), part.is_attachment()
        if kind in CALENDARS or (part.get_filename() or "").lower().endswith(".ics"):
            place = "attached calendar" if attached or part.get_filename() else "calendar part"
            yield _Part(place=place, links=_in_calendar(octets))
        elif kind == "text/html":
            yield _Part(place="HTML part", links=_in_html(_text_of(part, octets)))
        elif kind == "text/plain" and not attached:
            yield _Part(place="text part", links=tuple(links_in(_text_of(part, octets))))


def _text_of(part: EmailMessage, octets: bytes) -> str:
    try:
        return octets.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return octets.decode("utf-8", "replace")


def _in_calendar(octets: bytes) -> tuple[str, ...]:
    """Return the links in a calendar's unfolded and unescaped lines (RFC 5545 3.1, 3.3.11)."""
    text = _FOLD.sub(b"", octets).decode("utf-8-sig", "replace")
    plain = _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)
    return tuple(links_in(plain))


class _Page(HTMLParser):
    """Collects what a reader of an HTML part can click on or read."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pieces += [f"\n{value}\n" for name, value in attrs if name == "href" and value]
        if tag != "wbr":
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser calls it so
        self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def _in_html(text: str) -> tuple[str, ...]:
    page = _Page()
    page.feed(text)
    page.close()
    return tuple(links_in(unescape("".join(page.pieces))))
