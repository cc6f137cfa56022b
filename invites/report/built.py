"""What a build made, meeting by meeting, as people look at it on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from invites.text import counted
from invites.times import zone

if TYPE_CHECKING:
    from rich.table import Table

    from invites.model import Meeting

ROWS_AT_MOST: Final = 30
"""Meetings that a table shows; index.html and manifest.csv have them all."""


ZONE_FROM: Final = 80
"""Columns of a terminal from which the zones have room beside the titles."""


def meeting_table(meetings: Sequence[Meeting], *, columns: int) -> Table:
    """Return a table of the meetings that were built, for a terminal of so many columns.

    Nothing in a cell is taken for markup.
    """
    from rich.table import Table  # noqa: PLC0415 - only where somebody looks
    from rich.text import Text  # noqa: PLC0415

    rest = len(meetings) - ROWS_AT_MOST
    table = Table(caption=f"and {counted(rest, 'meeting')} more" if rest > 0 else None)
    with_zone = columns >= ZONE_FROM
    table.add_column("start", min_width=len("2031-03-03"), max_width=len("2031-03-03 09:00"))
    if with_zone:
        table.add_column("zone", overflow="fold")
    table.add_column("meeting", overflow="fold", min_width=12)
    table.add_column("invited", justify="right", no_wrap=True)
    if with_zone:
        table.add_column("moderators", justify="right", no_wrap=True)
    for meeting in meetings[:ROWS_AT_MOST]:
        start = Text(f"{meeting.start.astimezone(zone(meeting.timezone)):%Y-%m-%d %H:%M}")
        title, invited = Text(meeting.title), f"{len(meeting.attendees):,}"
        moderators = f"{sum(attendee.moderator for attendee in meeting.attendees):,}"
        narrow = (start, title, invited)
        wide = (start, Text(meeting.timezone), title, invited, moderators)
        table.add_row(*(wide if with_zone else narrow))
    return table
