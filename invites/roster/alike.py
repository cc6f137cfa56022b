"""Rows of one meeting whose meeting cells have the same text, what these say, and when that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from invites.addresses import Address
from invites.jitsi.validity import fits, validity_for
from invites.problems import escaped
from invites.roster.cells import NamedRoom, RosterRules
from invites.roster.parts import end_from
from invites.roster.rows import Cells, RefusedCell
from invites.times import TimeRefused, in_utc, zone


@dataclass(slots=True)
class AlikeRows:
    """Rows whose meeting cells have the same text, in their order, and what these cells are."""

    rows: list[int]
    cells: Cells
    values: dict[str, Any]

    @property
    def row(self) -> int:
        """The first of them."""
        return self.rows[0]


def key_of(value: object) -> object:
    """Return what two cells have in common that say the same."""
    match value:
        case Address():
            return value.address
        case NamedRoom():
            return value.room.claim
        case _:
            return value


def as_in(first: AlikeRows, at: int) -> str:
    """Return what is expected of a cell that has to say what these rows say."""
    return f'"{escaped(first.cells[at])}" as in row {first.row} of the same meeting'


def agreed(alike: Iterable[AlikeRows], name: str) -> Any:
    """Return the value that the rows give, None where none does."""
    stated = (group.values.get(name) for group in alike)
    return next((value for value in stated if value is not None), None)


class Times(NamedTuple):
    """Start and end in UTC; either is a RefusedCell where it has no place on the line of instants."""

    start: datetime | RefusedCell
    end: datetime | RefusedCell


def times_of(start: object, end: object, zone_name: str, rules: RosterRules) -> Times:
    """Return the instants of a meeting's times; a RefusedCell without words is reported elsewhere."""
    opened = _instant(start, zone_name, rules)
    if isinstance(end, timedelta) and isinstance(opened, datetime):
        closed: datetime | RefusedCell = opened + end
    else:
        closed = _instant(end_from(start, end), zone_name, rules)
    if isinstance(opened, datetime) and isinstance(closed, datetime):
        if closed <= opened:
            return Times(opened, RefusedCell("an end after the start"))
        validity = validity_for(opened, closed, rules.validity)
        if not fits(validity, rules.validity):
            lives = timedelta(seconds=validity.expires - validity.not_before)
            longest = rules.validity.longest
            return Times(
                opened,
                RefusedCell(
                    f"an end by which a token lives at most {_hours(longest)}; this one needs "
                    f"{_hours(lives)} from before the start to after the end ([validity] longest)"
                ),
            )
    return Times(opened, closed)


def _instant(moment: object, zone_name: str, rules: RosterRules) -> datetime | RefusedCell:
    if not isinstance(moment, datetime):
        return RefusedCell("")
    forms = ", ".join(rules.date_format)
    how = f"%z in [roster] date_format ({forms}) reads one" if forms else ""
    try:
        return in_utc(moment, zone(zone_name), with_offset=how)
    except TimeRefused as refusal:
        return RefusedCell(refusal.expected)


def _hours(span: timedelta) -> str:
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    tail = f":{seconds:02d}" if seconds else ""
    return f"{minutes // 60}:{minutes % 60:02d}{tail} h"
