"""From the rows of a meeting that repeats, and those about single dates of it, to what they say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from invites.model import Status
from invites.roster.alike import AlikeRows, agreed, as_in, key_of
from invites.roster.header import PlacedColumn
from invites.roster.rows import MeetingRows
from invites.roster.series import DIFFERS_IN, DateRow, SeriesRefused, SeriesRows
from invites.times import zone

Places = Mapping[str, tuple[int, PlacedColumn]]
"""Where a meeting's own columns stand among its cells, by name."""


def series_rows(
    said: MeetingRows,
    alike: Sequence[AlikeRows],
    dates: Sequence[AlikeRows],
    *,
    places: Places,
    zone_name: str,
    refused: Collection[int],
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
    if rule is None:
        expected = 'an empty cell, for no "recurrence" repeats this meeting'
        raise SeriesRefused("occurrence" if dates else "exclude", expected, 0 if dates else None)
    for at, group in enumerate(dates):
        _check_receivers(said, group, at)
        _check_alike(alike, group, at, places=places, zone_name=zone_name)
    return SeriesRows(
        rule=rule,
        start=start,
        end=end,
        title=agreed(alike, "title") or "",
        zone=zone(zone_name),
        exclude=agreed(alike, "exclude") or (),
        dates=tuple(_date_row(group) for group in dates),
    )


def _first(dates: Sequence[AlikeRows], refused: Collection[int]) -> int:
    return next(at for at, one in enumerate(dates) if any(row in refused for row in one.rows))


def _check_receivers(said: MeetingRows, group: AlikeRows, at: int) -> None:
    """Refuse rows about a date that speak for some attendees alone."""
    named = {said.dates.get(row, "") for row in group.rows}
    if "" in named:
        return
    missing = said.attendees.keys() - named
    strangers = named - said.attendees.keys() - said.spoilt.keys()
    if missing or strangers:
        raise SeriesRefused(
            "occurrence",
            f"rows about this date for each of the series' {len(said.attendees)} attendees, or one "
            "row without name and email, which speaks for all of them; who comes on some dates "
            "only is invited to those under a meeting_id of their own",
            at,
        )


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


def _date_row(group: AlikeRows) -> DateRow:
    values = group.values
    return DateRow(
        original=values["occurrence"],
        start=values.get("start"),
        end=values.get("end"),
        title=values.get("title"),
        cancelled=values.get("status") is Status.CANCELLED,
        row=group.row,
    )
