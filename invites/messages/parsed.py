"""What other libraries make of a message and of a calendar object, as values that can be compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import AddressHeader
from email.message import Message
from email.policy import SMTP
from html.parser import HTMLParser
from typing import Any

from invites.model import Meeting, Occurrence

_TIMES_OF_A_DATE = ("recurrence-id", "dtstart", "dtend")


def told_times(event: Any) -> tuple[datetime | str, ...]:
    """Return what an event says of one date of a series: its times and its title's letters."""
    return (*(as_instant(event[name].dt) for name in _TIMES_OF_A_DATE), letters(event["summary"]))


def expected_times(one: Occurrence, meeting: Meeting) -> tuple[datetime | str, ...]:
    """Return what `told_times` should find of a date."""
    return one.original, one.start, one.end, letters(one.title or meeting.title)


def as_instant(moment: datetime) -> datetime:
    """Return a time in UTC."""
    # Python takes a time that clocks skip or show twice for unequal to the same one of another zone.
    return moment.astimezone(UTC)


def left_out(event: Any) -> set[datetime]:
    """Return the instants of EXDATE, of which an event may have several."""
    found = event.get("exdate", [])
    lists = found if isinstance(found, list) else [found]
    return {as_instant(each.dt) for one in lists for each in one.dts}


def flat(claims: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return the claims with those of an object under dotted names; an empty object is a value."""
    found: dict[str, Any] = {}
    for name, value in claims.items():
        inner = value if isinstance(value, dict) and value else None
        path = above + name
        found |= {path: value} if inner is None else flat(inner, f"{path}.")
    return found


def letters(text: str) -> str:
    """Return the letters and digits of `text`, which no parser's way with blanks alters."""
    return "".join(filter(str.isalnum, text))


def controls(text: str) -> list[str]:
    """Return the control characters of `text`."""
    return [char for char in sorted(set(text)) if unicodedata.category(char) == "Cc"]


def decoded(message: Message, name: str) -> str:
    """Return a header field's value with its encoded words decoded; "" where there is none."""
    return str(SMTP.header_factory(name, unfolded(message[name])))


def mailboxes(message: Message, name: str) -> list[tuple[str, str]]:
    """Return the display name and the address of each mailbox of a header field."""
    header = SMTP.header_factory(name, unfolded(message[name]))
    if not isinstance(header, AddressHeader):
        return []
    return [(address.display_name, address.addr_spec) for address in header.addresses]


def unfolded(value: str | None) -> str:
    """Return a header field's value on one line; "" for none."""
    return (value or "").replace("\r\n", "")


def text_in(part: Message) -> str:
    """Return a part's text, decoded."""
    content = part.get_payload(decode=True)
    return content.decode(part.get_content_charset("ascii")) if isinstance(content, bytes) else ""


class Anchors(HTMLParser):
    """Collects the targets of a page's anchors."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember where an anchor leads."""
        target = dict(attrs).get("href") if tag == "a" else None
        if target is not None:
            self.targets.add(target)
