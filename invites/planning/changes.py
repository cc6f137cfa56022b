"""What differs between what an attendee has and is to have, and what each difference does.

One answer for columns, settings and the dates of a series: what is told, what raises SEQUENCE, and
what moves the link.  A date that is over counts for nothing, as a meeting that is over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, islice
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from invites.invitation import Change
from invites.model import Attendee, Meeting, Occurrence
from invites.planning.facts import (
    ATTENDEE_COLUMNS,
    MEETING_COLUMNS,
    Draft,
    Known,
    MeetingFacts,
    as_text,
    expected_as,
)
from invites.roster.columns import COLUMNS, Column, Use
from invites.roster.recurrence import rule_text
from invites.times import zone

Value = datetime | str | bool | None

DATES_TOLD: Final = 20
"""Changed dates that one message tells; the calendar entry has them all."""

_MOVES: Final = Use.TEXT | Use.CALENDAR | Use.SEQUENCE
DATE_CHANGES: Final = MappingProxyType(
    {"date": _MOVES, "date_end": _MOVES, "date_title": Use.TEXT | Use.CALENDAR}
)
"""What a change of one date does, by its name."""

DATE_LINK: Final = "date_link"
"""The name of what brings the link of one date: nothing else has changed."""

CANCELLED: Final = "cancelled"
"""What stands for a date that does not take place."""

REGROUPED = "entry"
"""The name of the change by which a meeting's dates are in another entry."""

ORGANIZER = "organizer"
"""The name of the change of the organizer's mailbox."""

_USES: Mapping[str, Use] = {
    "reminder": Use.CALENDAR,
    ORGANIZER: Use.CALENDAR,
    **DATE_CHANGES,
    **dict.fromkeys(("server", "validity", "key", "tokens"), Use.TOKEN | Use.SEQUENCE),
    DATE_LINK: Use.CALENDAR | Use.SEQUENCE,
    **{column.told: column.uses for column in COLUMNS},
}
"""What each change does, by its name: those of the settings, and those of the columns."""

RAISES_SEQUENCE = frozenset(name for name, uses in _USES.items() if Use.SEQUENCE in uses)
"""The changes that move the entry (RFC 5546 2.1.4), its link or its token: SEQUENCE + 1.

Every other change is sent with the same SEQUENCE and a new DTSTAMP.
"""

MOVES_LINK = frozenset(name for name, uses in _USES.items() if Use.TOKEN in uses)
"""The changes by which the link of earlier mails is replaced."""

_TOLD_APART = tuple(
    column for column in MEETING_COLUMNS if column.name not in {"start", "end", "recurrence"}
)
"""Those of a meeting that repeats, whose times and rule are told together."""


class Difference(NamedTuple):
    """Everything that counts and differs; `zone_rules` where only the zone's rules moved it.

    `date` is the original start of the one date of a series that all of it is about, None where it
    is about more, or where a message about that date alone would not do.
    """

    changes: tuple[Change, ...]
    zone_rules: bool
    date: datetime | None = None

    @property
    def raises_sequence(self) -> bool:
        """Tell whether the new revision needs a higher SEQUENCE."""
        return any(change.field in RAISES_SEQUENCE for change in self.changes)

    @property
    def organizer(self) -> Change | None:
        """The change of the organizer's mailbox, None where it is the same."""
        return next((change for change in self.changes if change.field == ORGANIZER), None)

    @property
    def brings_links(self) -> bool:
        """Tell whether all of it is that further dates have their link now."""
        return brings_links(self.changes)

    @property
    def demotes(self) -> bool:
        """Tell whether a moderator is one no longer, so that the old token still is one's."""
        return any(change.field == "moderator" and change.old is True for change in self.changes)


def difference(known: Known, draft: Draft, now: datetime) -> Difference:
    """Return what differs, for what is still to come at `now`, between what is and what is to be."""
    old, new = known.facts, draft.facts
    dates = repeats(old.meeting, new.meeting)
    changes = (
        *dates_changes(old.meeting, new.meeting, now),
        *_told(_TOLD_APART if dates else MEETING_COLUMNS, old.meeting, new.meeting),
        *_settings(old, new, now),
        *_told(ATTENDEE_COLUMNS, known.attendee, draft.attendee),
        *(change for _, change in _links_given(old, new, now)),
    )
    same_wall = (old.meeting.timezone, old.wall_start) == (new.meeting.timezone, new.wall_start)
    elsewhere = old.start != new.start or same_dates_elsewhere(old.meeting, new.meeting, now)
    return Difference(changes, same_wall and elsewhere, _date_alone(changes, old, new, now))


def _date_alone(
    changes: tuple[Change, ...], old: MeetingFacts, new: MeetingFacts, now: datetime
) -> datetime | None:
    """Return the original start of the one date that all `changes` are about, if there is one."""
    if any(change.field not in {*DATE_CHANGES, DATE_LINK} for change in changes):
        return None
    dated = [*_date_changes(old.meeting, new.meeting, now), *_links_given(old, new, now)]
    # A date that was cancelled is an EXDATE in the calendars, or gone from them: there is nothing
    # left that a RECURRENCE-ID could name, and Outlook puts none back.
    back_again = any(change.old == CANCELLED for _, change in dated)
    originals = {original for original, _ in dated}
    return originals.pop() if len(originals) == 1 and not back_again else None


def _told(
    columns: Iterable[Column], old: Meeting | Attendee, new: Meeting | Attendee
) -> Iterator[Change]:
    """Yield a change for each column that differs; two that are told as one (the host) are one."""
    for name, together in groupby(columns, key=lambda column: column.told):
        alike = tuple(together)
        before, after = (tuple(column.value_of(one) for column in alike) for one in (old, new))
        if name == "attendance" and isinstance(old, Attendee) and isinstance(new, Attendee):
            # A moderator is CHAIR whatever the cell says; a new flag is told by itself.
            differs = old.moderator == new.moderator and expected_as(old) != expected_as(new)
        else:
            differs = before != after
        if differs:
            yield Change(field=name, old=_shown(*before), new=_shown(*after))


def _shown(value: Any, mailbox: str = "") -> Value:
    if value and mailbox:
        return f"{value} <{mailbox}>"
    keeps = value is None or isinstance(value, bool | datetime)
    return value if keeps else as_text(value) or mailbox


def _settings(old: MeetingFacts, new: MeetingFacts, now: datetime) -> Iterator[Change]:
    """Yield what changed in the settings; a window that only follows the meeting is no change.

    Nor is when a series' link opened: its first date is over, or the export has it no longer.
    """
    before, after = old.terms, new.terms
    if before.alarm != after.alarm:
        yield Change(field="reminder", old=before.alarm, new=after.alarm)
    if before.has_other_mailbox(after):
        yield Change(field=ORGANIZER, old=before.mailbox, new=after.mailbox)
    if before.server_url != after.server_url:
        yield Change(field="server", old=before.server_url, new=after.server_url)
    elif before.server_print != after.server_print:
        yield Change(field="server", old=None, new=None)
    both_repeat = old.meeting.series is not None and new.meeting.series is not None
    if both_repeat and (old.links is None) != (new.links is None):
        before_each, after_each = ("each" if one.links is not None else "all" for one in (old, new))
        yield Change(field="tokens", old=before_each, new=after_each)
    follows = not repeats(old.meeting, new.meeting) and (old.start, old.end) != (new.start, new.end)
    closes = old.validity.expires == new.validity.expires
    open_already = old.validity.not_before <= now.timestamp()
    if repeats(old.meeting, new.meeting) and closes and open_already:
        follows = True
    if old.links is not None or new.links is not None:
        # Each date's link has its own window; where the date stays, that is a matter of settings.
        follows = not _other_windows(old, new, now)
    if old.validity != new.validity and not follows:
        yield Change(field="validity", old=None, new=None)
    if before.key != after.key:
        yield Change(field="key", old=None, new=None)


def _other_windows(old: MeetingFacts, new: MeetingFacts, now: datetime) -> bool:
    """Tell whether a date that is where it was, and still to come, has its link for other times."""
    if old.meeting.series is None or new.meeting.series is None:
        return False
    windows = dict(old.links or ())
    dates = {one.original: one for one in old.meeting.series.taking_place}
    for one in new.meeting.series.taking_place:
        was, window = dates.get(one.original), dict(new.links or ()).get(one.original)
        given = windows.get(one.original)
        if was is None or window is None or given is None or one.end <= now:
            continue
        if (was.start, was.end) == (one.start, one.end) and window != given:
            return True
    return False


def _links_given(
    old: MeetingFacts, new: MeetingFacts, now: datetime
) -> Iterator[tuple[datetime, Change]]:
    """Yield a change for each date to come that has its own link now, and had none."""
    if not new.links or new.meeting.series is None:
        return
    given = dict(old.links or ())
    starts = {one.original: one for one in new.meeting.series.taking_place}
    for link in new.links:
        if link.original not in given and starts[link.original].end > now:
            start = starts[link.original].start
            yield link.original, Change(field=DATE_LINK, old=None, new=start)


def brings_links(changes: tuple[Change, ...]) -> bool:
    """Tell whether changes are there, and nothing but the links of dates."""
    return bool(changes) and all(change.field == DATE_LINK for change in changes)


def repeats(old: Meeting, new: Meeting) -> bool:
    """Tell whether either is a series."""
    return old.series is not None or new.series is not None


def told_series(meeting: Meeting) -> str | datetime:
    """Return a meeting's first date, zone and rule as one text; of one that is single, the start.

    `20261207T080000Z/20261207T084500Z Europe/Berlin FREQ=WEEKLY;…`: `templating` puts it into words.
    """
    if meeting.series is None:
        return meeting.start
    first = "/".join(f"{moment:%Y%m%dT%H%M%SZ}" for moment in (meeting.start, meeting.end))
    return f"{first} {meeting.timezone} {rule_text(meeting.series)}"


def dates_changes(old: Meeting, new: Meeting, now: datetime) -> Iterator[Change]:
    """Yield how rule and times differ, as one change, and each date that differs by itself.

    Nothing for two meetings that don't repeat: their times are columns like others.  Nothing for a
    date that is over: an export that drops past rows takes back what once moved it, and the rule
    that is made of those that are left may be another one, with the same dates to come.
    """
    if old.series == new.series and (not repeats(old, new) or old.end == new.end):
        return
    # By the titles that they have as well as by those that differ: another title is told by itself.
    titles = ((old.title, new.title), ("", ""))
    if any(dates_to_come(old, now, one) == dates_to_come(new, now, other) for one, other in titles):
        return
    before, after = told_series(old), told_series(new)
    if before != after and not _same_rule_to_come(old, new, now):
        yield Change(field="recurrence", old=before, new=after)
    elif same_dates_elsewhere(old, new, now):
        # The rules of the zone changed between the first and the last date.
        yield Change(field="recurrence", old=None, new=None)
    yield from (change for _, change in islice(_date_changes(old, new, now), DATES_TOLD))


def dates_to_come(
    meeting: Meeting, now: datetime, title: str
) -> list[tuple[datetime, datetime, str]]:
    """Return the dates to come, whatever the rule that has them, with `title` for the meeting's."""
    return [(one.start, one.end, one.title or title) for one in meeting.dates if one.end > now]


def _same_rule_to_come(old: Meeting, new: Meeting, now: datetime) -> bool:
    """Tell whether what two rules have to come is the same; one may have no dates that are over."""
    if old.series is None or new.series is None or old.timezone != new.timezone:
        return False
    length = old.end - old.start
    before, after = (
        [one.original for one in each.occurrences if one.original + length > now]
        for each in (old.series, new.series)
    )
    return before == after and length == new.end - new.start


class _Differing(NamedTuple):
    """How a date differs from its rule."""

    cancelled: bool
    moved: timedelta
    longer: timedelta
    title: str


def _differing(meeting: Meeting) -> dict[date, tuple[_Differing, Occurrence]]:
    """Return the dates of a series by their days."""
    there, length = zone(meeting.timezone), meeting.end - meeting.start
    return {
        one.original.astimezone(there).date(): (
            _Differing(
                one.cancelled, one.start - one.original, one.end - one.start - length, one.title
            ),
            one,
        )
        for one in (meeting.series.occurrences if meeting.series else ())
    }


def _date_changes(old: Meeting, new: Meeting, now: datetime) -> Iterator[tuple[datetime, Change]]:
    """Yield each change of a date that is to come, after the start by which it is named."""
    known = _differing(old)
    for day, (after, one) in _differing(new).items():
        # A date that is new with the rule differs from what nobody was told of.
        regular = one.original, one.original + (new.end - new.start)
        before, was = known.get(day) or (
            _Differing(cancelled=False, moved=timedelta(0), longer=timedelta(0), title=""),
            Occurrence(original=one.original, start=regular[0], end=regular[1]),
        )
        if max(was.end, one.end) <= now:
            continue
        if after.cancelled or before.cancelled:
            if after.cancelled != before.cancelled:
                old_start = CANCELLED if before.cancelled else was.start
                new_start = CANCELLED if after.cancelled else one.start
                yield one.original, Change(field="date", old=old_start, new=new_start)
            continue
        if after.moved != before.moved:
            yield one.original, Change(field="date", old=was.start, new=one.start)
        elif after.longer != before.longer:
            yield one.original, Change(field="date_end", old=was.end, new=one.end)
        if after.title != before.title:
            titles = was.title or old.title, one.title or new.title
            yield one.original, Change(field="date_title", old=titles[0], new=titles[1])


def same_dates_elsewhere(old: Meeting, new: Meeting, now: datetime) -> bool:
    """Tell whether the same rule has as many dates, some of those to come at other instants.

    Then the zone's rules changed.
    """
    if old.series is None or new.series is None:
        return False
    before, after = (
        [one.original for one in each.occurrences] for each in (old.series, new.series)
    )
    same_rule = old.series.recurrence == new.series.recurrence and len(before) == len(after)
    return same_rule and any(a != b and max(a, b) > now for a, b in zip(before, after, strict=True))


def tells_of_organizer(changes: str | None) -> bool:
    """Tell whether a message was sent because the organizer's mailbox changed; the ledger's JSON."""
    return any(change.field == ORGANIZER for change in changes_from(changes))


def tells_of_regrouping(changes: str | None) -> bool:
    """Tell whether a CANCEL was sent because another entry has the dates; the ledger's JSON."""
    return any(change.field == REGROUPED for change in changes_from(changes))


def changes_json(changes: tuple[Change, ...]) -> str | None:
    """Return the changes as the ledger keeps them, so that a repeated message can repeat them."""
    if not changes:
        return None
    return json.dumps(
        [[change.field, _plain(change.old), _plain(change.new)] for change in changes],
        ensure_ascii=False,
    )


def changes_from(text: str | None) -> tuple[Change, ...]:
    """Return the changes that `changes_json` wrote; times are aware and in UTC."""
    if text is None:
        return ()
    return tuple(
        Change(field=field, old=_value(old), new=_value(new))
        for field, old, new in json.loads(text)
    )


def _plain(value: Value) -> str | bool | int | None:
    return int(value.timestamp()) if isinstance(value, datetime) else value


def _value(value: str | bool | int | None) -> Value:  # noqa: FBT001 - JSON's value
    """Return a value that `_plain` wrote: only times are numbers there."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    return value
