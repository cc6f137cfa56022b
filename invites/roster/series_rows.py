"""From the rows of a meeting that repeats, and those about single dates of it, to what they say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from invites.model import Attendee, Meeting, Status
from invites.roster.alike import AlikeRows, agreed, as_in, key_of
from invites.roster.header import PlacedColumn
from invites.roster.recurrence import Rule, anchored, dates_of
from invites.roster.rows import MeetingRows
from invites.roster.series import DIFFERS_IN, Attended, DateRow, SeriesRefused, SeriesRows
from invites.text import CellRefused
from invites.times import zone

Places = Mapping[str, tuple[int, PlacedColumn]]
"""Where a meeting's own columns stand among its cells, by name."""


SPANNING: Final = ("start", "end", "recurrence")
"""The columns in which the rows of one series may differ: who joins later, or leaves earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretches:
    """The series that rows with stretches of it make, and the dates of each address's stretch."""

    rule: Rule
    start: datetime
    end: datetime
    dates: Mapping[str, tuple[datetime, ...]]


def stretches_of(said: MeetingRows, alike: Sequence[AlikeRows], zone_name: str) -> Stretches | None:
    """Return the series from the first date of all rows to the last of them.

    None where the rows don't differ in that, or are no stretches of one series: then they disagree.
    """
    if agreed(alike, "recurrence") is None:
        return None
    found: dict[tuple[datetime, datetime, Rule], list[AlikeRows]] = {}
    for group in alike:
        start, end = group.values.get("start"), group.values.get("end")
        if start is None or end is None:
            return None
        rule = group.values.get("recurrence") or agreed(alike, "recurrence")
        found.setdefault((start, end, rule), []).append(group)
    if len(found) < 2:
        return None
    there = zone(zone_name)
    try:
        return _one_series(said, found, there)
    except CellRefused:
        return None


def _one_series(
    said: MeetingRows,
    found: Mapping[tuple[datetime, datetime, Rule], Sequence[AlikeRows]],
    there: ZoneInfo,
) -> Stretches | None:
    """Return the series of which these are stretches; raises CellRefused for what is no rule's."""
    begins, ends, _ = min(found, key=lambda one: one[0])
    stretches = {}
    for start, end, rule in found:
        wall = start.astimezone(there).replace(tzinfo=None)
        placed = replace(rule, recurrence=anchored(rule.recurrence, wall))
        stretches[start, end, rule] = dates_of(placed, start, there)
        if end - start != ends - begins:
            return None
    wall = begins.astimezone(there).replace(tzinfo=None)
    recurrences = {anchored(rule.recurrence, wall) for _, _, rule in found}
    last = max(dates[-1] for dates in stretches.values())
    whole = Rule(recurrence=next(iter(recurrences)), until=last)
    every = set(dates_of(whole, begins, there))
    if len(recurrences) > 1 or not all(every.issuperset(dates) for dates in stretches.values()):
        return None
    by_row = {
        row: stretches[key] for key, groups in found.items() for one in groups for row in one.rows
    }
    of_address: dict[str, tuple[datetime, ...]] = {}
    for attendee in said.rows():
        dates = by_row[attendee.row]
        if of_address.setdefault(attendee.address, dates) != dates:
            return None
    some = {address: dates for address, dates in of_address.items() if len(dates) < len(every)}
    return Stretches(rule=whole, start=begins, end=ends, dates=some)


def series_rows(
    said: MeetingRows,
    alike: Sequence[AlikeRows],
    dates: Sequence[AlikeRows],
    *,
    places: Places,
    zone_name: str,
    refused: Collection[int],
    stretches: Stretches | None,
) -> SeriesRows | None:
    """Return what the rows `alike` say of a series, and `dates` of single dates of it.

    None where a cell that counts is `refused` already.  Raises SeriesRefused.
    """
    if any(row in refused for group in dates for row in group.rows):
        raise SeriesRefused(
            "occurrence", "rows about a date without a problem", _first(dates, refused)
        )
    if dates and not alike:
        expected = "the series' own rows beside this one: the same meeting_id without an occurrence"
        raise SeriesRefused("occurrence", expected, 0)
    start, end = agreed(alike, "start"), agreed(alike, "end")
    unread = "recurrence" in places and any("recurrence" not in one.values for one in alike)
    if start is None or end is None or unread:
        return None
    rule = agreed(alike, "recurrence")
    if stretches is not None:
        start, end, rule = stretches.start, stretches.end, stretches.rule
    if rule is None:
        expected = 'an empty cell, for no "recurrence" repeats this meeting'
        raise SeriesRefused("occurrence" if dates else "exclude", expected, 0 if dates else None)
    for at, group in enumerate(dates):
        _check_alike(alike, group, at, places=places, zone_name=zone_name)
    return SeriesRows(
        rule=rule,
        start=start,
        end=end,
        title=agreed(alike, "title") or "",
        zone=zone(zone_name),
        exclude=agreed(alike, "exclude") or (),
        dates=tuple(_date_row(said, group) for group in dates),
        attendees=frozenset((*said.attendees, *said.spoilt)),
        stretches={} if stretches is None else stretches.dates,
    )


def _first(dates: Sequence[AlikeRows], refused: Collection[int]) -> int:
    return next(at for at, one in enumerate(dates) if any(row in refused for row in one.rows))


def guests_of(said: MeetingRows, dates: Sequence[AlikeRows]) -> dict[str, Attendee]:
    """Return those who have rows about single dates alone, by address; raises SeriesRefused."""
    guests: dict[str, Attendee] = {}
    for at, group in enumerate(dates):
        for named in filter(None, map(said.dates.get, group.rows)):
            if named.address in said.attendees or named.address in said.spoilt:
                continue
            known = guests.setdefault(named.address, named)
            if replace(named, row=known.row, email=known.email, mailbox=known.mailbox) != known:
                expected = f"the values of row {known.row}, which has the same address"
                raise SeriesRefused("occurrence", f"{expected} in the same meeting", at)
    return guests


def _check_alike(
    alike: Sequence[AlikeRows], group: AlikeRows, at: int, *, places: Places, zone_name: str
) -> None:
    """Refuse what a row about one date can't change."""
    for name, (index, _) in places.items():
        value = group.values.get(name)
        if name == "status":
            fits = not group.cells[index] or value in {Status.CANCELLED, agreed(alike, name)}
            expected = "cancelled, an empty cell or the series' own status"
        elif name in {*DIFFERS_IN, "occurrence"} or value is None:
            continue
        elif name == "recurrence":
            fits = any(group.values.get(name) == value for group in alike)
            expected = _as_series(alike[0], index, name)
        else:
            series_has = agreed(alike, name) or (zone_name if name == "timezone" else None)
            fits = series_has is not None and key_of(value) == key_of(series_has)
            expected = _as_series(alike[0], index, name)
        if not fits:
            raise SeriesRefused(name, expected, at)


def _as_series(first: AlikeRows, index: int, name: str) -> str:
    if name == "room":
        return (
            "the series' room or an empty cell, for its link admits to one room; give this date "
            'status "cancelled" here and a meeting_id of its own'
        )
    has = as_in(first, index) if first.cells[index] else "an empty cell as in the series' rows"
    return f"{has}; one date differs in {', '.join(DIFFERS_IN)} alone"


def _date_row(said: MeetingRows, group: AlikeRows) -> DateRow:
    values = group.values
    named = [said.dates.get(row) for row in group.rows]
    return DateRow(
        original=values["occurrence"],
        start=values.get("start"),
        end=values.get("end"),
        title=values.get("title"),
        cancelled=values.get("status") is Status.CANCELLED,
        row=group.row,
        # Where one of the rows names nobody they speak for all.
        named=frozenset(one.address for one in named if one) if all(named) else frozenset(),
    )


def repeating(
    meeting: Meeting, attended: Attended | None, said: MeetingRows, dates: Sequence[AlikeRows]
) -> Meeting:
    """Return the meeting with its dates, and with those in it who come on single dates alone."""
    if attended is None:
        return meeting
    series, misses, length = attended
    guests = guests_of(said, dates).values()
    everybody = sorted((*meeting.attendees, *guests), key=lambda one: one.address)
    first = series.occurrences[0].original
    return replace(
        meeting,
        start=first,
        end=first + length,
        series=series,
        attendees=tuple(
            replace(one, misses=misses[one.address]) if one.address in misses else one
            for one in everybody
        ),
    )
