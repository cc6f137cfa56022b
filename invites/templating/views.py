"""What templates may name: views of plain text and flags; docs/templates.md lists their attributes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING

from invites.model import Attendance
from invites.roster.columns import folded_name
from invites.templating.dates import (
    LocalTime,
    Span,
)
from invites.templating.language import MARKERS
from invites.templating.repeating import SeriesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from invites.invitation import Brand
    from invites.model import Attendee, Meeting

TITLE_AT_MOST = 120
"""Characters of a title in a subject: rspamd marks down longer ones (LONG_SUBJ)."""

SUMMARY_AT_MOST = 600
"""Characters of a description that a mail shows; the calendar entry has all of it."""

CHANGE_AT_MOST = 300
"""Characters of an old or new value that a letter shows; a description may have 20,000."""

ATTENDEE, COLUMNS, LINK = "attendee", "columns", "link"
TEXT_FIELDS = frozenset({"name", "email", "avatar", "user_id", "group"})
"""The attendee's fields that are plain text of one line."""


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
    if text.isprintable():  # has neither a line's end nor a marker
        return text.strip()
    return joined(plain(text))


def shortened(text: str, at_most: int) -> str:
    """Return `text`, or its first `at_most` characters and an ellipsis."""
    return text if len(text) <= at_most else text[:at_most].rstrip() + "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingView:
    """`meeting` in a template; `start` and `end` are in UTC, `when` is for showing them.

    `short_title` is for subjects; `summary` is the description's beginning, and `shortened` tells
    that it is not all.
    """

    id: str
    title: str
    short_title: str
    description: str
    summary: str
    shortened: bool
    room: str
    status: str
    tentative: bool
    timezone: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """`organizer` (the mailbox that sends) and `host` (whose meeting it is) in a template."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttendeeView:
    """`attendee` in a template; `is_host` where the meeting is this attendee's own."""

    name: str
    email: str
    moderator: bool
    attendance: str
    optional: bool
    language: str
    timezone: str
    features: tuple[str, ...]
    group: str
    user_id: str
    avatar: str
    is_host: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandView:
    """`brand` in a template, each "" where it is not set; `logo` is what an `img` shows.

    `greeting` and `footer` are to be shown by `_`, which puts `name` into the greeting.
    """

    name: str
    logo: str
    footer: str
    greeting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One of `changes` in a template; `shown` is false where there is no value to show.

    A new start and a new end are one change, of the field `time`.
    """

    field: str
    old: str | bool
    new: str | bool
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DateLinkView:
    """One of `date_links` in a template: a date of a series, and the attendee's link for it alone."""

    when: Span
    opens: LocalTime
    closes: LocalTime
    link: str = field(repr=False)


def column_of(values: Mapping[str, str], name: str) -> str | None:
    """Return the column that a template calls `name`, in the header's own spelling or folded."""
    return values[name] if name in values else values.get(folded_name(name))


class Columns:
    """`columns` in a template: the roster's own columns, by attribute or by name in brackets.

    A column is found under the header's own spelling (`columns["Room No"]`) as well as under the
    name that the roster has it by (`columns.room_no`).
    Has no public attributes, so that a column may be called `items`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        """Show `values`, each under its column's name."""
        self._values = values

    def __getitem__(self, name: str) -> str:
        """Return the cell's text; KeyError where the roster has no such column."""
        return self._values[name if name in self._values else folded_name(name)]

    def __contains__(self, name: object) -> bool:
        """Tell whether the roster has the column."""
        return isinstance(name, str) and (name in self._values or folded_name(name) in self._values)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the columns' names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._values)


VIEWS: Mapping[str, type] = {
    "meeting": MeetingView,
    "attendee": AttendeeView,
    "organizer": PersonView,
    "host": PersonView,
    "when": Span,
    "opens": LocalTime,
    "closes": LocalTime,
    "series": SeriesView,
    "date_of": SeriesView,
    "brand": BrandView,
}
"""The names whose attributes are known before rendering; `date_of` may be None."""

NEVER_NONE = {name: view for name, view in VIEWS.items() if name != "date_of"}
"""Those of them that are never None."""

NAMES = frozenset(
    {
        *VIEWS,
        *("columns", "link", "when_there", "server", "changes", "demo", "kind"),
        *("language", "direction", "earlier_until", "new_link", "starts"),
        *("date_links", "ahead", "only_links"),
    }
)
"""Everything that a template may name, besides what it sets itself and Jinja2's own."""

FEW = frozenset({"organizer", "server", "demo", "kind", "language", "direction", "brand"})
"""The names of which a run has few values."""

TRANSLATING = ("gettext", "ngettext", "pgettext", "npgettext")
"""What gives a text in the letter's language; `_` is another name of the first."""

GETTEXT = frozenset({"_", *TRANSLATING})

LINK_NAMES = frozenset({"link", "opens", "closes", "date_links"})
"""What only kinds with a link have."""


def attributes(view: type) -> frozenset[str]:
    """Return the names of a view's attributes."""
    return frozenset(field.name for field in fields(view))


def attendee_view(attendee: Attendee, *, is_host: bool) -> AttendeeView:
    """Return `attendee` for templates."""
    texts = {name: one_line(getattr(attendee, name)) for name in TEXT_FIELDS}
    return AttendeeView(
        **texts,
        moderator=attendee.moderator,
        attendance=attendee.attendance.value,
        optional=is_optional(attendee),
        language=attendee.language or "",
        timezone=attendee.timezone or "",
        features=attendee.features,
        is_host=is_host,
    )


def is_host(attendee: Attendee, meeting: Meeting) -> bool:
    """Tell whether the meeting is the attendee's own, by the address."""
    host = meeting.organizer_email
    return bool(host) and host.casefold() in {attendee.email.casefold(), attendee.address}


def brand_view(brand: Brand) -> BrandView:
    """Return `brand` for templates: greeting and footer are messages of gettext, as any other."""
    greeting, footer = (text.replace("%", "%%") for text in (brand.greeting, brand.footer))
    return BrandView(
        name=brand.name,
        logo=brand.logo,
        footer=footer,
        greeting=greeting.replace("{name}", "%(name)s"),
    )


def is_optional(attendee: Attendee) -> bool:
    """Tell whether the attendee need not come; moderators are always expected."""
    return attendee.attendance is Attendance.OPTIONAL and not attendee.moderator
