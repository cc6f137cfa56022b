"""From bytes that somebody has at hand to the links or the token in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from html import unescape
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote

from invites.errors import UsageError
from invites.jitsi.claims import NotAToken, token_from
from invites.jitsi.links import link_from, links_in, looks_like_token
from invites.messages.calendar import PRODID
from invites.model import Meeting, Occurrence, Series, Status
from invites.roster.recurrence import Rule, anchored, dates_of
from invites.roster.rule import parse_rule
from invites.times import zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invites.jitsi.claims import Token
    from invites.jitsi.links import Link


Kind = Literal["token", "link", "calendar", "message", "text"]

_FOLD: Final = re.compile(rb"\r?\n[ \t]")
_ESCAPE: Final = re.compile(r"\\([nN,;\\])")
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG: Final = re.compile(r"<[^<>]*>")
_HREF: Final = re.compile(r"""href\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
# `DTSTART;TZID=Europe/Berlin:` in a calendar, `data-zone="Europe/Berlin"` in the HTML of a mail of ours.
_ZONE: Final = re.compile(
    r"^DTSTART;TZID=\"?([\w/+-]{1,60})\"?[;:]|\bdata-zone=\"([A-Z][a-z]+/[\w/+-]{1,60})\"",
    re.MULTILINE,
)
_QUOTES: Final = "\"'"
_GIANT: Final = re.compile(r"&#(?:[xX][0-9a-fA-F]{9,}|[0-9]{9,});?")
"""A reference to no character; Python's `unescape` fails on one with thousands of digits."""

_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_LONG_HEADER: Final = re.compile(
    rb"^(content-[a-z-]{1,30}:(?:[^\r\n]|\r?\n[ \t]){2000})(?:[^\r\n]|\r?\n[ \t])++",
    re.IGNORECASE | re.MULTILINE,
)
BOUNDARIES_AT_MOST: Final = 50
"""Nested parts of a message: each line is compared with the boundary of every one around it."""

OCTETS_AT_MOST: Final = 50_000_000
"""What mail servers take at most, and more than any calendar has."""

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
    `zone` is the IANA name by which a message or calendar tells its times, None where it has none.
    `meeting` has the times of a calendar's meeting that repeats, None where none does, and `date`
    those of the one date of a series that it is about.
    `of_dates` where not the series but its dates have links, which may be none so far.
    """

    kind: Kind
    found: tuple[FoundToken, ...]
    disagreement: tuple[str, ...] = ()
    zone: str | None = None
    meeting: Meeting | None = None
    date: Occurrence | None = None
    of_dates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The links that one part of a message or file holds."""

    place: str
    links: tuple[str, ...] = field(repr=False)
    zone: str | None = None

    @classmethod
    def of(cls, place: str, text: str, *, source: str = "") -> _Part:
        """Return the part that says `text`, with its links and the zone that it or its source has."""
        zone = _ZONE.search(source or text)
        named = zone[1] or zone[2] if zone else None
        return cls(place=place, links=tuple(links_in(text)), zone=named)


def contents_of(octets: bytes) -> Contents:
    """Return the links or the token in `octets`, which may be any of the kinds.

    Raises UsageError where there is neither; its text shows nothing of the input.
    """
    if len(octets) > OCTETS_AT_MOST:
        raise UsageError(
            f"found more than {OCTETS_AT_MOST:,} bytes, expected a link, a token, "
            "or an .eml or .ics that holds such a link"
        )
    text = octets.decode("utf-8-sig", "replace").strip()
    if looks_like_token(text):
        return Contents(kind="token", found=(FoundToken(token=_token(text), link=None, places=()),))
    if alone := _link_alone(text):
        return Contents(kind="link", found=(_found(alone, ()),))
    if text[:15].upper() == "BEGIN:VCALENDAR":
        part = _Part.of("calendar", _calendar_text(octets))
        return _with_dates("calendar", [part], [octets])
    # Almost any text parses as a message; one that is meant has one of the usual headers.
    message = _message(octets)
    if _HEADERS & {name.lower() for name in message.keys()}:  # noqa: SIM118 - a message has no iterator of its own
        return _with_dates("message", [*_parts(message)], [*_calendars(message)])
    return _contents("text", [_Part.of("text", text)])


def _with_dates(kind: Kind, parts: list[_Part], calendars: list[bytes]) -> Contents:
    date = next(filter(None, map(one_date, calendars)), None)
    of_dates = any(map(_has_links_of_dates, calendars))
    off = date is not None and date.cancelled
    return replace(
        _contents(kind, parts, of_dates=of_dates, without=of_dates or off),
        meeting=next(filter(None, map(repeating, calendars)), None),
        date=date,
    )


def _message(octets: bytes) -> Message:
    """Return what may be a message, parsed in a time that is linear in its octets.

    The standard parser is quadratic in a header's parameters and in nested parts, and recursive.
    """
    plain = _LONG_HEADER.sub(rb"\1", octets.lstrip())
    if len(re.findall(rb"boundary", plain, re.IGNORECASE)) > BOUNDARIES_AT_MOST:
        raise UsageError(
            f"message: found more than {BOUNDARIES_AT_MOST} parts within parts, expected a "
            "message with a few; give its link alone"
        )
    try:
        return message_from_bytes(plain)
    except RecursionError:
        raise UsageError(
            "message: found messages within messages, nested too deeply; give the link alone"
        ) from None


def _link_alone(text: str) -> str | None:
    """Return the link that is all of `text`, be it wrapped or with a sentence's end; else None.

    What a line end broke is put together again; a blank within a line stands in the link as well.
    """
    if not re.match(r"https?://", text, re.IGNORECASE):
        return None
    # Mail programs break long links at line ends; they never put a blank into one.
    whole = "".join(line.strip() for line in text.splitlines())
    squeezed = "".join(whole.split())
    bare = squeezed.rstrip(".,;:!")
    if links_in(bare) == [bare] and (squeezed == text or not links_in(text)):
        return bare if whole == squeezed else whole.rstrip(".,;:!")
    return whole if text.split() == [whole] else None


def _contents(
    kind: Kind, parts: list[_Part], *, of_dates: bool = False, without: bool = False
) -> Contents:
    """Return what the parts hold; UsageError where that is no link, unless it may be `without`."""
    places: dict[str, list[str]] = {}
    for part in parts:
        for link in part.links:
            places.setdefault(link, []).append(part.place)
    if not places and not without:
        raise UsageError(f"{kind}: {NOTHING_FOUND}")
    found = tuple(_found(link, tuple(where)) for link, where in places.items())
    zone = next((part.zone for part in parts if part.zone), None)
    return Contents(
        kind=kind,
        found=found,
        disagreement=tuple(_disagreement(parts, several=of_dates)) if found else (),
        zone=zone,
        of_dates=of_dates,
    )


def _disagreement(parts: list[_Part], *, several: bool) -> Iterator[str]:
    first = next(part for part in parts if part.links)
    common = set(first.links)
    for part in parts:
        if len(part.links) > 1 and not several:
            yield f"The {part.place} holds {len(part.links)} different join links."
        if not part.links:
            yield f"The {part.place} holds no join link, and the {first.place} holds one."
        elif set(part.links) != common:
            yield f"The {part.place} holds another join link than the {first.place}."


def _found(text: str, places: tuple[str, ...]) -> FoundToken:
    try:
        link = link_from(text)
    except NotAToken:
        raise UsageError(f"link: {NOTHING_FOUND}") from None
    return FoundToken(token=_token(_as_text(link.token)), link=link, places=places)


def _as_text(token: str) -> str:
    """Return a link's token as it was made, whatever blanks or percent-encoding it has by now."""
    return token if looks_like_token(token) else "".join(unquote(token).split())


def _token(text: str) -> Token:
    try:
        return token_from(text)
    except NotAToken as fault:
        raise UsageError(f"token: {fault}; {NOTHING_FOUND}") from None


def _parts(message: Message) -> Iterator[_Part]:
    """Yield the parts that can hold a link, named as people know them."""
    for part in message.walk():
        octets = part.get_payload(decode=True)
        if not isinstance(octets, bytes):
            continue
        kind, named = _header(part, "content-type"), _header(part, "content-disposition")
        attached = named.lower().startswith("attachment")
        main = kind.partition(";")[0].strip().lower() or "text/plain"
        if main in CALENDARS or ".ics" in f"{kind}{named}".lower():
            place = (
                "attached calendar"
                if attached or "name" in f"{kind}{named}".lower()
                else "calendar part"
            )
            yield _Part.of(place, _calendar_text(octets))
        elif main == "text/html":
            source = _text_of(kind, octets)
            yield _Part.of("HTML part", _html_text(source), source=source)
        elif main == "text/plain" and not attached:
            yield _Part.of("text part", _text_of(kind, octets))


def _calendars(message: Message) -> Iterator[bytes]:
    for part in message.walk():
        if part.get_content_type() in CALENDARS:
            octets = part.get_payload(decode=True)
            if isinstance(octets, bytes):
                yield octets


def _header(part: Message, name: str) -> str:
    return str(part.get(name, ""))


def _text_of(kind: str, octets: bytes) -> str:
    charset = _CHARSET.search(kind)
    try:
        return octets.decode(charset[1] if charset else "utf-8", "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def _calendar_text(octets: bytes) -> str:
    """Return a calendar's unfolded and unescaped lines (RFC 5545 3.1, 3.3.11)."""
    text = _FOLD.sub(b"", octets).decode("utf-8-sig", "replace")
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)


def _html_text(text: str) -> str:
    """Return what a reader of an HTML part can click on or read.

    Not by HTMLParser, for it is quadratic on unclosed tags and fails on some declarations.
    """
    pieces: list[str] = []
    end = 0
    closed = text.rfind("-->") + 3  # a comment without an end is text, as for browsers
    plain = _COMMENT.sub("", text[:closed]) + text[closed:] if closed > 2 else text
    for tag in _TAG.finditer(plain):
        pieces.append(plain[end : tag.start()])
        end = tag.end()
        pieces += [f"\n{value.strip(_QUOTES)}\n" for value in _HREF.findall(tag[0])]
        if not tag[0].lower().startswith("<wbr"):  # it lets a long link break where it is shown
            pieces.append("\n")
    pieces.append(plain[end:])
    return unescape(_GIANT.sub("\ufffd", "".join(pieces)))


_LINE: Final = re.compile(
    r"^(DTSTART|DTEND|RRULE|EXDATE|RECURRENCE-ID|STATUS)(?:;TZID=\"?([\w/+-]{1,60})\"?)?:([^\r\n]{1,500})",
    re.MULTILINE,
)
DATES_READ: Final = 2_000
"""Events of one object that are looked at; a series of ours has at most 1,000."""


def repeating(octets: bytes) -> Meeting | None:
    """Return the meeting of a calendar object, with all its dates; None where it has no rule of ours.

    It has neither title nor attendees: only its times are read.
    """
    try:
        return _meeting(_events(octets))
    except (ValueError, LookupError, OverflowError):
        return None  # a rule that we don't write, or no calendar at all


def one_date(octets: bytes) -> Occurrence | None:
    """Return the one date of a series that a calendar object is about; None where it is not."""
    events = _events(octets)
    try:
        (about,) = ({name: (zone_name, value) for name, zone_name, value in one} for one in events)
        original, start, end = (
            _instant(*about[name]) for name in ("RECURRENCE-ID", "DTSTART", "DTEND")
        )
    except (ValueError, LookupError, OverflowError):
        return None
    off = about.get("STATUS", ("", ""))[1] == Status.CANCELLED.upper()
    return Occurrence(original=original, start=start, end=end, cancelled=off)


def _has_links_of_dates(octets: bytes) -> bool:
    """Tell whether a calendar object of ours invites to a series, or one date, without a link."""
    text = _FOLD.sub(b"", octets)
    events = text.split(b"BEGIN:VEVENT", 2)
    return (
        len(events) > 1
        and f"PRODID:{PRODID}".encode() in events[0]
        and re.search(rb"^METHOD:REQUEST\r?$", text, re.MULTILINE) is not None
        and re.search(rb"^(?:RRULE|RECURRENCE-ID)[:;]", events[1], re.MULTILINE) is not None
        and re.search(rb"^URL[:;]", events[1].partition(b"END:VEVENT")[0], re.MULTILINE) is None
    )


def _events(octets: bytes) -> list[list[tuple[str, str, str]]]:
    """Return, of each event, the name, zone and value of each property that tells its times."""
    text = _FOLD.sub(b"", octets).decode("utf-8", "replace")
    events = text.split("BEGIN:VEVENT", DATES_READ)[1:]
    return [_LINE.findall(event.partition("END:VEVENT")[0]) for event in events]


def _meeting(events: list[list[tuple[str, str, str]]]) -> Meeting | None:
    rules = [value for event in events for name, _, value in event if name == "RRULE"]
    if len(rules) != 1:
        return None
    main = next(event for event in events if any(name == "RRULE" for name, *_ in event))
    named = {name: (zone_name, value) for name, zone_name, value in main}
    start, end = _instant(*named["DTSTART"]), _instant(*named["DTEND"])
    timezone = zone(named["DTSTART"][0] or "UTC")
    rule = parse_rule(rules[0])
    recurrence = anchored(rule.recurrence, start.astimezone(timezone).replace(tzinfo=None))
    whole = Rule(recurrence=recurrence, count=rule.count, until=rule.until)
    dates = {
        one: Occurrence(original=one, start=one, end=one + (end - start))
        for one in dates_of(whole, start, timezone)
    }
    for name, zone_name, value in main:
        for left_out in value.split(",") if name == "EXDATE" else ():
            one = dates[_instant(zone_name, left_out)]
            dates[one.original] = Occurrence(
                original=one.original, start=one.start, end=one.end, cancelled=True
            )
    for event in events:
        about = {name: (zone_name, value) for name, zone_name, value in event}
        if "RECURRENCE-ID" in about:
            original = dates[_instant(*about["RECURRENCE-ID"])].original
            times = _instant(*about["DTSTART"]), _instant(*about["DTEND"])
            dates[original] = Occurrence(original=original, start=times[0], end=times[1])
    series = Series(recurrence=recurrence, occurrences=tuple(dates.values()))
    if not series.taking_place:
        return None
    return Meeting(
        id="", title="", start=start, end=end, timezone=timezone.key, attendees=(), series=series
    )


def _instant(zone_name: str, value: str) -> datetime:
    """Return a DATE-TIME (RFC 5545 3.3.5) in UTC; ValueError for one without zone."""
    if value.endswith("Z"):
        return datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    wall = datetime.strptime(value, "%Y%m%dT%H%M%S").replace(tzinfo=zone(zone_name))
    return wall.astimezone(UTC)
