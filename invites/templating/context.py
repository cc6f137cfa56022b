"""What templates are given: the facts of a letter, as views, in one zone and one language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from invites.invitation import Kind
from invites.model import Status
from invites.planning.changes import DATE_LINK, MOVES_LINK, brings_links
from invites.templating.dates import (
    ahead,
    comes_twice,
    lasting,
    local_time,
    minute_at,
    moved,
    place_of,
    span,
)
from invites.templating.repeating import NO_SERIES, SeriesView, series_view, told_words
from invites.templating.views import (
    CHANGE_AT_MOST,
    LINK_NAMES,
    NAMES,
    SUMMARY_AT_MOST,
    TITLE_AT_MOST,
    ChangeView,
    DateLinkView,
    MeetingView,
    PersonView,
    one_line,
    plain,
    shortened,
)
from invites.times import zone as zone_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from invites.invitation import Change, Organizer
    from invites.model import Meeting, Occurrence, Validity
    from invites.templating.language import Language

ChangeValue: TypeAlias = datetime | str | bool | None


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
    `now` (aware) is when a reminder is written, from which it counts; None for other letters.
    `date` is the date of a series that is told, the next one, and `written` (aware) from when on
    that is; both None for a meeting that takes place once.
    `links` are the dates of a series whose own links the letters carry, with their windows; None
    where one link is for the whole meeting.  Such links are sent `ahead` of their date, or where
    they are `rolling`, ahead of their week's first.
    A letter about one date alone has that date as its `meeting`, and as `whole` the series.
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
    now: datetime | None = None
    date: Occurrence | None = None
    written: datetime | None = None
    links: tuple[tuple[Occurrence, Validity], ...] | None = None
    ahead: timedelta | None = None
    rolling: bool = False
    whole: Meeting | None = None

    @property
    def told(self) -> Meeting:
        """The meeting, with the times of the date that is told."""
        if self.date is None:
            return self.meeting
        return replace(self.meeting, start=self.date.start, end=self.date.end)


def meeting_context(facts: LetterFacts) -> dict[str, object]:
    """Return what all letters about a meeting share, whatever the attendee and the zone."""
    meeting = facts.meeting
    host_email = meeting.organizer_email or facts.organizer.email
    host_name = meeting.organizer_name or meeting.organizer_email or facts.organizer.name
    title, description = one_line(meeting.title), plain(meeting.description).strip()
    return {
        "meeting": MeetingView(
            id=one_line(meeting.id),
            title=title,
            short_title=shortened(title, TITLE_AT_MOST),
            description=description,
            summary=shortened(description, SUMMARY_AT_MOST),
            shortened=len(description) > SUMMARY_AT_MOST,
            room=one_line(facts.room),
            status=meeting.status.value,
            tentative=meeting.status is Status.TENTATIVE,
            timezone=meeting.timezone,
            start=meeting.start,
            end=meeting.end,
        ),
        "organizer": PersonView(name=one_line(facts.organizer.name), email=facts.organizer.email),
        "host": PersonView(name=one_line(host_name) or host_email, email=host_email),
        "server": one_line(facts.server),
        "demo": facts.demo,
        "new_link": any(change.field in MOVES_LINK for change in facts.changes),
        "only_links": brings_links(facts.changes),
    }


def zone_context(facts: LetterFacts, zone_name: str, language: Language) -> dict[str, object]:
    """Return what depends on the zone that times are shown in, and on the language."""
    told = facts.told
    zone = zone_named(zone_name)
    earlier = facts.earlier_until
    return {
        **_times(
            (told.start, told.end),
            facts.validity,
            int(facts.skew.total_seconds()),
            (zone, zone_named(told.timezone)),
            language,
            once=facts.meeting.series is None,
        ),
        "series": _series_view(facts.meeting, facts.written, language) or NO_SERIES,
        "date_of": facts.whole and _series_view(facts.whole, facts.written, language),
        "earlier_until": None
        if earlier is None
        else local_time(minute_at(earlier), zone, language),
        "starts": language.says("soon")
        if facts.now is None
        else ahead(told.start, facts.now, zone, language),
        "changes": tuple(_change_views(facts, zone, language)) if facts.changes else (),
        "ahead": _ahead(facts, language),
        "date_links": tuple(_date_links(facts, zone, language)),
        "language": language.tag,
        "direction": language.direction,
    }


@lru_cache(maxsize=4096)
def _times(
    times: tuple[datetime, datetime],
    validity: Validity,
    skew: int,
    zones: tuple[ZoneInfo, ZoneInfo],
    language: Language,
    *,
    once: bool,
) -> Mapping[str, object]:
    """Return a meeting's times and its link's in the first of two zones; the other is its own.

    `skew` is in seconds; `once` tells that the meeting is no series.
    """
    start, end = times
    zone, zone_there = zones
    # Berlin and Paris are two zones, and one time.
    abroad = zone is not zone_there and any(
        at.astimezone(zone).utcoffset() != at.astimezone(zone_there).utcoffset() for at in times
    )
    # The window of a series is no matter of one day.
    today = start.astimezone(zone).date()
    day = today if once else None
    opens = minute_at(validity.not_before + skew, up=True)
    closes = minute_at(validity.expires)
    unclear = opens.astimezone(zone).utcoffset() != closes.astimezone(zone).utcoffset() or any(
        comes_twice(at, zone) for at in (opens, closes)
    )
    return {
        "when": span(start, end, zone, language, with_offset=abroad),
        "when_there": span(start, end, zone_there, language, with_offset=True, beside=today)
        if abroad
        else None,
        "opens": local_time(opens, zone, language, beside=day, with_offset=unclear),
        "closes": local_time(closes, zone, language, beside=day, with_offset=unclear),
    }


def _ahead(facts: LetterFacts, language: Language) -> str:
    """Return when the links of dates come; "" where one link is for the whole meeting."""
    if facts.ahead is None:
        return ""
    time = lasting(facts.ahead, language)
    if facts.rolling:
        return language.says(
            "You get the links for each week by mail, %(time)s before its first date.", time=time
        )
    return language.says("You get the link for each date by mail, %(time)s before it.", time=time)


def _date_links(facts: LetterFacts, zone: ZoneInfo, language: Language) -> Iterator[DateLinkView]:
    """Yield the dates that have links; the links themselves are each attendee's."""
    for date, validity in facts.links or ():
        opens = minute_at(validity.not_before + int(facts.skew.total_seconds()), up=True)
        closes, day = minute_at(validity.expires), date.start.astimezone(zone).date()
        yield DateLinkView(
            when=span(date.start, date.end, zone, language),
            opens=local_time(opens, zone, language, beside=day),
            closes=local_time(closes, zone, language, beside=day),
            link="",
        )


def _series_view(
    meeting: Meeting, written: datetime | None, language: Language
) -> SeriesView | None:
    if meeting.series is None or written is None:
        return None
    return series_view(meeting, meeting.series, written, language)


def _change_views(facts: LetterFacts, zone: ZoneInfo, language: Language) -> Iterator[ChangeView]:
    """Yield what changed; where start or end did, both at once and first."""
    meeting = facts.meeting
    times = {
        change.field: (change.old, change.new)
        for change in facts.changes
        if change.field in {"start", "end"}
        and isinstance(change.old, datetime)
        and isinstance(change.new, datetime)
    }
    if times:
        old_start, start = times.get("start", (meeting.start, meeting.start))
        old_end, end = times.get("end", (meeting.end, meeting.end))
        old, new = moved((old_start, old_end), (start, end), zone, language)
        yield ChangeView(field="time", old=old, new=new, shown=True)
    for change in facts.changes:
        # What links there are, a letter shows by themselves.
        if change.field not in times and change.field != DATE_LINK:
            yield _change_view(change, zone, language)


def _change_view(change: Change, zone: ZoneInfo, language: Language) -> ChangeView:
    return ChangeView(
        field=change.field,
        old=_change_value(change.field, change.old, zone, language),
        new=_change_value(change.field, change.new, zone, language),
        shown=not (change.old is None and change.new is None),
    )


def _change_value(field: str, value: ChangeValue, zone: ZoneInfo, language: Language) -> str | bool:
    match value:
        case None:
            return ""
        case bool():
            return value
        case datetime():  # of one date of a series
            return local_time(value.astimezone(UTC), zone, language).full
        case str():
            in_words = _WORDS.get(field) if value else None
            text = in_words(value, language) if in_words else plain(value).strip()
            return shortened(text, CHANGE_AT_MOST)


_WORDS: Mapping[str, Callable[[str, Language], str]] = {
    "recurrence": told_words,
    "language": lambda tag, language: language.name_of(tag),
    "timezone": place_of,
    "attendee_timezone": place_of,
}
"""What says the value of a changed field in a language."""


PartName = Literal["subject", "text", "html", "notes"]

STEMS = {
    Kind.INVITATION: "invitation",
    Kind.UPDATE: "update",
    Kind.DATE_CANCELLED: "cancellation",
    Kind.CANCELLED: "cancellation",
    Kind.WITHDRAWN: "withdrawal",
    Kind.REMINDER: "reminder",
}
"""The first part of the names of a kind's files."""

ENDINGS: dict[PartName, str] = {"subject": ".subject.j2", "text": ".txt.j2", "html": ".html.j2"}
NOTES = "calendar.txt.j2"

KINDS_WITH_LINK = frozenset({Kind.INVITATION, Kind.UPDATE, Kind.REMINDER})
"""The kinds whose letters carry the join link; no part of the others shows one."""

KINDS_WITH_NOTES = frozenset({Kind.INVITATION, Kind.UPDATE})
"""The kinds whose calendar entry has notes after the link; a reminder has no calendar entry."""


def part_files(kind: Kind) -> dict[PartName, str]:
    """Return the name of the template that makes each part of a kind of letter."""
    files = {part: STEMS[kind] + ending for part, ending in ENDINGS.items()}
    return files | {"notes": NOTES} if kind in KINDS_WITH_NOTES else files


def names_for(kind: Kind, part: PartName) -> frozenset[str]:
    """Return what a template of this part may name; a subject, being a header, shows no link."""
    if kind not in KINDS_WITH_LINK:
        return NAMES - LINK_NAMES
    return NAMES - {"link"} if part == "subject" else NAMES
