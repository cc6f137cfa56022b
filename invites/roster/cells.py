"""From a cell's text to its value, one function per kind of column; each refuses with a reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invites.addresses import Address, parse_address
from invites.jitsi.claims import OFF, switched
from invites.jitsi.rooms import room_from_text
from invites.jitsi.validity import ValidityRule
from invites.model import Attendance, Room, Status
from invites.roster.rule import parse_rule
from invites.text import CellRefused, language_tag, refuse_encoded_words
from invites.times import TimeRefused, parse_time, zone

if TYPE_CHECKING:
    from invites.jitsi.links import LinkLengths
    from invites.roster.recurrence import Rule

TRUE_WORDS: Final = frozenset({"true", "yes", "y", "1", "x"})
FALSE_WORDS: Final = frozenset({"false", "no", "n", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRules:
    """What the settings say about reading a roster.

    `timezone` is the zone of times where the roster names none.
    `date_format` are names or forms of `strptime`, none for ISO 8601.
    `typed` says that the cells are a workbook's, whose dates are known and written as ISO 8601.
    `yes` and `no` are further words for true and false, case-folded.
    `encoding` is what a file may have instead of UTF-8, "" for nothing.
    `columns` maps our names to the file's, `extra` lists columns that are meant as they are.
    `attendees` are the file's columns that list several attendees in one cell, none mostly.
    `series` is the column whose values tell series apart that have a row for each date, "" for none.
    `derived_rooms` refuses the column `room`.
    `special_domains` are address domains that public rules refuse and that are meant.
    `languages` are those that letters can be in, none where nobody knows; `language` is that of
    attendees who have none.
    `links` weighs join links, None where too little is known of the server for that.
    """

    timezone: str = "UTC"
    date_format: tuple[str, ...] = ()
    typed: bool = False
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    encoding: str = ""
    attendees: tuple[str, ...] = ()
    series: str = ""
    derived_rooms: bool = False
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    special_domains: tuple[str, ...] = ()
    validity: ValidityRule = field(default_factory=ValidityRule)
    links: LinkLengths | None = None
    language: str = "en"
    languages: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NamedRoom:
    """A room and the text that names it, so that a second spelling can be told."""

    text: str
    room: Room


Parser = Callable[[str, RosterRules], object]


def as_text(text: str, _rules: RosterRules) -> str:
    """Return the text as it is."""
    return text


def as_name(text: str, _rules: RosterRules) -> str:
    """Return a title or a person's name: text without encoded words."""
    refuse_encoded_words(text)
    return text


def as_meeting_id(text: str, _rules: RosterRules) -> str:
    """Return the meeting's identity in NFC, so that two programs write it alike."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def as_time(text: str, rules: RosterRules) -> datetime:
    """Return a time, aware where it has an offset."""
    return parse_time(text, forms_of(rules))


def forms_of(rules: RosterRules) -> tuple[str, ...]:
    """Return the forms in which dates are read, in a workbook also that of a date's own cell."""
    return ("iso", *rules.date_format) if rules.typed and rules.date_format else rules.date_format


def as_zone(text: str, _rules: RosterRules) -> str:
    """Return the name of a zone that the pinned database has."""
    return zone(text).key


def as_address(text: str, rules: RosterRules) -> Address:
    """Return one mail address."""
    return parse_address(text, special_domains=rules.special_domains)


def as_moderator(text: str, rules: RosterRules) -> bool:
    """Return a yes or no in one of the ways that spreadsheets have it, or the settings name."""
    folded = text.casefold()
    if folded in TRUE_WORDS or folded in rules.yes:
        return True
    if folded in FALSE_WORDS or folded in rules.no:
        return False
    raise CellRefused(
        "true or false, yes or no, y or n, 1 or 0, x or an empty cell; other words are given in "
        "[roster] yes and no"
    )


def as_room(text: str, rules: RosterRules) -> NamedRoom:
    """Return the room that the text names."""
    tenant = rules.links.tenant if rules.links is not None else None
    return NamedRoom(text, room_from_text(text, tenant=tenant))


def as_status(text: str, _rules: RosterRules) -> Status:
    """Return the meeting's status, in any case."""
    try:
        return Status(text.casefold())
    except ValueError:
        raise CellRefused("confirmed, tentative, cancelled or an empty cell") from None


def as_attendance(text: str, _rules: RosterRules) -> Attendance:
    """Return whether the attendee is expected, in any case."""
    try:
        return Attendance(text.casefold())
    except ValueError:
        raise CellRefused("required, optional or an empty cell") from None


def as_features(text: str, _rules: RosterRules) -> tuple[str, ...]:
    """Return the names in the cell, each once and sorted, known to Jitsi or not.

    A hyphen before a name switches the feature off.
    """
    names = set(text.replace(";", " ").split())
    if len(switched(names)) != len(names):
        raise CellRefused("each feature either switched on (NAME) or off (-NAME), not both")
    if OFF in names:
        raise CellRefused("a feature's name right behind the hyphen that switches it off")
    return tuple(sorted(names))


def as_recurrence(text: str, _rules: RosterRules) -> Rule:
    """Return how the meeting repeats."""
    return parse_rule(text)


_BETWEEN_DATES: Final = re.compile(r"[,;]\s*|\s+(?=\d{4}-\d\d-\d\d)")


def as_dates(text: str, rules: RosterRules) -> tuple[date | datetime, ...]:
    """Return some of a series' dates, by their days or by their starts."""
    written = filter(None, map(str.strip, _BETWEEN_DATES.split(text)))
    return tuple(as_date(one, rules) for one in written)


def as_date(text: str, rules: RosterRules) -> date | datetime:
    """Return one of a series' dates, by its day or by its start."""
    try:
        return parse_time(text, rules.date_format)
    except TimeRefused as refusal:
        try:
            return parse_time(f"{text} 00:00", rules.date_format).date()
        except TimeRefused:
            raise refusal from None


_URL_PART: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2}")
_HOST: Final = re.compile(r"(?![-.])[A-Za-z0-9.-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def as_https_url(text: str, _rules: RosterRules) -> str:
    """Return an https URL that a browser fetches as it stands (RFC 3986, ASCII)."""
    expected = "an https URL such as https://example.org/ada.png"
    if not text.isascii() or _URL_PART.sub("", text):
        raise CellRefused(f"{expected}; other characters are percent-encoded")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise CellRefused(expected) from None
    if parts.scheme != "https" or not _HOST.fullmatch(parts.hostname or "") or port == 0:
        raise CellRefused(expected)
    if "@" in parts.netloc:
        raise CellRefused(f"{expected}, without a user name")
    return text


def as_language(text: str, _rules: RosterRules) -> str:
    """Return a well-formed language tag in its recommended case."""
    return language_tag(text)
