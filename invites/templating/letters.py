"""The values that go into a letter and come out of the templates; no Jinja2 in here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invites.model import Attendee, Change, Meeting, Organizer, Validity

LINK = "link"
COLUMN = "columns."

TEXT_FIELDS = frozenset({"name", "email", "avatar", "user_id", "group"})
"""The attendee's fields that are plain text, and so can be slots."""

MARKERS = "\x01\x02"
"""Control characters that mark slots while a letter is rendered; no value of a letter has them."""

_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_WITHOUT_MARKERS = dict.fromkeys(map(ord, MARKERS))


def plain(text: str) -> str:
    """Return `text` without the characters that mark slots."""
    if MARKERS[0] in text or MARKERS[1] in text:
        return text.translate(_WITHOUT_MARKERS)
    return text


def joined(text: str) -> str:
    """Return `text` with its lines joined by a blank and no blanks at both ends."""
    if _BREAKS.isdisjoint(text):
        return text.strip()
    return " ".join(line for line in map(str.strip, text.splitlines()) if line)


def one_line(text: str) -> str:
    """Return a value that is to be one line of a letter: `joined` and `plain`."""
    return joined(plain(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFacts:
    """What the letters about one meeting say, the same for everybody who gets them.

    `server` is the Jitsi server's host and `room` the room's name, both as text for people.
    `organizer` is the service mailbox; the meeting's own host is the meeting's.
    `changes` are those that an update tells, in the order to tell them.
    `skew` is the part of the validity's start that only allows for clocks that differ: the letter
    shows the link as opening that much later.
    `earlier_until` is when a link that was sent earlier stops admitting, in seconds since 1970.
    `demo` is true where links are signed with a throw-away secret.
    """

    meeting: Meeting
    validity: Validity
    organizer: Organizer
    server: str
    room: str = ""
    changes: tuple[Change, ...] = ()
    skew: timedelta = timedelta(0)
    earlier_until: int | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one attendee's value in a shared letter.

    `name` is a field of the attendee (`name`, `email`, `avatar`, `user_id`, `group`), `link`, or
    `columns.` and the name of one of the roster's own columns.
    """

    name: str

    def value(self, attendee: Attendee, link: str) -> str:
        """Return what stands here for `attendee`: raw, so still to be escaped in HTML.

        Raises KeyError where the roster lacks the column.
        """
        if self.name == LINK:
            return link
        if self.name.startswith(COLUMN):
            return plain(attendee.columns[self.name.removeprefix(COLUMN)])
        return one_line(getattr(attendee, self.name))


Part = tuple[str | Slot, ...]
"""Text with slots: strings that are never empty, and no two of them in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One rendered letter: `subject` is one line, all line ends are LF.

    `notes` follow the link's line in the calendar entry; "" where the kind has no link.
    The texts hold a live link: they never reach a log or a `repr`.
    """

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    notes: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLetter:
    """One rendering for all attendees of a meeting with equal keys, with slots for the rest.

    A slot's value goes raw into `subject`, `text` and `notes`, and HTML-escaped
    (`markupsafe.escape`) into `html`.
    Where a template computes with the link, the texts hold a live one.
    """

    subject: Part = field(repr=False)
    text: Part = field(repr=False)
    html: Part = field(repr=False)
    notes: Part = field(repr=False)

    @property
    def slots(self) -> frozenset[Slot]:
        """The slots that occur in any part."""
        parts = (self.subject, self.text, self.html, self.notes)
        return frozenset(piece for part in parts for piece in part if isinstance(piece, Slot))


def filled(part: Part, attendee: Attendee, link: str) -> str:
    """Return `part` with the attendee's values as they are in its slots."""
    return "".join(_values(part, attendee, link))


def _values(part: Part, attendee: Attendee, link: str) -> Iterable[str]:
    for piece in part:
        yield piece.value(attendee, link) if isinstance(piece, Slot) else piece
