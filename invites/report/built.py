"""What a build made, meeting by meeting, as people look at it on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from invites.core.text import counted
from invites.core.times import zone

if TYPE_CHECKING:
    from rich.table import Table

    from invites.core.model import Meeting

ROWS_AT_MOST: Final = 30
"""Meetings that a table shows; index.html and manifest.csv have them all."""


def meeting_table(meetings: Sequence[Meeting]) -> Table:
    """Return a table of the meetings that were built; nothing in a cell is taken for markup."""
    from rich.table import Table  # noqa: PLC0415 - only where somebody looks
    from rich.text import Text  # noqa: PLC0415

    rest = len(meetings) - ROWS_AT_MOST
    table = Table(caption=f"and {counted(rest, 'meeting')} more" if rest > 0 else None)
    table.add_column("start", no_wrap=True)
    table.add_column("zone", no_wrap=True)
    table.add_column("meeting", overflow="fold", ratio=1)
    table.add_column("invitations", justify="right")
    table.add_column("moderators", justify="right")
    for meeting in meetings[:ROWS_AT_MOST]:
        table.add_row(
            Text(f"{meeting.start.astimezone(zone(meeting.timezone)):%Y-%m-%d %H:%M}"),
            Text(meeting.timezone),
            Text(meeting.title),
            str(len(meeting.attendees)),
            str(sum(attendee.moderator for attendee in meeting.attendees)),
        )
    return table
